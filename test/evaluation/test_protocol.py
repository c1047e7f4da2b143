from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.protocol import reference_protocol, standard_protocol


def test_the_reference_protocol_prepares_the_reference_s_arrays(reference_dir: Path, kitti_drive_dir: Path):
    drive = KittiDrive(kitti_drive_dir)
    frame = reference_protocol().prepare(RgbdFrame(drive.image(0), drive.ground_truth(0)))
    with np.load(reference_dir / "preprocess_kitti_frame0.npz") as file:
        np.testing.assert_array_equal(frame.image.transpose(2, 0, 1), file["image_352x704"])
        # Its depth went through 256ths of a metre.
        np.testing.assert_allclose(np.nan_to_num(frame.depth), file["depth_352x704"][0], atol=1 / 256)


def test_the_standard_protocol_leaves_sizes_alone():
    frame = RgbdFrame(np.zeros((10, 20, 3), np.uint8), np.ones((10, 20), np.float32))
    prepared = standard_protocol().prepare(frame)
    assert prepared.image.shape == (10, 20, 3) and prepared.depth.shape == (10, 20)
    assert standard_protocol().fit(np.ones((5, 5), np.float32), frame.depth).shape == (10, 20)


def test_kitti_s_crop_is_the_bottom_centre():
    depth = np.arange(375 * 1242, dtype=np.float32).reshape(375, 1242)
    frame = standard_protocol(kitti_crop=True).prepare(RgbdFrame(np.zeros((375, 1242, 3), np.uint8), depth))
    np.testing.assert_array_equal(frame.depth, depth[23:, 13:1229])
    assert frame.image.shape == (352, 1216, 3)


def test_an_image_too_small_for_kitti_s_crop():
    with pytest.raises(InputError, match="an image of 640 x 480 has no 1216 x 352 crop"):
        standard_protocol(kitti_crop=True).prepare(
            RgbdFrame(np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32))
        )


def test_median_scaling_and_range_reach_the_metrics():
    truth = np.full((4, 4), 8.0, np.float32)
    plain, scaled = standard_protocol("none"), standard_protocol("none", median_scaling=True)
    assert plain.average().add(truth * 2, truth)["abs_rel"] == pytest.approx(1.0)
    assert scaled.average().add(truth * 2, truth)["abs_rel"] == pytest.approx(0.0)
    assert standard_protocol("none", max_depth=8.0).average().add(truth, truth) is None
