from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector, finite_points, without_discontinuities
from space_clip_ros.geometry.depth import invalidate

NAN = math.nan
CAMERA = PinholeCamera(width=4, height=3, fx=2.0, fy=4.0, cx=1.0, cy=1.0)


def flat(metres: float) -> np.ndarray:
    return np.full((3, 4), metres, np.float32)


def test_points_match_values_worked_out_by_hand() -> None:
    cloud = Projector(CAMERA).project(flat(8.0))
    assert cloud.shape == (3, 4, 3) and cloud.dtype == np.float32 and cloud.flags.c_contiguous
    np.testing.assert_array_equal(cloud[1, 1], [0, 0, 8])
    # One pixel right is 1/2 of z, one pixel down is 1/4.
    np.testing.assert_array_equal(cloud[1, 2], [4, 0, 8])
    np.testing.assert_array_equal(cloud[2, 3], [8, 2, 8])
    np.testing.assert_array_equal(cloud[0, 0], [-4, -2, 8])


@pytest.mark.parametrize("bad", [NAN, 0.0, -1.0, math.inf, -math.inf])
@pytest.mark.parametrize("stride", [1, 2])
def test_invalid_depth_is_nan_in_every_coordinate_and_never_the_origin(bad: float, stride: int) -> None:
    depth = flat(8.0)
    depth[0, 0] = depth[2, 2] = bad
    cloud = Projector(CAMERA, stride).project(depth, np.zeros((3, 4, 3), np.uint8))
    assert np.isnan(cloud[0, 0, :3]).all()
    assert np.isnan(cloud[2 // stride, 2 // stride, :3]).all()
    assert np.isfinite(cloud[..., :3]).all(axis=-1).sum() == cloud.shape[0] * cloud.shape[1] - 2


def test_colour_is_pcls_packed_rgb_in_the_fourth_float() -> None:
    rgb = np.zeros((3, 4, 3), np.uint8)
    rgb[1, 2] = (0xFF, 0x80, 0x01)
    cloud = Projector(CAMERA).project(flat(8.0), rgb)
    assert cloud.shape == (3, 4, 4) and cloud.strides == (64, 16, 4)
    words = cloud.view("<u4")[..., 3]
    assert words[1, 2] == 0x00FF8001
    assert words.sum() == 0x00FF8001
    # As bytes of a little-endian message: x, y, z, then blue, green, red, 0.
    assert cloud.astype("<f4").tobytes()[(1 * 4 + 2) * 16 + 12 :][:4] == bytes([0x01, 0x80, 0xFF, 0x00])
    np.testing.assert_array_equal(cloud[..., :3], Projector(CAMERA).project(flat(8.0)))


def test_colour_is_right_for_read_only_and_flipped_images() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    expected = Projector(CAMERA).project(flat(1.0), rgb).tobytes()
    frozen = np.frombuffer(rgb.tobytes(), np.uint8).reshape(3, 4, 3)
    assert Projector(CAMERA).project(flat(1.0), frozen).tobytes() == expected
    flipped = np.ascontiguousarray(rgb[..., ::-1])[..., ::-1]
    assert Projector(CAMERA).project(flat(1.0), flipped).tobytes() == expected


@pytest.mark.parametrize(("stride", "shape"), [(1, (7, 9)), (2, (4, 5)), (3, (3, 3)), (20, (1, 1))])
def test_a_stride_takes_every_nth_pixel_from_the_top_left(stride: int, shape: tuple[int, int]) -> None:
    camera = PinholeCamera(9, 7, 5.0, 6.0, 4.2, 3.1)
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 50, (7, 9)).astype(np.float32)
    rgb = rng.integers(0, 256, (7, 9, 3), np.uint8)
    projector = Projector(camera, stride)
    full, strided = Projector(camera).project(depth, rgb), projector.project(depth, rgb)
    assert projector.shape == shape == strided.shape[:2]
    assert strided.tobytes() == np.ascontiguousarray(full[::stride, ::stride]).tobytes()


def test_points_beyond_the_range_are_dropped_or_moved_to_it() -> None:
    depth = flat(8.0)
    depth[1, 2], depth[1, 3], depth[1, 1], depth[1, 0] = 20.0, math.inf, 10.0, NAN
    projector = Projector(CAMERA)
    dropped = projector.project(depth, max_range=10.0)
    assert np.isnan(dropped[1, [0, 2, 3]]).all()
    np.testing.assert_array_equal(dropped[1, 1], [0, 0, 10])
    clearing = projector.project(depth, max_range=10.0, clearing=True)
    # The same rays, cut at 10 m.
    np.testing.assert_array_equal(clearing[1, 2], [5, 0, 10])
    np.testing.assert_array_equal(clearing[1, 3], [10, 0, 10])
    assert np.isnan(clearing[1, 0]).all()
    assert projector.project(depth)[1, 2, 2] == 20


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "options", [{}, {"max_range": 10.0}, {"max_range": 10.0, "clearing": True}, {"heights": (-2.0, 1.0)}]
)
def test_depth_tested_before_gives_the_same_cloud_and_is_not_changed(stride: int, options: dict[str, Any]) -> None:
    depth = invalidate(np.random.default_rng(3).uniform(-5, 30, (3, 4)).astype(np.float32), 0.5, 25.0)
    rgb = np.random.default_rng(4).integers(0, 256, (3, 4, 3), np.uint8)
    projector, before = Projector(CAMERA, stride), depth.tobytes()
    cloud = projector.project(depth, rgb, tested=True, **options)
    assert cloud.tobytes() == projector.project(depth, rgb, **options).tobytes()
    assert depth.tobytes() == before


