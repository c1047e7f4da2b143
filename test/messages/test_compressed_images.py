"""JPEG and PNG messages."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space_clip_ros.errors import InputError
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.messages.compressed_images import compressed_to_rgb
from space_clip_ros.tools.bags.messages import header


def picture() -> np.ndarray:
    rgb = np.zeros((24, 40, 3), np.uint8)
    rgb[..., 0], rgb[:12, :, 1], rgb[:, :20, 2] = 200, 90, 40
    return rgb


def message(data: bytes, form: str = "jpeg") -> Any:
    kind = TYPES.types["sensor_msgs/msg/CompressedImage"]
    return kind(header(0, "camera"), form, np.frombuffer(data, np.uint8))


def encoded(extension: str, image: np.ndarray | None = None) -> bytes:
    bgr = picture()[..., ::-1] if image is None else image
    return cv2.imencode(extension, np.ascontiguousarray(bgr))[1].tobytes()


def test_png_is_exact():
    np.testing.assert_array_equal(compressed_to_rgb(message(encoded(".png"), "png")), picture())


def test_jpeg_is_close_and_in_rgb_order():
    rgb = compressed_to_rgb(message(encoded(".jpg")))
    assert rgb.shape == (24, 40, 3)
    np.testing.assert_allclose(rgb[4, 8].astype(int), picture()[4, 8], atol=6)


def test_gray_and_16_bit_png_become_rgb():
    gray = np.full((6, 4), 128, np.uint8)
    assert compressed_to_rgb(message(encoded(".png", gray)))[0, 0].tolist() == [128, 128, 128]
    deep = np.full((6, 4, 3), 128 << 8, np.uint16)
    assert compressed_to_rgb(message(encoded(".png", deep)))[0, 0].tolist() == [128, 128, 128]


def test_zero_padding_after_the_end_is_accepted():
    assert compressed_to_rgb(message(encoded(".jpg") + bytes(512))).shape == (24, 40, 3)


def test_exif_rotation_is_not_applied():
    # Orientation 6 (rotate by 90 degrees) would swap the sides, and then no camera_info would fit.
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    jpeg = encoded(".jpg")
    rotated = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    assert compressed_to_rgb(message(rotated)).shape == (24, 40, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("padding", [bytes(5000), b"\xff" * 300, bytes(range(200)) * 3])
def test_buffers_that_cameras_pad_are_read(suffix, padding):
    whole = compressed_to_rgb(message(encoded(suffix)))
    np.testing.assert_array_equal(compressed_to_rgb(message(encoded(suffix) + padding)), whole)


def test_motion_jpeg_without_huffman_tables_is_read():
    """Webcams leave the standard tables out."""
    jpeg, position, kept = encoded(".jpg"), 2, encoded(".jpg")[:2]
    while jpeg[position + 1] != 0xDA:
        length = 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        kept += b"" if jpeg[position + 1] == 0xC4 else jpeg[position : position + length]
        position += length
    np.testing.assert_array_equal(compressed_to_rgb(message(kept + jpeg[position:])), compressed_to_rgb(message(jpeg)))


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60000 x 60000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"IEND"


@pytest.mark.parametrize(("extension", "dtype"), [(".png", np.uint8), (".png", np.uint16), (".jpg", np.uint8)])
def test_a_compressed_bayer_pattern_gets_its_colours(extension, dtype):
    # An RGGB mosaic that sees pure red: every red site is bright, every other dark.
    mosaic = np.zeros((64, 64), dtype)
    mosaic[::2, ::2] = 200 * (np.iinfo(dtype).max // 255)
    form = f"bayer_rggb8; {extension[1:]} compressed "
    red, green, blue = compressed_to_rgb(message(encoded(extension, mosaic), form))[32, 32].astype(int)
    assert red > green + 100 and red > blue + 100
    grey = compressed_to_rgb(message(encoded(extension, mosaic), "mono8; png compressed "))[32, 32].tolist()
    assert grey[0] == grey[1] == grey[2]


def test_colours_that_keep_the_name_of_their_bayer_pattern_are_colours():
    form = "bayer_rggb8; png compressed bgr8"
    np.testing.assert_array_equal(compressed_to_rgb(message(encoded(".png"), form)), picture())


@pytest.mark.parametrize("form", ["16UC1; png compressed ", "16UC1; compressedDepth png", "32FC1; compressedDepth"])
def test_compressed_depth_is_no_picture(form):
    deep = encoded(".png", np.full((6, 4), 4000, np.uint16))
    with pytest.raises(InputError, match=r"encoding (16U|32F)C1 holds depth, not colour; give the camera"):
        compressed_to_rgb(message(deep, form))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty, 0 bytes of format 'jpeg'"),
        (b"BM" + bytes(100), "neither JPEG nor PNG"),
        (encoded(".jpg")[:-40], "truncated"),
        (encoded(".jpg")[:100], "no JPEG frame header"),
        (encoded(".png")[:-40], "truncated"),
        (encoded(".png")[:18], "within the PNG header"),
        (bomb(), "claims 60000 x 60000 pixels"),
        (encoded(".png")[:40] + bytes(20) + b"IEND", "could not be decoded"),
    ],
)
def test_bad_data_is_one_clear_line(data, text):
    with pytest.raises(InputError, match=r"^/camera/image/compressed: ") as caught:
        compressed_to_rgb(message(data), "/camera/image/compressed")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]),
    rest=st.binary(max_size=400),
    end=st.sampled_from([b"", b"\xff\xd9", b"IEND"]),
)
def test_random_bytes_never_raise_anything_else(start, rest, end):
    try:
        compressed_to_rgb(message(start + rest + end))
    except InputError as error:
        assert "\n" not in str(error)
