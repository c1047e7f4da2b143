"""How a network sees another field of view than the one it was trained with."""

from __future__ import annotations

import math

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.network_size import NetworkSize

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


def applied_factor(camera: PinholeCamera, trained: TrainingCamera | None) -> float:
    """Return what depth is multiplied by: the :func:`focal_factor`, or 1 where the cameras are the same or unknown.

    Args:
        camera: the camera in use.
        trained: the training camera; None where unknown.
    """
    factor = 1.0 if trained is None else focal_factor(camera, trained)
    return 1.0 if abs(factor - 1.0) <= SAME_CAMERA else factor


def training_camera_at(trained: TrainingCamera, network: NetworkSize, width: int, height: int) -> TrainingCamera:
    """Return the training camera that :func:`focal_factor` compares with images whose shape the network keeps.

    Such a network does not see every image squeezed to one size, so fields of view do not tell what it sees. Focal
    lengths in its own pixels do: f * s against f_t * s_t, where s is what the image and s_t what the training image is
    scaled by. The camera returned has images of the given size, and the focal lengths with which the network would see
    them as it saw the training images; with it, ``focal_factor`` is f * s / (f_t * s_t).

    Args:
        trained: the training camera.
        network: how the network resizes.
        width: of the images, pixels.
        height: of the images, pixels.
    """
    trained_width, trained_height, fx, fy = trained
    rows, columns = network.content(height, width)
    trained_rows, trained_columns = network.content(round(trained_height), round(trained_width))
    return (
        float(width),
        float(height),
        fx * (trained_columns / trained_width) * (width / columns),
        fy * (trained_rows / trained_height) * (height / rows),
    )
