from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.metrics import pixel_metrics
from space_clip_ros.evaluation.protocol import named_protocol, reference_protocol, standard_protocol
from space_clip_ros.geometry.camera import PinholeCamera


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
    assert pixel_metrics(*plain.compared(truth * 2, truth))["abs_rel"] == pytest.approx(1.0)
    assert pixel_metrics(*scaled.compared(truth * 2, truth))["abs_rel"] == pytest.approx(0.0)
    assert not standard_protocol("none", max_depth=8.0).compared(truth, truth)[0].size


@pytest.mark.parametrize("protocol", [standard_protocol("none"), standard_protocol("none", median_scaling=True)])
def test_no_pixel_to_compare_is_no_error(protocol):
    predicted, true = protocol.compared(np.ones((4, 4), np.float32), np.full((4, 4), np.nan, np.float32))
    assert predicted.size == true.size == 0


def test_the_camera_is_cropped_and_resized_with_its_image():
    camera = PinholeCamera(1242, 375, 720.0, 720.0, 620.0, 170.0)
    frame = RgbdFrame(np.zeros((375, 1242, 3), np.uint8), np.ones((375, 1242), np.float32), camera)
    assert standard_protocol().prepare(frame).camera == camera
    assert standard_protocol(kitti_crop=True).prepare(frame).camera == camera.cropped(13, 23, 1216, 352)
    assert reference_protocol().prepare(frame).camera == camera.resized(704, 352)


def test_a_protocol_is_found_by_its_name() -> None:
    assert named_protocol("reference", 0.1, 10.0, crop="garg") == reference_protocol(0.1, 10.0)
    assert named_protocol("standard", 0.1, 10.0, "eigen", True, True) == standard_protocol(
        "eigen", True, 0.1, 10.0, median_scaling=True
    )
