from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.geometry.image_file import read_rgb, write_rgb

RGB = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)


def write(path: Path, image: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def test_channels_are_in_rgb_order(tmp_path: Path) -> None:
    path = write(tmp_path / "image.png", np.ascontiguousarray(RGB[..., ::-1]))
    image = read_rgb(path)
    np.testing.assert_array_equal(image, RGB)
    assert image.flags.c_contiguous and image.dtype == np.uint8


def test_grey_alpha_and_sixteen_bits_become_three_bytes(tmp_path: Path) -> None:
    grey = read_rgb(write(tmp_path / "grey.png", RGB[..., 0]))
    np.testing.assert_array_equal(grey, np.repeat(RGB[..., :1], 3, axis=2))
    assert read_rgb(write(tmp_path / "alpha.png", np.dstack([RGB, RGB[..., 0]]))).shape == RGB.shape
    deep = read_rgb(write(tmp_path / "deep.png", RGB.astype(np.uint16) * 256))
    assert deep.dtype == np.uint8
    np.testing.assert_array_equal(deep, RGB[..., ::-1])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_an_error_not_half_an_image(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"image{suffix}", np.tile(RGB, (20, 20, 1)))
    data = path.read_bytes()
    for length in (len(data) // 2, len(data) - 2, 40):
        path.write_bytes(data[:length])
        with pytest.raises(DataError, match="ends early") as error:
            read_rgb(path)
        assert (error.value.what, error.value.remedy) == (str(path), "copy or download it again")


def test_rejects_what_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    for data in (b"", b"not an image", bytes(1000)):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"image.png: is not an image"):
            read_rgb(path)
    for missing in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_rgb(missing)


def test_a_header_that_claims_an_absurd_size_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "image.png", RGB)
    data = bytearray(path.read_bytes())
    # Width and height follow the 8-byte signature, the chunk's length and its name.
    data[16:24] = struct.pack(">II", 1 << 20, 1 << 20)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(data)
    with pytest.raises(DataError, match="is not an image"):
        read_rgb(path)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_rgb(tmp_path / "image.png", RGB)
    np.testing.assert_array_equal(read_rgb(tmp_path / "image.png"), RGB)


def test_an_image_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"a\.png: cannot be written"):
        write_rgb(tmp_path / "file" / "a.png", RGB)
