"""A one-dimensional Kalman filter on the logarithm of depth's scale, and the factor that follows it slowly."""

from __future__ import annotations

import math
from collections.abc import Sequence

from space_clip_ros.perception.scale_evidence import Evidence

PRIOR_STD = 0.2
"""Standard deviation of a model's scale before anything was measured: it is trained to be metric, and errs by this."""
RELATIVE_STD = 1.5
"""The same for a model whose depth has no unit: a factor of 4 is nothing unusual."""

_DRIFT_STD = 0.05
"""How far the scale wanders within a second: other streets, other light."""
_GATE = 3.0
"""Largest difference between evidence and estimate, in standard deviations."""
_STUBBORN_S = 10.0
"""If all evidence was refused for this long, the filter gives in to it."""
_LONGEST_STEP_S = 1.0
_CHECK = "check scale.camera_height, the camera's pitch, and the range sensor's pose and units"


class ScaleFilter:
    """Follows the scale of one camera's depth.

    The state is a random walk. Evidence far from it is refused. Evidence of frames within the time that their error
    lasts counts as one frame's. The published factor moves towards the estimate, by no more than a stated share a
    second.

    Attributes:
        refused: why evidence of the newest frame was not used, by its source; empty if all was.
        gave_in: evidence of the newest frame that is believed after it was refused for long; empty if there is none.
    """

    def __init__(self, prior_std: float = PRIOR_STD) -> None:
        """Start at a factor of 1, which may be off by a standard deviation of ``prior_std``."""
        self._prior_variance = prior_std**2
        self.reset()

    def trust(self, prior_std: float) -> None:
        """Start again if the factor of 1 is trusted more or less than before."""
        if self._prior_variance != prior_std**2:
            self._prior_variance = prior_std**2
            self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._mean = 0.0
        self._variance = self._prior_variance
        self._published = 0.0
        self._stamp_s: float | None = None
        self._used_at: dict[str, float] = {}
        self._refused_since: float | None = None
        self.refused: dict[str, str] = {}
        self.gave_in = ""

    @property
    def doubt(self) -> str:
        """Why the factor may be wrong: a model's scale is hardly ever that far off; empty if it is not far from 1."""
        if self._published**2 <= _GATE**2 * self._prior_variance:
            return ""
        return f"scale_factor is {self.factor:.2f}, and a model's scale is seldom off by so much; {_CHECK}"

    @property
    def factor(self) -> float:
        """The factor to multiply depth by."""
        return math.exp(self._published)

    @property
    def sigma(self) -> float:
        """Relative standard deviation of the factor, including how far it still lags behind the estimate."""
        return math.sqrt(self._variance + (self._mean - self._published) ** 2)

    @property
    def age_s(self) -> float | None:
        """Seconds since evidence was last used; None before that."""
        return None if self._stamp_s is None or not self._used_at else self._stamp_s - max(self._used_at.values())

    def step(self, stamp_s: float, evidence: Sequence[Evidence], max_rate: float) -> None:
        """Go on to a frame.

        Args:
            stamp_s: the frame's time, seconds; one before the newest frame's counts as that.
            evidence: what it says about depth as it was before this filter's factor.
            max_rate: largest change of the factor within a second, as a share of it.
        """
        passed = 0.0 if self._stamp_s is None else max(0.0, stamp_s - self._stamp_s)
        self._stamp_s = stamp_s if self._stamp_s is None else max(stamp_s, self._stamp_s)
        self._variance = min(self._variance + _DRIFT_STD**2 * passed, self._prior_variance)
        self.refused, self.gave_in = {}, ""
        for item in evidence:
            self._update(item, self._stamp_s)
        step = math.log1p(max_rate) * min(passed, _LONGEST_STEP_S)
        self._published += max(-step, min(step, self._mean - self._published))

    def jump(self) -> None:
        """Let the factor take the estimate's value at once, as for frames that do not follow each other."""
        self._published = self._mean

    def _update(self, evidence: Evidence, now_s: float) -> None:
        innovation = evidence.log_factor - self._mean
        if innovation**2 > _GATE**2 * (self._variance + evidence.variance):
            asks = f"asks for a factor of {math.exp(evidence.log_factor):.2f}"
            self._refused_since = now_s if self._refused_since is None else self._refused_since
            if now_s - self._refused_since < _STUBBORN_S:
                self.refused[evidence.source] = f"{asks}, too far from {math.exp(self._mean):.2f}"
                return
            self.gave_in = (
                f"{evidence.source} {asks} instead of {math.exp(self._mean):.2f}: refused for {_STUBBORN_S:g} s, "
                f"believed from now on; {_CHECK}"
            )
            self._variance = max(self._prior_variance, innovation**2)
        self._refused_since = None
        last = self._used_at.get(evidence.source)
        self._used_at[evidence.source] = now_s
        variance = evidence.variance
        if last is not None:
            variance *= max(1.0, evidence.lasts_s / max(now_s - last, 1e-3))
        gain = self._variance / (self._variance + variance)
        self._mean += gain * innovation
        self._variance *= 1 - gain
