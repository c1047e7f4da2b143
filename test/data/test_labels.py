from __future__ import annotations

import cv2
import numpy as np
import pytest

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.labels import LABEL_NAMES, Label, LabelReader
from space_clip_ros.errors import ConfigError, DataError
from space_clip_ros.model_config import UNLABELLED
from space_clip_ros.settings import find_problems
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training_config import SourceConfig

CLASSES = ("road", "vegetation=vegetation+terrain", "car")


def write(path, values):
    assert cv2.imwrite(str(path), np.asarray(values))
    return path


def test_classes_are_numbered_as_asked_for_and_the_rest_is_unlabelled(tmp_path):
    reader = LabelReader(CLASSES, LABEL_NAMES)
    assert reader.names == ("road", "vegetation", "car")
    shown = np.array([[Label.ROAD, Label.TERRAIN, Label.VEGETATION], [Label.CAR, Label.SKY, 200]], np.uint8)
    read = reader.read(write(tmp_path / "a.png", shown), (2, 3))
    np.testing.assert_array_equal(read, [[0, 1, 1], [2, UNLABELLED, UNLABELLED]])


def test_classes_that_are_not_known_or_stand_twice_are_refused():
    with pytest.raises(ConfigError, match=r"'bird': no class 'bird'; choose from other, road, pavement"):
        LabelReader(["bird"], LABEL_NAMES)
    with pytest.raises(ConfigError, match="class 'road' is listed twice; leave one"):
        LabelReader(["road", "ground=terrain+road"], LABEL_NAMES)


def test_maps_of_another_size_or_kind_are_refused_by_name(tmp_path):
    reader = LabelReader(CLASSES, LABEL_NAMES)
    with pytest.raises(DataError, match=r"a\.png: is 3x2, its picture is 4x2; store"):
        reader.read(write(tmp_path / "a.png", np.zeros((2, 3), np.uint8)), (2, 4))
    with pytest.raises(DataError, match=r"b\.png: is not an 8-bit grey picture, but uint16.*; store"):
        reader.read(write(tmp_path / "b.png", np.zeros((2, 3), np.uint16)), (2, 3))


def test_labels_are_for_raw_drives_alone():
    assert any(
        "labels: not for kind frames, only for kitti_raw, cityscapes" in problem
        for problem in find_problems(SourceConfig, {"kind": "frames", "path": "a", "labels": ["road"]})
    )


def test_a_synthetic_drive_s_labels_are_read_with_its_frames_and_kept_in_memory(tmp_path):
    drive = write_drive(tmp_path, 1, seed=3, scans=False, labels=True, scale=0.2)
    source = SourceConfig(path=str(drive), labels=CLASSES)
    frames = FrameCollection(open_sources([source]))
    labels = frames[0].labels
    assert labels is not None and labels.shape == frames[0].depth.shape
    drawn = cv2.imread(str(KittiDrive(drive).label_file(0)), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels == 0, drawn == Label.ROAD)
    assert len(frames.files(0)) == 3
    frames.keep_in_memory(lambda: None)
    np.testing.assert_array_equal(frames[0].labels, labels)
    bare = write_drive(tmp_path / "bare", 1, seed=3, scans=False, scale=0.2)
    with pytest.raises(DataError, match="has no label map"):
        FrameCollection(open_sources([SourceConfig(path=str(bare), labels=CLASSES)]))[0]
