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


def test_a_missing_picture_and_depth_of_another_size(scene):
    frames = nyu_frames(scene, scene.parent, scene.parent)
    image, depth = frames.files(0)
    cv2.imwrite(str(depth), np.ones((10, 12), np.uint16))
    with pytest.raises(DataError, match=r"depth of 12 x 10 pixels for an image of 64 x 48"):
        frames.frame(0)
    image.unlink()
    with pytest.raises(DataError, match=r"rgb_00000\.jpg: cannot be read"):
        frames.frame(0)
