from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.data.augmentation import (
    CropTransform,
    augment,
    random_crop,
    splice,
    warp_depth,
    without_nyu_border,
    without_occluded,
)
from space_clip_ros.data.color_augmentation import borrow_spectrum
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.focal_factor import focal_factor
from space_clip_ros.settings import parse
from space_clip_ros.training_config import AugmentationConfig

STILL = {"rotation": 0.0, "flip": 0.0, "color": 0.0, "crop": []}


def config(**changes: object) -> AugmentationConfig:
    return parse(AugmentationConfig, {**STILL, **changes})


def frame(height: int = 40, width: int = 60) -> RgbdFrame:
    """A frame whose red, green and depth say where each pixel came from."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns * 4, rows * 6, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    return RgbdFrame(image, (1.0 + rows * 100 + columns).astype(np.float32))


def test_all_off_changes_nothing():
    original = frame()
    same = augment(original, config(), np.random.default_rng(0))
    np.testing.assert_array_equal(same.image, original.image)
    np.testing.assert_array_equal(same.depth, original.depth)


def test_a_crop_is_a_slice_and_depth_moves_with_it():
    original = frame()
    for seed in range(20):
        cut = augment(original, config(crop=[16, 24]), np.random.default_rng(seed))
        left, top = int(cut.image[0, 0, 0]) // 4, int(cut.image[0, 0, 1]) // 6
        assert 0 <= left <= 36 and 0 <= top <= 24
        np.testing.assert_array_equal(cut.image, original.image[top : top + 16, left : left + 24])
        np.testing.assert_array_equal(cut.depth, original.depth[top : top + 16, left : left + 24])


def test_a_consistent_view_is_the_whole_frame_with_its_depth_at_the_crop_s_size():
    original = frame()
    settings = config(geometry="consistent", crop=[20, 30])
    whole = augment(original, settings, np.random.default_rng(0))
    np.testing.assert_array_equal(whole.image, original.image)
    # Half the size: each pixel of depth is one of the four that it covers.
    assert whole.depth.shape == (20, 30)
    rows, columns = np.mgrid[:20, :30]
    np.testing.assert_allclose(whole.depth, 1.0 + (2 * rows + 0.5) * 100 + 2 * columns + 0.5, atol=51)
    sparse = np.full_like(original.depth, np.nan)
    sparse[::7, ::5] = 9.0
    assert (augment(original._replace(depth=sparse), settings, np.random.default_rng(0)).depth == 9.0).sum() == 6 * 12


def test_a_consistent_view_may_be_smaller_than_the_crop():
    assert augment(frame(), config(geometry="consistent", crop=[80, 90]), np.random.default_rng(0)).depth.shape == (
        80,
        90,
    )


def test_a_flip_mirrors_both():
    original = frame()
    flipped = augment(original, config(flip=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(flipped.image, original.image[:, ::-1])
    np.testing.assert_array_equal(flipped.depth, original.depth[:, ::-1])


def test_sparse_depth_moves_like_dense_depth():
    original = frame()
    sparse = np.full_like(original.depth, np.nan)
    sparse[::7, ::5] = original.depth[::7, ::5]
    for seed in range(10):
        settings = config(crop=[16, 24], flip=0.5)
        dense = augment(original, settings, np.random.default_rng(seed)).depth
        moved = augment(original._replace(depth=sparse), settings, np.random.default_rng(seed)).depth
        known = ~np.isnan(moved)
        assert known.sum() == (np.isin(dense, sparse[~np.isnan(sparse)])).sum()
        np.testing.assert_array_equal(moved[known], dense[known])


def test_rotation_turns_about_the_centre_by_hand():
    transform = random_crop((41, 61), config(rotation=10.0), np.random.default_rng(3))
    centre = transform.matrix @ np.array([30.0, 20.0, 1.0])
    np.testing.assert_allclose(centre, [30.0, 20.0], atol=1e-9)
    linear = transform.matrix[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.eye(2), atol=1e-12)
    assert abs(np.rad2deg(np.arctan2(linear[0, 1], linear[0, 0]))) <= 10.0


def test_rotation_within_a_degree_leaves_corners_unknown_and_black():
    original = RgbdFrame(np.full((200, 400, 3), 255, np.uint8), np.full((200, 400), 7.0, np.float32))
    turned = augment(original, config(rotation=1.0), np.random.default_rng(4))
    unknown = np.isnan(turned.depth)
    assert 0 < unknown.mean() < 0.02
    assert set(np.unique(turned.depth[~unknown])) == {np.float32(7.0)}
    assert turned.image[unknown].mean() < 128


def test_narrowing_stretches_columns_alone_and_divides_depth_by_the_focal_factor():
    rng = np.random.default_rng(1)
    transforms = [random_crop((40, 60), config(narrow=1.9), rng) for _ in range(40)]
    whole = [transform for transform in transforms if transform.zoom == 1.0]
    assert 10 <= len(whole) <= 30, "about half of the frames stay whole"
    for transform in transforms:
        across, down = abs(transform.matrix[0, 0]), transform.matrix[1, 1]
        assert down == 1.0 and 1.0 <= across <= 1.9
        stretched = PinholeCamera(60, 40, fx=across * 50.0, fy=50.0, cx=30.0, cy=20.0)
        assert transform.zoom == pytest.approx(focal_factor(stretched, (60, 40, 50.0, 50.0)))
        edges = np.sort((np.array([-0.5, 59.5]) - transform.matrix[0, 2]) / transform.matrix[0, 0])
        assert edges[0] >= -0.5 - 1e-9 and edges[1] <= 59.5 + 1e-9, "the cut lies within the frame"


def test_zoom_divides_depth_and_keeps_edges_to_edges_by_hand():
    transform = random_crop((40, 60), config(zoom=2.0), np.random.default_rng(0))
    zoom = transform.zoom
    assert 1.0 < zoom <= 2.0
    # Pixel edges, half a pixel outside the centres, of a window of 40 / zoom by 60 / zoom map to the crop's edges.
    corner = transform.matrix @ np.array([0.0, 0.0, 1.0])
    left, top = (-0.5 - corner) / zoom + 0.5
    assert left - 0.5 + 1e-9 >= 0 and left + 60 / zoom <= 61 and top + 40 / zoom <= 41
    depth = np.full((40, 60), 12.0, np.float32)
    np.testing.assert_allclose(warp_depth(depth, transform), 12.0 / zoom, rtol=1e-6)


def test_a_smaller_truth_keeps_the_nearest_return():
    depth = np.full((8, 8), np.nan, np.float32)
    depth[0, 0], depth[1, 1], depth[6, 7] = 9.0, 4.0, 30.0
    small = warp_depth(depth, CropTransform(np.eye(2, 3), 1.0, (8, 8)), (4, 4))
    expected = np.full((4, 4), np.nan, np.float32)
    expected[0, 0], expected[3, 3] = 4.0, 30.0
    np.testing.assert_array_equal(small, expected)


def test_colours_change_within_their_ranges_and_depth_does_not():
    grey = RgbdFrame(np.full((8, 8, 3), 128, np.uint8), np.full((8, 8), 5.0, np.float32))
    settings = config(color=1.0)
    values = [augment(grey, settings, np.random.default_rng(seed)).image[0, 0] for seed in range(200)]
    low, high = 255 * (128 / 255) ** 1.1 * 0.81, 255 * (128 / 255) ** 0.9 * 1.21
    assert low - 1 <= np.min(values) < 110 and 150 < np.max(values) <= high + 1
    assert any(len(set(value)) == 3 for value in values)
    np.testing.assert_array_equal(augment(grey, settings, np.random.default_rng(0)).depth, grey.depth)


@pytest.mark.parametrize(
    "changes",
    [
        {"blur": 1.0},
        {"noise": 10.0},
        {"erase": 1.0},
        {"color": 1.0, "saturation": [0.0, 0.5]},
        {"color": 1.0, "contrast": [0.5, 0.9]},
    ],
)
def test_the_stronger_switches_change_the_image_only(changes):
    rng = np.random.default_rng(0)
    original = RgbdFrame(rng.integers(0, 255, (40, 60, 3), np.uint8), np.full((40, 60), 5.0, np.float32))
    kept = original.image.copy()
    varied = augment(original, config(**changes), np.random.default_rng(2))
    assert varied.image.dtype == np.uint8 and varied.image.shape == (40, 60, 3)
    assert (varied.image != kept).any()
    np.testing.assert_array_equal(original.image, kept)
    np.testing.assert_array_equal(varied.depth, original.depth)


def test_the_same_generator_gives_the_same_frame():
    settings = parse(AugmentationConfig, {"crop": [16, 24], "zoom": 1.5, "noise": 3.0, "blur": 0.5, "erase": 0.5})
    first, second = (augment(frame(), settings, np.random.default_rng((1, 2, 3))) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.depth, second.depth)


def test_a_frame_smaller_than_the_crop():
    with pytest.raises(InputError, match=r"60 x 40 pixels cannot give a crop of 704 x 352"):
        augment(frame(), AugmentationConfig(), np.random.default_rng(0))


def nyu_frame() -> RgbdFrame:
    """A picture of NYU's size whose depth says where each pixel came from."""
    rows, columns = np.mgrid[:480, :640]
    image = np.stack([columns // 4, rows // 4, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    return RgbdFrame(image, (1.0 + rows * 1000 + columns).astype(np.float32))


def test_nyus_border_is_cut_off_where_the_reference_cuts_it():
    cut = without_nyu_border(nyu_frame())
    # The reference's box: left 45, top 41, right 608, bottom 472.
    assert cut.image.shape == (431, 563, 3) and cut.depth.shape == (431, 563)
    assert cut.depth[0, 0] == 1.0 + 41 * 1000 + 45 and cut.depth[-1, -1] == 1.0 + 471 * 1000 + 607
    part = augment(nyu_frame(), config(do_nyu_crop=True, crop=[416, 544]), np.random.default_rng(0))
    rows, columns = np.divmod(part.depth - 1.0, 1000)
    assert part.depth.shape == (416, 544)
    assert rows.min() >= 41 and rows.max() <= 471 and columns.min() >= 45 and columns.max() <= 607


def test_without_the_border_a_larger_crop_stretches_the_whole_picture():
    whole = augment(nyu_frame(), config(do_nyu_crop=True, crop=[480, 640]), np.random.default_rng(0))
    assert whole.image.shape == (480, 640, 3) and whole.depth.shape == (480, 640)
    rows, columns = np.divmod(whole.depth - 1.0, 1000)
    # The nearest source pixel of each pixel's centre, as a nearest resize takes it.
    inside = 41 + (np.arange(480) + 0.5) * 431 / 480 - 0.5
    np.testing.assert_allclose(rows[:, 320], inside, atol=0.51)
    inside = 45 + (np.arange(640) + 0.5) * 563 / 640 - 0.5
    np.testing.assert_allclose(columns[240], inside, atol=0.51)
    flipped = augment(nyu_frame(), config(do_nyu_crop=True, crop=[480, 640], flip=1.0), np.random.default_rng(0))
    assert flipped.depth[240, 0] == pytest.approx(whole.depth[240, -1], abs=1.1)


def test_pictures_of_another_size_have_no_nyu_border():
    with pytest.raises(InputError, match=r"60 x 40 pixels has no NYU border; set augmentation.do_nyu_crop to false"):
        augment(frame(), config(do_nyu_crop=True), np.random.default_rng(0))


def test_a_splice_takes_image_and_depth_of_each_side_from_one_frame():
    rng = np.random.default_rng(0)
    first = RgbdFrame(np.zeros((40, 60, 3), np.uint8), np.full((20, 30), 5.0, np.float32))
    second = RgbdFrame(np.full((40, 60, 3), 200, np.uint8), np.full((20, 30), 9.0, np.float32))
    for _ in range(20):
        joined = splice(first, second, rng)
        bright = joined.image[..., 0] == 200
        columns = int(bright[0].sum())
        assert 15 <= columns <= 45
        assert (bright == bright[0]).all()
        assert abs(int((joined.depth[0] == 9.0).sum()) - columns / 2) <= 1
        assert (joined.depth[:, 0] == 9.0).all() == bright[0, 0]


def test_points_behind_a_near_neighbour_go_and_others_stay():
    depth = np.full((40, 60), np.nan, np.float32)
    depth[10, 10], depth[11, 12] = 8.0, 30.0
    depth[30, 40], depth[30, 41] = 20.0, 22.0
    kept = without_occluded(depth, 0.2)
    assert np.isnan(kept[11, 12])
    assert kept[10, 10] == 8.0 and kept[30, 40] == 20.0 and kept[30, 41] == 22.0
    dense = frame().depth
    assert without_occluded(dense, 0.2) is dense


def test_a_borrowed_spectrum_brings_the_others_colour_and_keeps_the_shapes():
    rng = np.random.default_rng(0)
    shapes = np.kron(rng.integers(0, 2, (10, 15, 1)) * 60, np.ones((4, 4, 3))).astype(np.uint8) + 60
    warm = np.full((60, 90, 3), (180, 120, 60), np.uint8)
    changed = np.mean([borrow_spectrum(shapes, warm, np.random.default_rng(seed)) for seed in range(10)], axis=0)
    before, after = shapes.mean(axis=(0, 1)), changed.mean(axis=(0, 1))
    assert after[0] > before[0] + 20 and after[2] < before[2]
    assert np.corrcoef(changed[..., 1].ravel(), shapes[..., 1].ravel())[0, 1] > 0.9
