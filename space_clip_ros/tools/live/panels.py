"""The page's pictures beside image and depth. To add one, give it a row in :data:`PANELS` and a figure in the page.

The page's figure is a canvas whose id is the panel's name; it stays hidden until the first picture comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import Image, LaserScan

from space_clip_ros.geometry.color import Rgb
from space_clip_ros.messages import depth_from_image
from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.messages.laser_scans import scan_from_laser_scan
from space_clip_ros.tools.reporting.scan_picture import scan_picture
from space_clip_ros.tools.reporting.uncertainty_picture import colored_uncertainty, uncertainty_share

# As wide as 30 m of a camera that sees 80 degrees.
_SCAN_SIZE = (640, 360)


@dataclass(frozen=True)
class Panel:
    """A picture drawn from the outputs of one image.

    Attributes:
        topics: message types of the topics that it needs.
        draw: draws the picture, (H, W, 3) uint8 RGB, from those topics' messages of one stamp.
        given: whether the node publishes these topics, by its diagnostics; otherwise they are not subscribed to.
    """

    topics: Mapping[str, Any]
    draw: Callable[[Mapping[str, Any]], Rgb]
    given: Callable[[DepthValues], bool]


def _uncertainty(messages: Mapping[str, Any]) -> Rgb:
    uncertainty, depth = (depth_from_image(messages[name], name) for name in ("depth/uncertainty", "depth/image"))
    return colored_uncertainty(uncertainty_share(uncertainty, depth))


def _scan(messages: Mapping[str, Any]) -> Rgb:
    return scan_picture(scan_from_laser_scan(messages["depth/scan"]), *_SCAN_SIZE)


PANELS: dict[str, Panel] = {
    "uncertainty": Panel(
        {"depth/image": Image, "depth/uncertainty": Image}, _uncertainty, lambda node: bool(node.uncertainty)
    ),
    "scan": Panel({"depth/scan": LaserScan}, _scan, lambda node: True),
}
