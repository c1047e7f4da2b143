"""The factor on depth for a camera whose field of view differs from the training camera's."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.focal_factor import TrainingCamera, applied_factor


@dataclass(frozen=True)
class FocalScaling:
    """What ``focal_scaling`` does to the depth of one camera.

    Attributes:
        factor: what depth is multiplied by.
        text: the factor and its reason, in one line.
        problem: what is missing although ``focal_scaling`` is ``always``, in one line; empty otherwise.
    """

    factor: float = 1.0
    text: str = ""
    problem: str = ""


@functools.lru_cache(maxsize=64)
def focal_scaling(mode: str, camera: PinholeCamera | None, trained: TrainingCamera | None) -> FocalScaling:
    """Decide what depth is multiplied by.

    Args:
        mode: ``auto`` (scale where both cameras are known), ``always`` (the same, and report it as a problem where
            one is not) or ``never``.
        camera: the camera in use; None where unknown.
        trained: the model's training camera; None where unknown.
    """
    if mode == "never":
        return FocalScaling(text="depth is not scaled for the field of view: focal_scaling is never")
    if camera is None or trained is None:
        missing = (
            "this camera's intrinsics are not known"
            if camera is None
            else "the model does not say which camera it was trained with"
        )
        text = f"depth is not scaled for the field of view: {missing}"
        return FocalScaling(text=text, problem=f"focal_scaling is always, but {text}" if mode == "always" else "")
    factor = applied_factor(camera, trained)
    width, height, fx, fy = trained
    seen = f"{_field_of_view(camera.width, camera.fx)} x {_field_of_view(camera.height, camera.fy)} degrees"
    learnt = f"{_field_of_view(width, fx)} x {_field_of_view(height, fy)}"
    if factor == 1.0:
        return FocalScaling(text=f"depth needs no focal factor: this camera sees {seen}, the training camera {learnt}")
    return FocalScaling(
        factor, f"depth x {factor:.3f} for the field of view: this camera sees {seen}, the training camera {learnt}"
    )


def _field_of_view(size: float, focal_length: float) -> str:
    return f"{math.degrees(2.0 * math.atan(0.5 * size / focal_length)):.0f}"
