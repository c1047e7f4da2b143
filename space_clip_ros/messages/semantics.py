"""ROS messages about things found by name: names of labels, boxes, markers and embeddings.

``vision_msgs`` is a separate package that a robot may lack; markers need only packages that come with every ROS 2.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.detections import DetectedObject
from space_clip_ros.messages.types import ROS, MessageTypes

_CUBE, _TEXT = 1, 9
_ADD, _DELETE_ALL = 0, 3
_TEXT_HEIGHT_M = 0.3
_GOLDEN = 0.618034


class LabelNames(NamedTuple):
    """The names of labels.

    Attributes:
        names: the i-th is the name of label i.
        threshold: least probability of a label.
    """

    names: tuple[str, ...]
    threshold: float


def label_info_from_names(labels: LabelNames, header: Any, types: MessageTypes = ROS) -> Any:
    """Build a ``vision_msgs/LabelInfo``. It leaves out 255, which is not a class but means unlabelled.

    Args:
        labels: the names.
        header: its ``std_msgs/Header``.
        types: where the messages' classes come from.
    """
    classes = [
        types.make("vision_msgs/msg/VisionClass", class_id=number, class_name=name)
        for number, name in enumerate(labels.names)
    ]
    return types.make("vision_msgs/msg/LabelInfo", header=header, class_map=classes, threshold=float(labels.threshold))


def detections_from_objects(objects: Sequence[DetectedObject], header: Any, types: MessageTypes = ROS) -> Any:
    """Build a ``vision_msgs/Detection3DArray``: boxes along the axes of the header's frame, ``class_id`` is the name.

    Args:
        objects: the objects found.
        header: the image's, shared.
        types: where the messages' classes come from.
    """
    detections = []
    for detected in objects:
        pose = _pose(detected.center, types)
        uncertain = types.make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36))
        hypothesis = types.make("vision_msgs/msg/ObjectHypothesis", class_id=detected.name, score=detected.score)
        result = types.make("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=uncertain)
        box = types.make("vision_msgs/msg/BoundingBox3D", center=pose, size=_vector(detected.size, types))
        detections.append(types.make("vision_msgs/msg/Detection3D", header=header, results=[result], bbox=box, id=""))
    return types.make("vision_msgs/msg/Detection3DArray", header=header, detections=detections)


def markers_from_objects(objects: Sequence[DetectedObject], header: Any, types: MessageTypes = ROS) -> Any:
    """Build a ``visualization_msgs/MarkerArray``: a box and a text for each object, replacing all earlier ones.

    Args:
        objects: the objects found.
        header: the image's, shared.
        types: where the messages' classes come from.
    """
    markers = [_marker(header, types, action=_DELETE_ALL)]
    for number, detected in enumerate(objects):
        red, green, blue = _color(detected.label)
        markers.append(
            _marker(
                header,
                types,
                ns="boxes",
                id=number,
                type=_CUBE,
                pose=_pose(detected.center, types),
                scale=_vector(detected.size, types),
                color=_rgba((red, green, blue, 0.4), types),
            )
        )
        x, y, z = detected.center
        markers.append(
            _marker(
                header,
                types,
                ns="names",
                id=number,
                type=_TEXT,
                # y points down in an optical frame.
                pose=_pose((x, y - detected.size[1] / 2 - _TEXT_HEIGHT_M, z), types),
                scale=_vector((0.0, 0.0, _TEXT_HEIGHT_M), types),
                color=_rgba((red, green, blue, 1.0), types),
                text=f"{detected.name} {detected.score:.0%}, {z:.1f} m",
            )
        )
    return types.make("visualization_msgs/msg/MarkerArray", markers=markers)


class NamedBox(NamedTuple):
    """A box with a name, as markers show it.

    Attributes:
        text: the name, with how sure it is and how far away.
        center: x, y, z in the markers' frame, metres.
        size: extent along the same axes, metres.
        color: red, green and blue, 0 to 1.
    """

    text: str
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    color: tuple[float, float, float]


def boxes_from_markers(message: Any) -> list[NamedBox]:
    """Return the boxes of a ``visualization_msgs/MarkerArray`` that :func:`markers_from_objects` built."""
    texts = {marker.id: marker.text for marker in message.markers if marker.ns == "names"}
    return [
        NamedBox(
            texts.get(marker.id, ""),
            (marker.pose.position.x, marker.pose.position.y, marker.pose.position.z),
            (marker.scale.x, marker.scale.y, marker.scale.z),
            (marker.color.r, marker.color.g, marker.color.b),
        )
        for marker in message.markers
        if marker.ns == "boxes"
    ]


def multi_array_from_embedding(embedding: NDArray[np.float32], header: Any, types: MessageTypes = ROS) -> Any:
    """Build a ``std_msgs/Float32MultiArray`` of one dimension; it has no header.

    Args:
        embedding: (D,) float32.
        header: not used.
        types: where the messages' classes come from.
    """
    size = len(embedding)
    dimension = types.make("std_msgs/msg/MultiArrayDimension", label="embedding", size=size, stride=size)
    layout = types.make("std_msgs/msg/MultiArrayLayout", dim=[dimension], data_offset=0)
    return types.make("std_msgs/msg/Float32MultiArray", layout=layout, data=np.ascontiguousarray(embedding, np.float32))


def _marker(header: Any, types: MessageTypes, **fields: Any) -> Any:
    nothing = (0.0, 0.0, 0.0)
    stamp = types.make("builtin_interfaces/msg/Time", sec=0, nanosec=0)
    empty = types.make("std_msgs/msg/Header", stamp=stamp, frame_id="")
    values = {
        "ns": "",
        "id": 0,
        "type": 0,
        "action": _ADD,
        "pose": _pose(nothing, types),
        "scale": _vector(nothing, types),
        "color": _rgba((0.0, 0.0, 0.0, 0.0), types),
        "lifetime": types.make("builtin_interfaces/msg/Duration", sec=0, nanosec=0),
        "frame_locked": False,
        "points": [],
        "colors": [],
        "texture_resource": "",
        "texture": types.make("sensor_msgs/msg/CompressedImage", header=empty, format="", data=np.empty(0, np.uint8)),
        "uv_coordinates": [],
        "text": "",
        "mesh_resource": "",
        "mesh_file": types.make("visualization_msgs/msg/MeshFile", filename="", data=np.empty(0, np.uint8)),
        "mesh_use_embedded_materials": False,
        **fields,
    }
    return types.make("visualization_msgs/msg/Marker", header=header, **values)


def _pose(place: Sequence[float], types: MessageTypes) -> Any:
    x, y, z = place
    return types.make(
        "geometry_msgs/msg/Pose",
        position=types.make("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=types.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )


def _vector(values: Sequence[float], types: MessageTypes) -> Any:
    return types.make("geometry_msgs/msg/Vector3", **dict(zip("xyz", values, strict=True)))


def _rgba(values: Sequence[float], types: MessageTypes) -> Any:
    return types.make("std_msgs/msg/ColorRGBA", **dict(zip("rgba", values, strict=True)))


def _color(label: int) -> tuple[float, float, float]:
    """Return a label's colour (red, green, blue): fixed for its number, and far from its neighbours'."""
    return colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, 0.85, 1.0)
