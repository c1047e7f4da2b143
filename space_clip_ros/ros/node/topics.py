"""Names of a camera's input topics, by image_transport's rules."""

from __future__ import annotations

from rclpy.node import Node

_COMPRESSED = "/compressed"


def image_topic(node: Node, camera: str, transport: str) -> str:
    """Return the resolved input topic.

    As in image_transport, remapping ``image`` moves ``image/compressed`` too; where ``image`` is remapped to a
    compressed topic itself, that is taken.
    """
    base = str(node.resolve_topic_name(f"{camera}/image" if camera else "image"))
    if transport == "compressed":
        return str(node.resolve_topic_name(f"{base.removesuffix(_COMPRESSED)}{_COMPRESSED}"))
    return base


def sibling_info_topic(topic: str) -> str:
    """Return where the camera_info of an image topic lies by image_transport's rule: beside it."""
    return f"{topic.removesuffix(_COMPRESSED).rpartition('/')[0]}/camera_info"
