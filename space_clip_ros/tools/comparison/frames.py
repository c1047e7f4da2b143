"""Runs several models on the same frames, taking turns, so that a slow phase of the machine slows all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import numpy as np

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.evaluation.evaluator import (
    Estimate,
    FrameScore,
    FrameSequence,
    mean_metrics,
    prepared_frames,
    score_frame,
)
from space_clip_ros.evaluation.protocol import EvaluationProtocol
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.perception.focal_scaling import focal_scaling


@dataclass
class Entrant:
    """One of the compared models.

    Attributes:
        predictor: the model.
        megabytes: size of its file, 10^6 bytes.
        gigaoperations: operations for one image, 10^9; None if the file does not say.
        protocol: how depth is compared; relative depth is scaled to the truth's median.
        scores: scores of the frames so far.
        times_ms: times of the runs so far, one per frame.
    """

    predictor: Predictor
    megabytes: float
    gigaoperations: float | None
    protocol: EvaluationProtocol
    scores: list[FrameScore] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""
        return self.predictor.info

    @property
    def metrics(self) -> dict[str, float]:
        """Averages over all frames; empty if none could be compared."""
        return mean_metrics(self.scores)

    @property
    def p50_ms(self) -> float:
        """Median time of an image, milliseconds."""
        return median(self.times_ms)


OnFrame = Callable[[int, RgbdFrame, Sequence[Depth]], object]
"""Called with a frame's index, the frame and the depth that each model gives for it, in their order."""


def run_together(
    entrants: Sequence[Entrant],
    frames: FrameSequence,
    indices: Sequence[int],
    focal_mode: str = "auto",
    on_frame: OnFrame = lambda index, frame, depths: None,
) -> None:
    """Run every model on every frame, and time and score each run.

    Each frame starts with a different model, because the first one finds the image in no cache.

    Args:
        entrants: the models; their scores and times are extended.
        frames: the frames.
        indices: which of them.
        focal_mode: the setting ``focal_scaling``.
        on_frame: called after each frame.

    Raises:
        DataError: a frame cannot be read.
        SpaceClipError: a model cannot run on it.
    """
    warm: set[tuple[int, ...]] = set()
    for number, (index, frame) in enumerate(prepared_frames(frames, indices, entrants[0].protocol)):
        if frame.image.shape not in warm:
            warm.add(frame.image.shape)
            for entrant in entrants:
                entrant.predictor.run(frame.image)
        order = np.roll(np.arange(len(entrants)), number)
        depths = {place: _run(entrants[place], index, frames.label(index), frame, focal_mode) for place in order}
        on_frame(index, frame, [depths[place] for place in range(len(entrants))])


def _run(entrant: Entrant, index: int, label: str, frame: RgbdFrame, focal_mode: str) -> Depth:
    start = perf_counter()
    prediction = entrant.predictor.run(frame.image)
    entrant.times_ms.append((perf_counter() - start) * 1e3)
    height, width = frame.image.shape[:2]
    factor = focal_scaling(focal_mode, frame.camera, entrant.info.trained_for(width, height)).factor
    depth = np.asarray(prediction.depth * np.float32(factor), np.float32)
    entrant.scores.append(score_frame(index, label, Estimate(depth), frame.depth, entrant.protocol))
    return depth if entrant.info.metric else _by_median(depth, frame, entrant.protocol)


def _by_median(depth: Depth, frame: RgbdFrame, protocol: EvaluationProtocol) -> Depth:
    """Return relative depth at the truth's median, as it is scored and drawn."""
    fitted = protocol.fit(depth, frame.depth)
    known = np.isfinite(frame.depth) & (frame.depth > 0) & (fitted > 0)
    if not known.any():
        return depth
    return np.asarray(depth * np.float32(np.median(frame.depth[known]) / np.median(fitted[known])), np.float32)