def test_heights_are_measured_upwards_from_the_camera() -> None:
    # Rows 0, 1, 2 at 8 m lie 2 m above, level with, and 2 m below the camera.
    cloud = Projector(CAMERA).project(flat(8.0), heights=(-2.0, 1.0))
    assert np.isnan(cloud[0]).all()
    assert np.isfinite(cloud[1:]).all()


def test_writes_into_the_given_array_and_does_not_change_its_inputs() -> None:
    projector = Projector(CAMERA)
    depth, out = flat(8.0), np.zeros((3, 4, 3), np.float32)
    depth[0, 0] = 99.0
    before = depth.copy()
    cloud = projector.project(depth, max_range=10.0, out=out, heights=(-1.0, 1.0))
    assert cloud is out and out[1, 1, 2] == 8.0
    np.testing.assert_array_equal(depth, before)


def test_the_next_call_does_not_change_a_returned_cloud() -> None:
    projector = Projector(CAMERA)
    first = projector.project(flat(8.0), np.full((3, 4, 3), 9, np.uint8))
    kept = first.tobytes()
    projector.project(flat(1.0), np.zeros((3, 4, 3), np.uint8))
    assert first.tobytes() == kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": np.ones((4, 3), np.float32)}, r"shape \(3, 4\), got \(4, 3\)"),
        ({"depth": np.ones((3, 4), np.uint16)}, "uint16"),
        ({"rgb": np.zeros((3, 4), np.uint8)}, "rgb"),
        ({"rgb": np.zeros((3, 4, 3), np.float32)}, "rgb"),
        ({"max_range": -1.0}, "max_range"),
        ({"max_range": NAN}, "max_range"),
        ({"clearing": True}, "clearing"),
        ({"clearing": True, "max_range": math.inf}, "clearing"),
        ({"heights": (1.0, -1.0)}, "heights"),
        ({"out": np.zeros((3, 4, 4), np.float32)}, "out"),
        ({"out": np.zeros((3, 4, 3))}, "out"),
        ({"out": np.zeros((4, 3, 3), np.float32).transpose(1, 0, 2)}, "out"),
    ],
)
def test_rejects_arguments_that_do_not_fit(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Projector(CAMERA).project(**{"depth": flat(1.0), **arguments})


def test_rejects_a_stride_of_zero() -> None:
    with pytest.raises(InputError, match="stride"):
        Projector(CAMERA, 0)


def test_finite_points_come_with_their_colours() -> None:
    depth = np.full((3, 4), NAN, np.float32)
    depth[1, 1], depth[1, 2] = 8.0, 2.0
    rgb = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    points, colors = finite_points(Projector(CAMERA).project(depth, rgb))
    np.testing.assert_array_equal(points, [[0, 0, 8], [1, 0, 2]])
    assert colors is not None
    np.testing.assert_array_equal(colors, [rgb[1, 1], rgb[1, 2]])
    plain, none = finite_points(Projector(CAMERA).project(depth))
    np.testing.assert_array_equal(plain, points)
    assert none is None
    with pytest.raises(InputError, match="cloud"):
        finite_points(np.zeros((3, 5), np.float32))


def test_what_floats_and_the_far_side_of_an_edge_are_removed_and_the_near_side_stays() -> None:
    depth = np.tile(np.array([10, 10, 10, 14, 20, 20, 20, 21], np.float32), (5, 1))
    kept = without_discontinuities(depth, 0.1)
    np.testing.assert_array_equal(np.isnan(kept[2]), [0, 0, 0, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(kept[:, 5:], depth[:, 5:])


@pytest.mark.parametrize("width", [2, 4, 6, 10])
def test_all_of_an_edge_that_is_blurred_over_some_pixels_is_removed(width: int) -> None:
    blur = np.linspace(5, 15, width + 1)[1:-1]
    line = np.concatenate([np.full(20, 5), blur, np.full(20, 15)]).astype(np.float32)
    kept = without_discontinuities(np.tile(line, (9, 1)), 0.1)[4]
    assert np.isnan(kept[20 : 20 + len(blur)]).all() and np.isfinite(kept[:20]).all()


def test_a_floor_is_no_edge_however_obliquely_it_is_seen() -> None:
    """Camera 0.3 m above it: from 7 m on depth changes by more than a tenth over two rows."""
    rows = (np.arange(240, 480) - 239.5) / 525
    floor = np.tile((0.3 / rows)[:, None], (1, 64)).astype(np.float32)
    floor[floor > 60] = NAN
    np.testing.assert_array_equal(without_discontinuities(floor, 0.1), floor)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_post_is_not_lost_however_thin(width: int) -> None:
    depth = np.full((20, 30), 40, np.float32)
    depth[5:, 10 : 10 + width] = 10
    kept = without_discontinuities(depth, 0.1)
    assert (kept[5:, 10 : 10 + width] == 10).all() and np.isnan(kept[10, [9, 10 + width]]).all()


@pytest.mark.filterwarnings("error")
def test_regions_without_depth_raise_no_warning() -> None:
    depth = np.full((20, 30), NAN, np.float32)
    depth[:8, :8] = 3e38
    depth[10:, 10:] = 5
    np.testing.assert_array_equal(without_discontinuities(depth, 0.1), depth)


def test_holes_are_not_edges() -> None:
    depth = np.full((5, 5), 10, np.float32)
    depth[2, 2], depth[0, 0] = NAN, 0.0
    kept = without_discontinuities(depth, 0.1)
    np.testing.assert_array_equal(np.isnan(kept), (depth == 0) | np.isnan(depth))
    with pytest.raises(InputError, match="max_jump"):
        without_discontinuities(depth, 0.0)
