from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from space_clip_ros.data.augmentation import splice
from space_clip_ros.data.collection import FrameCollection, open_sources, shrink
from space_clip_ros.data.dataset import AugmentedFrames, Draw, StepSampler, collate, training_loader
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.pillow_resize import resize_bicubic
from space_clip_ros.errors import ConfigError, DataError
from space_clip_ros.model_config import UNLABELLED
from space_clip_ros.settings import parse
from space_clip_ros.training_config import AugmentationConfig, SourceConfig

CROP = {"crop": [16, 24], "noise": 2.0, "zoom": 1.3}


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> FrameCollection:
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (32, 48, 3)))
        cv2.imwrite(str(folder / f"{number}_d.png"), rng.integers(256, 9000, (32, 48)).astype(np.uint16))
    (folder / "list.txt").write_text("".join(f"{number}.png {number}_d.png 1\n" for number in range(6)))
    source = SourceConfig(kind="kitti_list", path=str(folder), file_list=str(folder / "list.txt"), weight=1.5)
    return FrameCollection(open_sources([source]))


def loaded(frames: FrameCollection, workers: int, first: int = 0) -> list[tuple[torch.Tensor, ...]]:
    sampler = StepSampler(frames.weights, 3, seed=5)
    sampler.first_step, sampler.end_step = first, 2 * sampler.steps_per_epoch
    dataset = AugmentedFrames(frames, parse(AugmentationConfig, CROP), seed=5)
    return list(training_loader(dataset, sampler, workers))


def same(left, right) -> bool:
    return all(
        torch.equal(a.images, b.images) and torch.equal(a.depth.nan_to_num(-1), b.depth.nan_to_num(-1))
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_run_is_the_same_whatever_the_number_of_workers(frames):
    alone = loaded(frames, 0)
    assert len(alone) == 6
    assert same(alone, loaded(frames, 1)) and same(alone, loaded(frames, 3))
    assert alone[0].images.shape == (3, 16, 24, 3) and alone[0].images.dtype == torch.uint8
    assert alone[0].depth.shape == (3, 1, 16, 24) and alone[0].depth.dtype == torch.float32


def test_resuming_in_the_middle_gives_the_same_batches(frames):
    assert same(loaded(frames, 0)[4:], loaded(frames, 0, first=4))


def test_a_frame_is_augmented_differently_in_each_draw(frames):
    dataset = AugmentedFrames(frames, parse(AugmentationConfig, CROP), seed=5)
    first, again, other = (dataset[draw][0].image for draw in (Draw(0, 0, 2), Draw(0, 0, 2), Draw(1, 0, 2)))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_weights_are_how_often_an_epoch_shows_a_frame():
    weights = [2.0, 1.0, 0.5, 0.5, 0.0]
    sampler = StepSampler(weights, 2, seed=1)
    sampler.end_step = 400 * sampler.steps_per_epoch
    counts = Counter(draw.frame for step in sampler for draw in step)
    shown = [counts[frame] / 400 for frame in range(5)]
    assert sampler.steps_per_epoch == 2
    np.testing.assert_allclose(shown, weights, atol=0.1)
    assert shown[0] == 2.0 and shown[4] == 0.0


def test_unweighted_epochs_show_every_frame_once_in_another_order():
    sampler = StepSampler([1.0] * 8, 4, seed=1)
    sampler.end_step = 4
    steps = [[draw.frame for draw in step] for step in sampler]
    first, second = steps[0] + steps[1], steps[2] + steps[3]
    assert sorted(first) == sorted(second) == list(range(8)) and first != second


def test_processes_share_the_batches_that_one_would_see():
    whole = list(StepSampler([1.0] * 12, 4, seed=3))
    halves = [list(StepSampler([1.0] * 12, 4, 3, rank, 2)) for rank in range(2)]
    assert whole == [left + right for left, right in zip(*halves, strict=True)]


def test_a_batch_larger_than_an_epoch():
    with pytest.raises(ConfigError, match=r"an epoch has 3 frames, fewer than a batch of 4; lower it, or add frames"):
        StepSampler([1.0] * 3, 4, seed=0)


def test_samples_of_different_sizes_cannot_be_a_batch():
    depth = np.ones((4, 4), np.float32)
    samples = [(RgbdFrame(np.zeros((4, size, 3), np.uint8), depth), 0) for size in (4, 5)]
    with pytest.raises(ConfigError, match=r"images of a batch differ in size .* set augmentation\.crop"):
        collate(samples)


def test_consistent_views_of_different_frames_share_a_batch(frames):
    """Frames of cameras that differ by a few pixels; each is resized whole, with Pillow's kernel."""
    settings = {"geometry": "consistent", "crop": [16, 24], "rotation": 0.0, "flip": 0.0, "color": 0.0}
    other = [RgbdFrame(frames[0].image[:31, :45], frames[0].depth[:31, :45]), frames[1]]
    dataset = AugmentedFrames(other, parse(AugmentationConfig, settings), seed=5, input_size=(16, 32))
    batch = collate([dataset[Draw(0, 0, index)] for index in range(2)])
    assert batch.images.shape == (2, 16, 32, 3) and batch.depth.shape == (2, 1, 16, 24)
    for shown, frame in zip(batch.images, other, strict=True):
        expected = resize_bicubic(frame.image, 16, 32).astype(int)
        assert np.abs(shown.numpy().astype(int) - expected).max() <= 1


def test_an_image_of_the_input_s_size_is_not_resized(frames):
    settings = {"geometry": "consistent", "rotation": 0.0, "flip": 0.0, "color": 0.0}
    dataset = AugmentedFrames(frames, parse(AugmentationConfig, settings), seed=5, input_size=(32, 48))
    np.testing.assert_array_equal(dataset[Draw(0, 0, 3)][0].image, frames[3].image)


def test_frames_kept_in_memory_are_those_on_disk(frames):
    kept = frames.without([])
    seen: list[int] = []
    kept.keep_in_memory(lambda: seen.append(1))
    assert len(seen) == len(kept) == 6
    for index in range(6):
        np.testing.assert_array_equal(kept[index].image, frames[index].image)
        np.testing.assert_array_equal(kept[index].depth, frames[index].depth)


def broken(folder: Path, **options: bool) -> FrameCollection:
    """Four frames, the first of which cannot be read."""
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 48, 3), number, np.uint8))
        cv2.imwrite(str(folder / f"{number}_d.png"), np.full((32, 48), 256 * (number + 1), np.uint16))
    (folder / "0.png").write_bytes(b"no picture")
    (folder / "list.txt").write_text("".join(f"{number}.png {number}_d.png 1\n" for number in range(4)))
    source = SourceConfig(kind="kitti_list", path=str(folder), file_list=str(folder / "list.txt"))
    return FrameCollection(open_sources([source]), **options)


