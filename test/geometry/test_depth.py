from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.depth import (
    from_kitti_png,
    from_millimetres,
    invalidate,
    invalidate_beyond,
    quantile,
    read_depth_png,
    resize_bilinear,
    resize_nearest,
    to_kitti_png,
    to_millimetres,
    valid,
    write_depth_png,
)

NAN, INF = math.nan, math.inf


def metres(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_invalid_is_nan_infinite_zero_and_below() -> None:
    np.testing.assert_array_equal(valid(metres(1, NAN, INF, -INF, 0, -1, 1e-30)), [[1, 0, 0, 0, 0, 0, 1]])


def test_the_range_is_inclusive() -> None:
    np.testing.assert_array_equal(valid(metres(0.4, 0.5, 2, 80, 80.1), 0.5, 80.0), [[0, 1, 1, 1, 0]])


def test_invalidate_returns_a_copy_unless_given_out() -> None:
    depth = metres(0.4, 0.5, INF, 80.1, -3)
    before = depth.copy()
    np.testing.assert_array_equal(invalidate(depth, 0.5, 80), metres(NAN, 0.5, NAN, NAN, NAN))
    np.testing.assert_array_equal(depth, before)
    elsewhere = np.ones_like(depth)
    for out in (elsewhere, depth):
        assert invalidate(depth, 0.5, 80, out=out) is out
        np.testing.assert_array_equal(out, metres(NAN, 0.5, NAN, NAN, NAN))


def test_what_is_beyond_a_depth_alone() -> None:
    depth = np.array([[np.nan, 0.5, 60.0, np.nextafter(np.float32(60), np.float32(61))]], np.float32)
    expected = invalidate(depth, max_depth=60.0)
    np.testing.assert_array_equal(invalidate_beyond(depth, 60.0), expected)
    out = np.empty_like(depth)
    assert invalidate_beyond(depth, 60.0, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert depth[0, 3] > 60.0


def test_invalidate_in_place_works_on_every_second_pixel() -> None:
    depth = np.ones((4, 6), np.float32)
    invalidate(depth[::2, ::2], 2.0, out=depth[::2, ::2])
    assert np.isnan(depth[::2, ::2]).all()
    assert np.isfinite(depth).sum() == 24 - 6


def test_invalidate_reads_float64_and_gives_float32() -> None:
    kept = invalidate(np.array([[1.5, 1e300, NAN]]))
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, metres(1.5, NAN, NAN))


def test_millimetres_are_rounded_and_depth_that_does_not_fit_is_invalid() -> None:
    depth = metres(1.0004, 1.0006, 65.535, 65.6, 80, NAN, INF, -1, 0, 0.0004, 0.001)
    np.testing.assert_array_equal(to_millimetres(depth), [[1000, 1001, 65535, 0, 0, 0, 0, 0, 0, 0, 1]])


def test_kitti_codes_are_truncated_as_kitti_writes_them() -> None:
    depth = metres(1.0, 1.0039, 1.00391, 255.996, 256, NAN, 0.0039, 1 / 256)
    np.testing.assert_array_equal(to_kitti_png(depth), [[256, 256, 257, 65534, 0, 0, 0, 1]])


def test_codes_come_back_as_metres_and_zero_as_nan() -> None:
    codes = np.array([[0, 1, 1500, 65535]], np.uint16)
    np.testing.assert_allclose(from_millimetres(codes), metres(NAN, 0.001, 1.5, 65.535), rtol=1e-7)
    np.testing.assert_array_equal(from_kitti_png(codes), metres(NAN, 1 / 256, 1500 / 256, 65535 / 256))


@pytest.mark.parametrize(("encode", "decode"), [(to_millimetres, from_millimetres), (to_kitti_png, from_kitti_png)])
def test_every_code_survives_the_round_trip(encode: object, decode: object) -> None:
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(encode(decode(codes)), codes)


@settings(deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_no_float_becomes_a_wrong_code(values: list[float]) -> None:
    depth = metres(*values)
    for codes, scale in ((to_millimetres(depth), 1000), (to_kitti_png(depth), 256)):
        encoded = codes[0] > 0
        np.testing.assert_allclose(codes[0][encoded] / scale, depth[0][encoded], rtol=1e-6, atol=1 / scale)
        assert (codes[0][~valid(depth)[0]] == 0).all()


@pytest.mark.parametrize("format", ["mm", "kitti"])
def test_what_is_written_reads_back(tmp_path: Path, format: str) -> None:
    depth = metres(NAN, 0.5, 12.25, 60.125, 65.5)
    path = tmp_path / "depth.png"
    write_depth_png(path, depth, format)
    np.testing.assert_allclose(read_depth_png(path, format), depth, rtol=1e-6)
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_rejects_images_that_are_not_depth(tmp_path: Path) -> None:
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, np.zeros((2, 2), np.uint8))
    with pytest.raises(DataError, match="1 of uint8"):
        read_depth_png(path)
    cv2.imwrite(path, np.zeros((2, 2, 3), np.uint16))
    with pytest.raises(DataError, match="3 of uint16"):
        read_depth_png(path)
    with pytest.raises(DataError, match=r"missing.png: cannot be read"):
        read_depth_png(tmp_path / "missing.png")


def test_rejects_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_depth_png(tmp_path, metres(1))
    with pytest.raises(InputError, match="mm, kitti"):
        write_depth_png(tmp_path / "depth.png", metres(1), "inches")
    with pytest.raises(InputError, match="shape"):
        write_depth_png(tmp_path / "depth.png", np.ones(3, np.float32))
    with pytest.raises(InputError, match="mm, kitti"):
        read_depth_png(tmp_path / "depth.png", "inches")


def test_nearest_resize_takes_the_pixel_under_each_centre() -> None:
    depth = metres(1, 2, NAN, 4, 5, 6)
    # Six to three: centres 0.5, 2.5, 4.5 lie in pixels 1, 3, 5; six to four: 0.75, 2.25, 3.75, 5.25 of the edges.
    np.testing.assert_array_equal(resize_nearest(depth, 3, 1), metres(2, 4, 6))
    np.testing.assert_array_equal(resize_nearest(depth, 4, 1), metres(1, NAN, 4, 6))


def test_bilinear_resize_keeps_edges_and_mixes_between() -> None:
    # Doubled, centres lie at -0.25, 0.25, 0.75 and 1.25 of the old pixels.
    np.testing.assert_allclose(resize_bilinear(metres(1, 3), 4, 1), metres(1, 1.5, 2.5, 3))


def test_resize_to_the_same_size_is_a_copy() -> None:
    depth = metres(1, 2)
    resized = resize_nearest(depth, 2, 1)
    resized[:] = 0
    assert depth[0, 0] == 1


def test_rejects_integer_depth_and_empty_ranges() -> None:
    codes = np.ones((2, 2), np.uint16)
    for call in (valid, invalidate, to_millimetres, to_kitti_png):
        with pytest.raises(InputError, match="float32 metres, got uint16"):
            call(codes)
    for call in (from_millimetres, from_kitti_png):
        with pytest.raises(InputError, match="must be uint16, got float32"):
            call(metres(1))
    for low, high in ((2.0, 1.0), (0.0, 0.0), (-2.0, -1.0), (NAN, 1.0), (0.0, NAN)):
        with pytest.raises(InputError, match="range"):
            valid(metres(1), low, high)


def test_rejects_an_out_that_is_not_writeable_float32() -> None:
    frozen = metres(1)
    frozen.flags.writeable = False
    for depth in (frozen, np.ones((1, 1))):
        with pytest.raises(InputError, match="out must be writeable float32"):
            invalidate(depth, out=depth)


def test_rejects_empty_sizes() -> None:
    with pytest.raises(InputError, match="0x2"):
        resize_nearest(metres(1), 0, 2)
    with pytest.raises(InputError, match="shape"):
        resize_bilinear(np.ones((0, 2), np.float32), 2, 2)


def test_a_resized_map_is_written_where_it_is_asked_for() -> None:
    depth = np.random.default_rng(3).uniform(1, 9, (5, 7)).astype(np.float32)
    out = np.empty((10, 21), np.float32)
    assert resize_bilinear(depth, 21, 10, out=out) is out
    np.testing.assert_array_equal(out, resize_bilinear(depth, 21, 10))
    with pytest.raises(InputError, match="contiguous float32 of shape"):
        resize_bilinear(depth, 21, 10, out=out[:, ::2])


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.2, 2.0), (0.5, 2.0), (1.0, 4.0)])
def test_a_quantile_leaves_out_what_is_not_finite(share, expected):
    values = np.array([[4.0, np.nan, 1.0, 3.0, 2.0, np.inf], [np.nan] * 6], np.float32)
    assert quantile(values, share, axis=1).tolist() == pytest.approx([expected, np.nan], nan_ok=True)
    assert quantile(values.T, share, axis=0).shape == (2,)
