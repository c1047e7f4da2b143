from __future__ import annotations

import cv2
import numpy as np
import pytest

from space_clip_ros.data.listed_frames import ListedFrames, nyu_frames
from space_clip_ros.errors import DataError


@pytest.fixture()
def scene(tmp_path):
    """One frame of a scene as NYU's lists name it, with leading slashes."""
    folder = tmp_path / "kitchen_0001"
    folder.mkdir()
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 255
    cv2.imwrite(str(folder / "rgb_00000.jpg"), red)
    depth = np.full((48, 64), 2500, np.uint16)
    depth[0] = 0
    cv2.imwrite(str(folder / "sync_depth_00000.png"), depth)
    path = tmp_path / "list.txt"
    path.write_text("/kitchen_0001/rgb_00000.jpg /kitchen_0001/sync_depth_00000.png 518.8579\n")
    return path


def test_depth_is_in_millimetres_and_images_in_rgb(scene):
    frames = nyu_frames(scene, scene.parent, scene.parent)
    frame = frames.frame(0)
    assert len(frames) == 1
    assert frame.image.shape == (48, 64, 3) and frame.image[24, 32, 0] > 250 and frame.image[24, 32, 2] < 5
    assert np.isnan(frame.depth[0]).all()
    np.testing.assert_array_equal(frame.depth[1:], np.float32(2.5))


def test_kitti_s_lists_are_in_256ths_of_a_metre(scene):
    frame = ListedFrames(scene, scene.parent, scene.parent).frame(0)
    np.testing.assert_array_equal(frame.depth[1:], np.float32(2500 / 256))


def test_frames_are_named_by_list_and_line(scene):
    assert nyu_frames(scene, scene.parent, scene.parent).label(0) == (f"{scene}, line 1 (kitchen_0001/rgb_00000.jpg)")


def test_a_frame_s_scene_is_its_drive_or_its_folder(scene, kitti):
    assert nyu_frames(scene, scene.parent, scene.parent).scene(0) == "kitchen_0001"
    (kitti / "list.txt").write_text(f"2011_09_26/{DRIVE} 5 l\n")
    assert ListedFrames(kitti / "list.txt", kitti / "raw", kitti / "depth").scene(0) == DRIVE
    scene.write_text("rgb_00000.jpg sync_depth_00000.png 518.8579\n")
    folder = scene.parent / "kitchen_0001"
    assert nyu_frames(scene, folder, folder).scene(0) == "kitchen_0001"
    assert nyu_frames(scene, folder, folder).frame(0).camera is None


def test_a_missing_picture_and_depth_of_another_size(scene):
    frames = nyu_frames(scene, scene.parent, scene.parent)
    image, depth = frames.files(0)
    cv2.imwrite(str(depth), np.ones((10, 12), np.uint16))
    with pytest.raises(DataError, match=r"depth of 12 x 10 pixels for an image of 64 x 48; correct the pair"):
        frames.frame(0)
    image.unlink()
    with pytest.raises(DataError, match=r"rgb_00000\.jpg: cannot be read"):
        frames.frame(0)


DRIVE = "2011_09_26_drive_0022_sync"


@pytest.fixture()
def kitti(tmp_path):
    """Two converted pictures of a KITTI drive, the second with annotated depth in ``train``."""
    pictures = tmp_path / "raw" / "2011_09_26" / DRIVE / "image_02" / "data"
    depth = tmp_path / "depth" / "train" / DRIVE / "proj_depth" / "groundtruth" / "image_02"
    for folder in (pictures, depth):
        folder.mkdir(parents=True)
    for frame in (4, 5):
        cv2.imwrite(str(pictures / f"{frame:010d}.jpg"), np.full((48, 64, 3), 99, np.uint8))
    cv2.imwrite(str(depth / "0000000005.png"), np.full((48, 64), 2560, np.uint16))
    return tmp_path


@pytest.mark.parametrize(
    "lines",
    [
        [f"2011_09_26/{DRIVE} 5 l"],
        [f"2011_09_26/{DRIVE}/image_02/data/0000000005.png"],
        [
            f"2011_09_26/{DRIVE}/image_02/data/0000000005.png "
            f"{DRIVE}/proj_depth/groundtruth/image_02/0000000005.png 721.5377"
        ],
    ],
    ids=["monodepth2", "Eigen", "BTS"],
)
def test_split_files_of_other_projects(kitti, lines):
    (kitti / "list.txt").write_text("\n".join(lines))
    frames = ListedFrames(kitti / "list.txt", kitti / "raw", kitti / "depth")
    frame = frames.frame(0)
    assert len(frames) == 1 and abs(int(frame.image[0, 0, 0]) - 99) < 3
    np.testing.assert_array_equal(frame.depth, np.float32(10))


def test_frames_without_annotated_depth_are_counted(kitti, caplog):
    (kitti / "list.txt").write_text(f"2011_09_26/{DRIVE} 4 l\n2011_09_26/{DRIVE} 5 l\n")
    frames = ListedFrames(kitti / "list.txt", kitti / "raw", kitti / "depth")
    assert len(frames) == 1 and frames.label(0).startswith(f"{kitti}/list.txt, line 2 (")
    assert caplog.messages == [f"{kitti}/list.txt: 1 of 2 frames have no annotated depth"]
    with pytest.raises(DataError, match=r"none of its 2 frames has annotated depth \(looked for .*; set depth_path to"):
        ListedFrames(kitti / "list.txt", kitti / "raw", kitti / "raw")


@pytest.mark.parametrize(
    "line", [f"2011_09_26/{DRIVE} 5 l", f"a.png {DRIVE}/proj_depth/groundtruth/image_02/0000000005.png 7"]
)
def test_kitti_s_depth_is_not_read_as_millimetres(kitti, line):
    (kitti / "list.txt").write_text(f"{line}\n")
    with pytest.raises(DataError, match=r"line 1: is a frame of KITTI, whose depth is not in millimetres; set kind"):
        nyu_frames(kitti / "list.txt", kitti / "raw", kitti / "depth")
