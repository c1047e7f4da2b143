"""Messages of what was found by name.

vision_msgs is not among ROS 2's wheels. Its messages are made from its public definitions as ``rosbags`` reads them,
which refuses a missing field or another type; where the package itself is installed they are compared with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.detections import DetectedObject
from space_clip_ros.messages import header_at, points_from_cloud
from space_clip_ros.messages.clouds import cloud_from_tokens
from space_clip_ros.messages.outputs import LABEL_INFO, TOPICS
from space_clip_ros.messages.semantics import (
    LabelNames,
    boxes_from_markers,
    markers_from_objects,
    multi_array_from_embedding,
)
from space_clip_ros.messages.types import ROS

CAR = DetectedObject(1, "car", 0.75, (1.0, 0.5, 8.0), (1.8, 1.4, 0.5), 12.0)
PERSON = DetectedObject(0, "person", 0.5, (-2.0, 0.0, 5.0), (0.6, 1.7, 0.3), 4.0)
FOUND = [CAR, PERSON]
NAMES = LabelNames(("person", "car"), 0.5)


def read_back(name: str, value: Any) -> Any:
    """Return what a reader of a bag sees of an output."""
    pytest.importorskip("rosbags")
    from space_clip_ros.messages.bag_types import BAGS, TYPES

    message = TOPICS[name].build(value, header_at(7_000_000_009, "camera", BAGS), BAGS)
    return TYPES.deserialize_cdr(TYPES.serialize_cdr(message, TOPICS[name].kind), TOPICS[name].kind)


def test_boxes_have_the_images_frame_and_the_name_as_class() -> None:
    message = read_back("detections", FOUND)
    assert message.header.frame_id == "camera" and message.header.stamp.sec == 7
    car, person = message.detections
    assert car.header == message.header and car.id == ""
    (result,) = car.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("car", 0.75)
    center, size = car.bbox.center, car.bbox.size
    assert (center.position.x, center.position.y, center.position.z) == CAR.center
    assert (size.x, size.y, size.z) == CAR.size
    turn = center.orientation
    assert (turn.x, turn.y, turn.z, turn.w) == (0.0, 0.0, 0.0, 1.0)
    assert result.pose.pose == center and not result.pose.covariance.any()
    assert person.results[0].hypothesis.class_id == "person"
    assert read_back("detections", []).detections == []


def test_names_of_labels() -> None:
    message = read_back(LABEL_INFO, NAMES)
    assert [(entry.class_id, entry.class_name) for entry in message.class_map] == [(0, "person"), (1, "car")]
    assert message.threshold == 0.5


@pytest.mark.parametrize(("name", "value"), [("detections", FOUND), (LABEL_INFO, NAMES)])
def test_the_installed_vision_msgs_are_the_same_on_the_wire(name: str, value: Any) -> None:
    pytest.importorskip("vision_msgs", reason="vision_msgs is not among ROS 2's wheels")
    from rclpy.serialization import serialize_message

    from space_clip_ros.messages.bag_types import BAGS, TYPES

    theirs = TOPICS[name].build(value, header_at(7_000_000_009, "camera"), ROS)
    ours = TOPICS[name].build(value, header_at(7_000_000_009, "camera", BAGS), BAGS)
    assert serialize_message(theirs) == bytes(TYPES.serialize_cdr(ours, TOPICS[name].kind))


def test_markers_replace_those_before_and_name_each_box() -> None:
    clear, box, text, *others = markers_from_objects(FOUND, header_at(1, "camera")).markers
    assert clear.action == clear.DELETEALL and len(others) == 2
    assert (box.type, box.action, box.header.frame_id) == (box.CUBE, box.ADD, "camera")
    assert (box.pose.position.x, box.pose.position.z, box.scale.y) == (1.0, 8.0, 1.4)
    assert 0 < box.color.a < 1 and text.color.a == 1.0
    assert text.type == text.TEXT_VIEW_FACING and text.text == "car 75%, 8.0 m"
    # Above the box: y points down.
    assert text.pose.position.y < box.pose.position.y - box.scale.y / 2
    places = [(entry.ns, entry.id) for entry in (box, text, *others)]
    assert len(set(places)) == 4


def test_boxes_are_read_back_from_markers() -> None:
    first, second = boxes_from_markers(markers_from_objects(FOUND, header_at(1, "camera")))
    assert first.text == "car 75%, 8.0 m" and first.center == FOUND[0].center and first.size == FOUND[0].size
    assert second.center == FOUND[1].center and second.color != first.color
    assert boxes_from_markers(markers_from_objects([], header_at(1, "camera"))) == []


def test_a_names_colour_does_not_depend_on_what_else_is_found() -> None:
    def color(objects: list[DetectedObject], number: int) -> Any:
        return markers_from_objects(objects, header_at(1, "camera")).markers[1 + 2 * number].color

    assert color([PERSON, CAR], 1) == color([CAR], 0) != color([PERSON], 0)


def test_tokens_hold_the_feature_as_one_field() -> None:
    random = np.random.default_rng(0)
    points, features = random.random((3, 4, 3), np.float32), random.random((3, 4, 512), np.float32)
    points[0, 0] = np.nan
    message = cloud_from_tokens(points, features, header_at(1, "camera"))
    assert [(field.name, field.offset, field.count) for field in message.fields] == [
        ("x", 0, 1),
        ("y", 4, 1),
        ("z", 8, 1),
        ("feature", 12, 512),
    ]
    assert (message.height, message.width, message.point_step, message.is_dense) == (3, 4, 2060, False)
    read = points_from_cloud(message)
    np.testing.assert_array_equal(read["feature"], features)
    np.testing.assert_array_equal(read["z"], points[..., 2])


@pytest.mark.parametrize(
    ("points", "features"),
    [
        (np.zeros((2, 3, 3), np.float32), np.zeros((3, 2, 5), np.float32)),
        (np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.float32)),
        (np.zeros((2, 3, 3), np.float32), np.zeros((2, 3, 5))),
        (np.zeros((2, 3, 3), np.float32), np.zeros((2, 3, 0), np.float32)),
    ],
)
def test_tokens_that_do_not_fit_together_are_refused(points: np.ndarray, features: np.ndarray) -> None:
    with pytest.raises(InputError, match="tokens "):
        cloud_from_tokens(points, features, header_at(1, "camera"))


def test_an_embedding_has_one_dimension() -> None:
    message = multi_array_from_embedding(np.array([0.6, 0.8], np.float32), header_at(1, "camera"))
    (dimension,) = message.layout.dim
    assert (dimension.label, dimension.size, dimension.stride) == ("embedding", 2, 2)
    assert list(message.data) == pytest.approx([0.6, 0.8])
