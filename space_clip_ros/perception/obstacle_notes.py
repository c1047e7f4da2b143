"""What a user should know about the settings of obstacles and the scan, as one frame shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from space_clip_ros.geometry.planar_scan import range_in_view
from space_clip_ros.perception.camera_mount import configured_mount, up_in
from space_clip_ros.perception.frame import DepthFrame, obstacle_limits

_OTHER_TILT_DEG = 3.0


def obstacle_notes(frame: DepthFrame) -> Iterator[tuple[str, str]]:
    """Yield what the settings ask for in vain or contradict each other in: a key that stays the same, and a text.

    Args:
        frame: a frame whose camera is known.
    """
    settings, pose = frame.settings, frame.request.scan_pose
    limits = settings.obstacles
    if limits.max_uncertainty and not frame.has_uncertainty:
        yield "uncertainty", "obstacles.max_uncertainty is ignored: the model gives no uncertainty"
    reach = obstacle_limits(settings).max_range
    if reach < limits.max_range:
        yield "max_depth", f"obstacles.max_range {limits.max_range:g} m is cut to max_depth, {reach:g} m"
    plane, camera = frame.ground.plane, frame.camera
    if "scan" in frame.request.outputs and plane is not None and camera is not None:
        seen = range_in_view(camera, plane)
        if seen < reach:
            yield (
                "view",
                f"the view ends {seen:.1f} m ahead, so depth/scan never calls a direction free: set "
                "obstacles.max_range below that",
            )
    if isinstance(pose, np.ndarray) and (settings.scale.camera_pitch or settings.scale.camera_roll):
        cosine = float(np.dot(configured_mount(settings.scale).up, up_in(pose)))
        apart = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
        if apart > _OTHER_TILT_DEG:
            yield (
                "mount",
                f"scale.camera_pitch and scale.camera_roll differ by {apart:.0f} degrees from TF's "
                f"{settings.scan.frame_id!r}; the parameters are used",
            )
