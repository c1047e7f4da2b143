"""Which topics of a bag hold colour images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.messages import compressed_from_array
from space_clip_ros.messages.bag_types import BAGS
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.image_topics import ImageTopic, choose_images, image_topics
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter

RGB = np.zeros((4, 6, 3), np.uint8)
DEPTH = np.ones((4, 6), np.float32)


def write(path: Path, *names: str) -> Path:
    """Write a bag with one image on each topic; the topic's name chooses the kind of image."""
    head = messages.header(0, "camera")
    with BagWriter(path) as bag:
        for name in ("/tf", *names):
            form = "CompressedImage" if "compressed" in name else "Image"
            bag.add(name, "tf2_msgs/msg/TFMessage" if name == "/tf" else f"sensor_msgs/msg/{form}", qos.SENSOR)
        bag.write("/tf", 1, messages.transforms())
        for name in names:
            if "compressed" in name:
                bag.write(name, 2, compressed_from_array(RGB, "png", head, BAGS))
            else:
                kinds = {"depth": DEPTH, "truth": (1000 * DEPTH).astype(np.uint16)}
                bag.write(name, 2, messages.image(kinds.get(name.rpartition("/")[2], RGB), head))
    return path


def test_depth_is_no_colour(tmp_path: Path) -> None:
    names = ("/cam/image_raw", "/cam/depth", "/cam/truth", "/cam/depth/compressedDepth", "/rear/image/compressed")
    with BagReader(write(tmp_path / "bag", *names)) as bag:
        topics = image_topics(bag)
        assert topics == [ImageTopic("/cam/image_raw", False), ImageTopic("/rear/image/compressed", True)]
        assert [(topic.namespace, topic.info) for topic in topics] == [
            ("/cam/", "/cam/camera_info"),
            ("/rear/", "/rear/camera_info"),
        ]
        assert choose_images(bag, ["rear/image/compressed"]) == topics[1:]
        assert choose_images(bag, ["/rear/image/compressed", "/cam/image_raw"]) == topics[::-1]
        with pytest.raises(InputError, match="several image topics, /cam/image_raw, /rear/image/compressed; choose"):
            choose_images(bag)
        with pytest.raises(InputError, match="no colour images on /cam/depth; it has them on /cam/image_raw, /rear"):
            choose_images(bag, ["/cam/depth"])


def test_our_own_outputs_are_no_camera(tmp_path: Path) -> None:
    """Pictures added by ``predict --bag --color --labels`` are not cameras, so there is nothing to choose."""
    outputs = ("/cam/depth/color", "/cam/depth/color/compressed", "/semantic/labels", "/semantic/confidence")
    with BagReader(write(tmp_path / "bag", "/cam/image_raw", *outputs)) as bag:
        assert choose_images(bag) == [ImageTopic("/cam/image_raw", False)]


@pytest.mark.parametrize("text", ["16UC1; png compressed ", "32FC1"])
def test_compressed_depth_is_no_colour(tmp_path: Path, text: str) -> None:
    """``image_transport`` compresses 16-bit depth as PNG, too."""
    message: Any = compressed_from_array(RGB, "png", messages.header(0, "camera"), BAGS)
    with BagWriter(tmp_path / "bag") as bag:
        for name, encoding in (("/color/compressed", "rgb8; png compressed bgr8"), ("/depth/compressed", text)):
            message.format = encoding
            bag.add(name, "sensor_msgs/msg/CompressedImage", qos.SENSOR)
            bag.write(name, 1, message)
    with BagReader(tmp_path / "bag") as read:
        assert image_topics(read) == [ImageTopic("/color/compressed", True)]


def test_the_only_one_needs_no_choice(tmp_path: Path) -> None:
    with BagReader(write(tmp_path / "bag", "/image")) as bag:
        assert choose_images(bag) == [ImageTopic("/image", False)]


def test_topics_without_messages_do_not_count(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
        bag.write("/tf", 1, messages.transforms())
    with (
        BagReader(tmp_path / "bag") as read,
        pytest.raises(DataError, match="no topic of colour images"),
    ):
        choose_images(read)


def test_two_forms_of_one_image_would_have_the_same_depth(tmp_path: Path) -> None:
    with BagReader(write(tmp_path / "bag", "/image", "/image/compressed")) as bag:
        with pytest.raises(InputError, match=r"would have the same topics, /depth/\.\.\.; choose one"):
            choose_images(bag, ["/image", "/image/compressed"])
        assert choose_images(bag, ["/image/compressed"]) == [ImageTopic("/image/compressed", True)]


@pytest.mark.parametrize("damaged", [1, 3])
def test_damaged_images_do_not_hide_the_others(tmp_path: Path, damaged: int) -> None:
    """A damaged first image once ended everything."""
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        for stamp in range(3):
            if stamp < damaged:
                bag.write_serialized("/image", stamp, b"\0\1\0\0cut")
            else:
                bag.write("/image", stamp, messages.image(RGB, messages.header(stamp, "camera")))
    with BagReader(tmp_path / "bag") as read:
        assert choose_images(read) == [ImageTopic("/image", False)]
