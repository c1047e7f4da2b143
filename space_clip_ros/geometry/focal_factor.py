"""How a network sees another field of view than the one it was trained with."""

from __future__ import annotations

import math

from space_clip_ros.geometry.camera import PinholeCamera

TrainingCamera = tuple[float, float, float, float]
"""Width, height, fx and fy of the camera that a model was trained with, pixels."""
SAME_CAMERA = 0.01
"""Factors this close to 1 are 1. The calibrations of KITTI's one camera differ by up to 0.7 % from day to day."""


def focal_factor(camera: PinholeCamera, trained: TrainingCamera) -> float:
    """Return the factor on depth for a camera with another field of view, to first order.

    The network sees every image squeezed to one size, so an object of size S at depth Z covers (fx / width) * S / Z of
    the picture's width and (fy / height) * S / Z of its height. A camera with half the normalised focal length shows
    the object as the training camera would show it from twice as far. Judging by apparent area,

        Z = Z_network * sqrt((fx / width) * (fy / height) / ((fx_t / width_t) * (fy_t / height_t)))

    where t marks the training camera. This corrects scale only, not what the network makes of another perspective.

    Args:
        camera: the camera in use.
        trained: width, height, fx, fy of the training camera, pixels.
    """
    width, height, fx, fy = trained
    area = (camera.fx / camera.width) * (camera.fy / camera.height)
    trained_area = (fx / width) * (fy / height)
    return math.sqrt(area / trained_area)