@pytest.mark.parametrize("cached", [False, True])
def test_training_takes_the_next_frame_in_place_of_a_skipped_one(tmp_path, cached):
    frames = broken(tmp_path, skip_broken=True)
    if cached:
        frames.keep_in_memory(lambda: None)
    dataset = AugmentedFrames(frames, parse(AugmentationConfig, {"crop": [], "rotation": 0.0}), seed=5)
    shown = [dataset[Draw(0, place, place)][0].depth for place in range(4)]
    assert [int(depth[0, 0]) for depth in shown] == [2, 2, 3, 4]


def test_no_frame_can_be_read(tmp_path):
    frames = broken(tmp_path, skip_broken=True)
    for number in range(4):
        (tmp_path / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"no frame can be read; check it with 'space_clip data check"):
        AugmentedFrames(frames, parse(AugmentationConfig, CROP), seed=5)[Draw(0, 0, 2)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_frame_is_one_error_whichever_process_reads_it(tmp_path, workers):
    with pytest.raises(DataError) as raised:
        loaded(broken(tmp_path), workers)
    assert "list.txt, line 1" in raised.value.what
    assert raised.value.remedy == "repair the file, or set data.skip_broken=true"
    assert "Traceback" not in str(raised.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_of_several_sizes_is_one_error_whichever_process_stacks_it(tmp_path, workers):
    frames = broken(tmp_path, skip_broken=True)
    for name, kind in (("1.png", np.uint8), ("1_d.png", np.uint16)):
        cv2.imwrite(str(tmp_path / name), np.full((30, 48), 200, kind))
    dataset = AugmentedFrames(frames, parse(AugmentationConfig, {"crop": [], "rotation": 0.0}), seed=5)
    with pytest.raises(ConfigError, match=r"^images of a batch differ in size"):
        list(training_loader(dataset, StepSampler(frames.weights, 4, seed=5), workers))


def test_shrinking_averages_the_image_and_keeps_the_nearest_depth():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = [[[0], [100]], [[100], [200]]]
    depth = np.full((4, 4), np.nan, np.float32)
    depth[0, 1] = 6.0
    small = shrink(RgbdFrame(image, depth), (2, 2))
    assert small.image[0, 0, 0] == 100
    np.testing.assert_array_equal(small.depth, np.array([[6.0, np.nan], [np.nan, np.nan]], np.float32))


def test_the_sample_drive_by_frame_ranges(kitti_drive_dir: Path):
    root = str(kitti_drive_dir.parents[1])
    train, validation = (
        FrameCollection(open_sources([SourceConfig(path=root, frames=frames)])) for frames in ((0, 40), (40, 48))
    )
    assert (len(train), len(validation)) == (40, 8)
    assert validation.label(0).endswith("_sync/0000000040")
    frame = validation[0]
    assert frame.image.shape == (375, 1242, 3) and 14_000 < (~np.isnan(frame.depth)).sum() < 19_000


def test_splices_and_spectra_of_other_frames_follow_from_the_draw(frames):
    settings = parse(AugmentationConfig, {**CROP, "splice": 1.0, "spectrum": 1.0})
    plain, mixed = (
        AugmentedFrames(frames, settings_used, seed=5) for settings_used in (parse(AugmentationConfig, CROP), settings)
    )
    draw = Draw(0, 3, 1)
    frame, index = mixed[draw]
    assert frame.image.shape == (16, 24, 3) and frame.depth.shape == (16, 24) and index == 1
    np.testing.assert_array_equal(frame.image, mixed[draw][0].image)
    np.testing.assert_array_equal(frame.depth, mixed[draw][0].depth)
    assert not np.array_equal(frame.image, plain[draw][0].image)


def test_labels_move_with_their_pixels_and_frames_without_any_are_unlabelled(frames):
    """A frame whose class says which half of the picture a pixel is from, as its red does."""
    columns = np.arange(48)[None].repeat(32, axis=0)
    half = (columns >= 24).astype(np.uint8)
    image = np.stack([half * 255, half, half], axis=-1).astype(np.uint8)
    labelled = RgbdFrame(image, np.full((32, 48), 9.0, np.float32), labels=half)
    bare = labelled._replace(labels=None)
    settings = parse(
        AugmentationConfig, {**CROP, "crop": [32, 48], "color": 0.0, "rotation": 0.0, "flip": 0.5, "zoom": 1.8}
    )
    dataset = AugmentedFrames([labelled, bare], settings, seed=2)
    batch = collate([dataset[Draw(0, place, place % 2)] for place in range(12)])
    assert batch.labels is not None and batch.labels.shape == (12, 32, 48) and batch.labels.dtype == torch.uint8
    assert bool((batch.labels[1::2] == UNLABELLED).all())
    for shown, classes in zip(batch.images[::2], batch.labels[::2], strict=True):
        clear = (shown[..., 0] < 64) | (shown[..., 0] > 191)
        assert torch.equal(classes[clear] == 1, shown[..., 0][clear] > 127)
    assert collate([dataset[Draw(0, 0, 1)]]).labels is None


def test_spliced_labels_come_from_the_frame_that_the_pixels_come_from():
    depth = np.full((4, 8), 5.0, np.float32)
    ours = RgbdFrame(np.zeros((4, 8, 3), np.uint8), depth, labels=np.full((4, 8), 3, np.uint8))
    theirs = RgbdFrame(np.full((4, 8, 3), 255, np.uint8), depth)
    joined = splice(ours, theirs, np.random.default_rng(0))
    np.testing.assert_array_equal(joined.labels, np.where(joined.image[..., 0] == 0, 3, UNLABELLED))


def test_labels_survive_shrinking():
    labels = np.repeat(np.repeat(np.array([[0, 7], [9, 255]], np.uint8), 4, 0), 4, 1)
    frame = RgbdFrame(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 3.0, np.float32), labels=labels)
    np.testing.assert_array_equal(shrink(frame, (2, 2)).labels, [[0, 7], [9, 255]])
