"""What a camera notes about its newest image, for its status on ``/diagnostics``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from space_clip_ros.perception.calibration import Rectification
from space_clip_ros.perception.focal_scaling import FocalScaling
from space_clip_ros.perception.ground import Ground
from space_clip_ros.perception.scale import ScaleEstimate


@dataclass
class CameraNotes:
    """What is known about a camera's newest image. Threads set the attributes one by one, so there is no lock.

    Attributes:
        scale: the factor on its depth.
        focal: the part of the factor that is for the camera's field of view.
        estimate: the part that was found while running; None where ``scale.mode`` is none.
        ground: its ground; None as long as no output needed it.
        obstacles: which requested settings obstacles cannot follow; empty if none.
        semantic_problem: why outputs of language that are subscribed to do not come out; empty if they do.
        missing: which outputs never come out, as their message package is not installed; empty if none.
        rectification: how its distortion is handled.
    """

    scale: float = 1.0
    focal: FocalScaling = field(default_factory=FocalScaling)
    estimate: ScaleEstimate | None = None
    ground: Ground | None = None
    obstacles: str = ""
    semantic_problem: str = ""
    missing: str = ""
    rectification: Rectification = Rectification.UNKNOWN

    def values(self) -> dict[str, Any]:
        """Return them by the names of :class:`~space_clip_ros.messages.diagnostics.DepthValues`."""
        return {
            "depth_factor": self.scale,
            "focal_factor": self.focal.factor,
            "focal_scaling": self.focal.text or None,
            "rectification": self.rectification.value,
            "semantic_problem": self.semantic_problem or self.missing or None,
            **self._scale_values(),
            **self._ground_values(),
        }

    def _scale_values(self) -> dict[str, Any]:
        estimate = self.estimate
        if estimate is None:
            return {}
        return {
            "scale_factor": estimate.factor,
            "scale_sigma": estimate.sigma,
            "scale_age_s": estimate.age_s,
            "scale_evidence": estimate.evidence,
            "scale_problem": estimate.problem,
        }

    def _ground_values(self) -> dict[str, Any]:
        ground = self.ground
        if ground is None:
            return {}
        known = {"ground": ground.source.value, "ground_problem": ground.problem, "obstacles_note": self.obstacles}
        if ground.plane is None:
            return known
        height_m, tilt_deg = ground.plane.height_m, ground.plane.tilt_deg
        return {**known, "ground_age_s": ground.age_s, "ground_height_m": height_m, "ground_tilt_deg": tilt_deg}
