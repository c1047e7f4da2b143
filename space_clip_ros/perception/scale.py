"""Metric scale while a camera runs: gathers each frame's evidence and keeps the camera's filter."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround, fit_ground_plane
from space_clip_ros.perception.camera_mount import CameraMount
from space_clip_ros.perception.frame_times import started_again
from space_clip_ros.perception.scale_evidence import (
    CAMERA_HEIGHT,
    RANGES,
    Evidence,
    MeasuredCone,
    MeasuredPoints,
    NoEvidence,
    cone_evidence,
    ground_evidence,
    range_evidence,
)
from space_clip_ros.perception.scale_filter import PRIOR_STD, RELATIVE_STD, ScaleFilter

Measured: TypeAlias = MeasuredPoints | MeasuredCone

TOGETHER_S = 0.1
"""Largest difference of stamps at which a measurement belongs to an image, seconds."""

_TILTS = 200
"""Newest frames whose usual pitch of the ground is known: 20 s at 10 Hz."""
_FEWEST_TILTS = 10
_OTHER_BASE = 0.01
"""Smallest change of the other factors, as a share, that restarts the search for the scale."""
_TILT_STEP_DEG = 1.5
"""Smallest change of the ground's pitch that counts as a slope ahead or a nodding car."""


@dataclass(frozen=True)
class ScaleEstimate:
    """The factor on a frame's depth.

    Attributes:
        factor: as applied.
        sigma: its standard deviation, as a share of it.
        age_s: seconds since evidence was last used; None before that.
        evidence: what was used of this frame, such as ``camera height``; empty if nothing was.
        problem: why evidence that was asked for was not used; empty if all was.
        gave_in: evidence that is believed from this frame on, after it was refused for long; empty if there is none.
        doubt: why the factor may be wrong; empty if nothing speaks against it.
        ground: the plane fitted to depth as it was before the factor, or why there is none; None where none was needed.
    """

    factor: float
    sigma: float
    age_s: float | None
    evidence: str
    problem: str
    gave_in: str = ""
    doubt: str = ""
    ground: GroundPlane | NoGround | None = None


@dataclass(frozen=True)
class FrameEvidence:
    """What is known about a frame beside its depth.

    Attributes:
        stamp_s: when it was taken, seconds.
        max_rate: largest change of the factor within a second, as a share of it.
        mount: how the camera stands above the ground, or why that is not known; None if it is not to be used.
        measured: ranges measured at the frame's time, or why there are none; None if they are not to be used.
    """

    stamp_s: float
    max_rate: float
    mount: CameraMount | str | None = None
    measured: Sequence[Measured] | str | None = None


class MetricScale:
    """The scale of one camera's depth. Not for several threads at once.

    Args:
        at_once: the factor takes the estimate's value with each frame, whatever its rate; for single frames.
    """

    def __init__(self, at_once: bool = False) -> None:
        """Start without evidence."""
        self._filter = ScaleFilter()
        self._at_once = at_once
        self._tilts: deque[float] = deque(maxlen=_TILTS)
        self._base = 0.0
        self._stamp_s: float | None = None

    def estimate(
        self,
        depth: Depth,
        camera: PinholeCamera | None,
        known: FrameEvidence,
        base: float = 1.0,
        metric: bool = True,
    ) -> ScaleEstimate:
        """Return the factor to multiply a frame's depth by.

        Args:
            depth: (H, W) float32 metres, without this factor; NaN where the camera did not see.
            camera: its camera; None where it is not known.
            known: what else is known about the frame.
            base: the other factors in ``depth``; if they change, everything starts again. A change below 1 % is none:
                with autofocus every image has a slightly different focal length.
            metric: whether the model's depth is in metres; if not, the factor may be any, and takes the first
                evidence's value at once.
        """
        self._filter.trust(PRIOR_STD if metric else RELATIVE_STD)
        if abs(base - self._base) > _OTHER_BASE * base or started_again(self._stamp_s, known.stamp_s):
            self._filter.reset()
            self._tilts.clear()
            self._base, self._stamp_s = base, None
        self._stamp_s = known.stamp_s if self._stamp_s is None else max(known.stamp_s, self._stamp_s)
        unknown = not metric and self._filter.age_s is None
        ground = None
        if camera is not None and isinstance(known.mount, CameraMount):
            ground = fit_ground_plane(depth, camera, up=known.mount.up)
        gathered = self._gather(ground, depth, camera, known)
        evidence = [item for item in gathered if isinstance(item, Evidence)]
        problems = [f"{item.source}: {item.reason}" for item in gathered if isinstance(item, NoEvidence)]
        self._filter.step(known.stamp_s, evidence, known.max_rate)
        if self._at_once or unknown:
            self._filter.jump()
        problems += [f"{source}: {reason}" for source, reason in self._filter.refused.items()]
        used = [item.source for item in evidence if item.source not in self._filter.refused]
        return ScaleEstimate(
            self._filter.factor,
            self._filter.sigma,
            self._filter.age_s,
            ", ".join(dict.fromkeys(used)),
            "; ".join(problems),
            self._filter.gave_in,
            self._filter.doubt,
            ground,
        )

    def _gather(
        self,
        ground: GroundPlane | NoGround | None,
        depth: Depth,
        camera: PinholeCamera | None,
        known: FrameEvidence,
    ) -> list[Evidence | NoEvidence]:
        sources = [
            source for source, what in ((CAMERA_HEIGHT, known.mount), (RANGES, known.measured)) if what is not None
        ]
        if camera is None:
            return [NoEvidence(source, "needs the camera's intrinsics") for source in sources]
        evidence: list[Evidence | NoEvidence] = []
        if isinstance(known.mount, str):
            evidence.append(NoEvidence(CAMERA_HEIGHT, known.mount))
        elif isinstance(ground, NoGround):
            evidence.append(NoEvidence(CAMERA_HEIGHT, ground.value))
        elif known.mount is not None and ground is not None:
            evidence.append(self._unless_tilted(ground_evidence(ground, depth, camera, known.mount)))
        if isinstance(known.measured, str):
            evidence.append(NoEvidence(RANGES, known.measured))
        else:
            evidence += [_compared(depth, camera, measured) for measured in known.measured or ()]
        return evidence

    def _unless_tilted(self, evidence: Evidence | NoEvidence) -> Evidence | NoEvidence:
        """Refuse ground whose pitch is not the usual one: the car nods, or a slope begins."""
        usual, spread = 0.0, 0.0
        enough = len(self._tilts) >= _FEWEST_TILTS
        if enough:
            usual = statistics.median(self._tilts)
            spread = 1.4826 * statistics.median(abs(tilt - usual) for tilt in self._tilts)
        if not math.isnan(evidence.tilt_deg):
            self._tilts.append(evidence.tilt_deg)
        if (
            enough
            and isinstance(evidence, Evidence)
            and abs(evidence.tilt_deg - usual) > max(_TILT_STEP_DEG, 3 * spread)
        ):
            return NoEvidence(
                evidence.source, f"the ground's pitch is {evidence.tilt_deg - usual:+.1f} degrees off the usual one"
            )
        return evidence


def _compared(depth: Depth, camera: PinholeCamera, measured: Measured) -> Evidence | NoEvidence:
    if isinstance(measured, MeasuredPoints):
        return range_evidence(depth, camera, measured)
    return cone_evidence(depth, camera, measured)
