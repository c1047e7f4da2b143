"""Scales depth by evidence such as the camera's height, and measures how much that helps."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.protocol import EvaluationProtocol
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.perception.camera_mount import CameraMount
from space_clip_ros.perception.scale import FrameEvidence, MetricScale, ScaleEstimate
from space_clip_ros.perception.scale_evidence import MeasuredPoints

CAMERA_HEIGHT, RANGES = "camera_height", "ranges"
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


class ScaleSpec(NamedTuple):
    """The evidence to use.

    Attributes:
        kind: ``camera_height`` or ``ranges``.
        value: the height in metres; or n, if every n-th row of the truth is evidence.
    """

    kind: str
    value: float


@dataclasses.dataclass(frozen=True)
class ScaleResult:
    """The error with and without the scale.

    Attributes:
        scale: the evidence, as ``KIND:VALUE``.
        rate: frames per second of a drive, or 0 if each frame was scaled by itself.
        frames: number of frames compared.
        used: number of frames whose evidence was used.
        factor_p5, factor_p50, factor_p95: percentiles of the factors.
        unscaled: abs_rel of the same pixels without the factors.
        scaled: abs_rel with the factors.
        median: abs_rel with each frame scaled to the truth's median.
        problems: how often evidence was not used, by reason.
    """

    scale: str
    rate: float
    frames: int
    used: int
    factor_p5: float
    factor_p50: float
    factor_p95: float
    unscaled: float
    scaled: float
    median: float
    problems: dict[str, int]

    @property
    def share(self) -> float | None:
        """Achieved share of the improvement that scaling to the truth's median gives; None if that improves nothing."""
        possible = self.unscaled - self.median
        return (self.unscaled - self.scaled) / possible if possible > 0.02 * self.unscaled else None


class ScaleMeasurement:
    """Scales each frame's depth by its evidence, and collects the results.

    Args:
        spec: the evidence.
        protocol: how depth is compared.
        folders: the folder of each frame; with a rate, each folder and each camera gets a new filter.
        rate: frames per second if the frames of a folder are a drive, which one filter follows as in the node. 0
            scales each frame by its own evidence, weighed against the model's.
        max_rate: the filter's limit, with a rate.
        metric: whether the model's depth is in metres.
    """

    def __init__(
        self,
        spec: ScaleSpec,
        protocol: EvaluationProtocol,
        folders: Sequence[str],
        rate: float,
        max_rate: float,
        metric: bool = True,
    ) -> None:
        """Start without frames."""
        self._spec = spec
        self._protocol = protocol
        self._median = dataclasses.replace(protocol, median_scaling=True)
        self._folders = folders
        self._rate = rate
        self._max_rate = max_rate
        self._metric = metric
        self._scale = MetricScale()
        self._followed: tuple[str, PinholeCamera | None] | None = None
        self._errors: list[tuple[float, float, float]] = []
        self._problems: Counter[str] = Counter()
        self._used = 0
        self.factors: dict[int, float] = {}

    def __call__(self, index: int, depth: Depth, frame: RgbdFrame) -> tuple[Depth, Depth]:
        """Return scaled depth, and the truth without the pixels that were used as evidence.

        Raises:
            InputError: the frame's camera is not known.
        """
        if frame.camera is None:
            raise InputError("--scale", f"the camera of frame {index} is not known", "use frames with intrinsics")
        known, truth = self._known(index, frame, frame.camera)
        estimate = self._estimate(index, depth, frame, known)
        scaled = depth if estimate.factor == 1.0 else depth * np.float32(estimate.factor)
        self.factors[index] = estimate.factor
        self._used += bool(estimate.evidence)
        if estimate.problem:
            self._problems[without_numbers(estimate.problem)] += 1
        errors = [
            _abs_rel(*protocol.compared(estimated, truth))
            for protocol, estimated in ((self._protocol, depth), (self._protocol, scaled), (self._median, depth))
        ]
        if all(math.isfinite(error) for error in errors):
            self._errors.append((errors[0], errors[1], errors[2]))
        return scaled, truth

    def result(self) -> ScaleResult:
        """Return what was measured so far."""
        unscaled, scaled, median = (float(value) for value in np.mean(self._errors, axis=0))
        p5, p50, p95 = (float(value) for value in np.percentile(list(self.factors.values()), (5, 50, 95)))
        text = f"{self._spec.kind}:{self._spec.value:g}"
        return ScaleResult(
            text,
            self._rate,
            len(self._errors),
            self._used,
            p5,
            p50,
            p95,
            unscaled,
            scaled,
            median,
            dict(self._problems.most_common()),
        )

    def _known(self, index: int, frame: RgbdFrame, camera: PinholeCamera) -> tuple[FrameEvidence, Depth]:
        stamp = index / self._rate if self._rate else 0.0
        if self._spec.kind == CAMERA_HEIGHT:
            return FrameEvidence(stamp, self._max_rate, mount=CameraMount(self._spec.value)), frame.depth
        rows = int(self._spec.value)
        evidence = np.zeros(frame.depth.shape, np.bool_)
        evidence[rows // 2 :: rows] = frame.depth[rows // 2 :: rows] > 0
        v, u = np.nonzero(evidence)
        z = frame.depth[v, u]
        points = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=-1)
        truth = np.where(evidence, np.float32(np.nan), frame.depth)
        measured = (MeasuredPoints(points.astype(np.float32), np.eye(4)),)
        return FrameEvidence(stamp, self._max_rate, measured=measured), truth

    def _estimate(self, index: int, depth: Depth, frame: RgbdFrame, known: FrameEvidence) -> ScaleEstimate:
        followed = (self._folders[index], frame.camera)
        if not self._rate:
            self._scale = MetricScale(at_once=True)
        elif followed != self._followed:
            self._scale, self._followed = MetricScale(), followed
        return self._scale.estimate(depth, frame.camera, known, metric=self._metric)


def _abs_rel(prediction: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    return float(np.mean(np.abs(prediction - truth) / truth)) if truth.size else math.nan


def without_numbers(problem: str) -> str:
    """Return a problem with … for each number, so that equal problems are counted together."""
    return _NUMBER.sub("…", problem)
