"""Message classes of ``rosbags``, for bags that are read and written without ROS."""

from __future__ import annotations

from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

TYPES = get_typestore(Stores.ROS2_HUMBLE)
"""Humble's message types; those used here have not changed on the wire since."""

# vision_msgs is not a core package of ROS. Fields as in its versions 4.0 and 4.1, which Humble and later have.
_VISION = {
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size",
    "Detection3D": "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id",
    "Detection3DArray": "std_msgs/Header header\nDetection3D[] detections",
    "LabelInfo": "std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose",
    "VisionClass": "uint16 class_id\nstring class_name",
}
for _name, _fields in _VISION.items():
    TYPES.register(get_types_from_msg(_fields, f"vision_msgs/msg/{_name}"))


class BagTypes:
    """Makes messages of the classes of ``rosbags``, which share memory with the arrays given."""

    def make(self, kind: str, **fields: Any) -> Any:
        """Return a message; every field must be given. See :class:`~space_clip_ros.messages.types.MessageTypes`."""
        return TYPES.types[kind](**fields)


BAGS = BagTypes()
"""For the builders of this room."""
