"""Runs a model over frames and compares its depth with the truth, while threads read the next frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.frames import RgbdFrame, SkippedFrameError
from space_clip_ros.data.read_ahead import batches, map_ahead
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.boundaries import BoundaryScores, boundary_scores
from space_clip_ros.evaluation.distance_bands import BandErrors, band_errors
from space_clip_ros.evaluation.metrics import pixel_metrics
from space_clip_ros.evaluation.protocol import EvaluationProtocol
from space_clip_ros.evaluation.sky import SkyShares, sky_shares
from space_clip_ros.evaluation.uncertainty import FrameUncertainty, frame_uncertainty
from space_clip_ros.geometry.depth import Depth

_READERS = 4
_READ_AHEAD = 16

Image = NDArray[np.uint8]
Predict = Callable[[Image], Depth]


class Estimate(NamedTuple):
    """A model's result for one image.

    Attributes:
        depth: (H, W) float32 metres.
        uncertainty: (H, W) float32, one standard deviation of depth, metres; None if the model gives none.
        labels: (H, W) uint8 class of each pixel; None if the model has no closed list of classes.
    """

    depth: Depth
    uncertainty: Depth | None = None
    labels: NDArray[np.uint8] | None = None

    def scaled(self, factor: float) -> Estimate:
        """Return this with depth and its uncertainty multiplied by a factor."""
        scale = np.float32(factor)
        uncertainty = None if self.uncertainty is None else self.uncertainty * scale
        return self._replace(depth=self.depth * scale, uncertainty=uncertainty)


PredictBatch = Callable[[Sequence[Image]], list[Estimate]]
Correct = Callable[[RgbdFrame, Estimate], Estimate]
"""Corrects a frame's estimate before it is compared, for example by scaling depth for the frame's camera."""
Rescale = Callable[[int, Depth, RgbdFrame], tuple[Depth, Depth]]
"""Maps a frame's index, its depth at the truth's size and the frame to the depth and the truth to compare."""


class FrameSequence(Protocol):
    """The frames to evaluate, each with a name."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def __getitem__(self, index: int) -> RgbdFrame:
        """Return one frame."""
        ...

    def label(self, index: int) -> str:
        """Return the name of one frame."""
        ...


class FrameScore(NamedTuple):
    """The result of one frame.

    Attributes:
        number: index of the frame.
        label: name of the frame.
        metrics: the metrics by name; None if no pixel could be compared.
        bands: errors by distance, by those names in :data:`~space_clip_ros.evaluation.distance_bands.BANDS` that have
            pixels; None if no pixel could be compared.
        boundaries: how well contours fit; None if not asked for, or the truth is not dense.
        sky: how near the sky is; None if not asked for, or no sky is known.
        uncertainty: how well the uncertainty fits the errors; None without uncertainty or comparable pixels.
        coverage: share of the pixels with truth to compare that have a prediction; None without such truth.
    """

    number: int
    label: str
    metrics: dict[str, float] | None
    bands: dict[str, BandErrors] | None = None
    boundaries: BoundaryScores | None = None
    sky: SkyShares | None = None
    uncertainty: FrameUncertainty | None = None
    coverage: float | None = None


def uncorrected(frame: RgbdFrame, estimate: Estimate) -> Estimate:
    """Return an estimate as it was predicted."""
    return estimate


def prepared_frames(
    frames: FrameSequence, indices: Sequence[int], protocol: EvaluationProtocol
) -> Iterator[tuple[int, RgbdFrame]]:
    """Yield (index, frame) in order, prepared by the protocol; a few threads read ahead.

    Frames that are skipped because they cannot be read (``data.skip_broken``) are left out.

    Args:
        frames: the frames to read from.
        indices: which frames.
        protocol: how frames are prepared.

    Raises:
        DataError: a frame cannot be read, or every frame is left out.
        InputError: a frame is smaller than the protocol's crop.
    """
    left_out = 0
    prepared = map_ahead(lambda index: (index, _prepared(frames, index, protocol)), indices, _READ_AHEAD, _READERS)
    for index, frame in prepared:
        if frame is None:
            left_out += 1
        else:
            yield index, frame
    if left_out and left_out == len(indices):
        raise DataError(
            f"none of {left_out} frames can be read", remedy="check the data with 'space_clip data check CONFIG'"
        )


def _prepared(frames: FrameSequence, index: int, protocol: EvaluationProtocol) -> RgbdFrame | None:
    try:
        return protocol.prepare(frames[index])
    except SkippedFrameError:
        return None


def evaluate(
    predict: PredictBatch,
    frames: FrameSequence,
    protocol: EvaluationProtocol,
    on_frame: Callable[[FrameScore], None] = lambda score: None,
    batch: int = 1,
    edges: bool = False,
    correct: Correct = uncorrected,
    on_depth: Callable[[int, RgbdFrame, Depth], None] = lambda index, frame, depth: None,
    rescale: Rescale | None = None,
) -> list[FrameScore]:
    """Score every frame; those that are skipped because they cannot be read have no score.

    Args:
        predict: maps up to ``batch`` images (H, W, 3) uint8 RGB of one size to as many estimates.
        frames: the frames to evaluate.
        protocol: how to compare.
        on_frame: called with each score, in order.
        batch: largest number of images predicted together; they are neighbours of one size.
        edges: also score boundaries and sky, over the whole picture.
        correct: called with each frame, as the protocol prepares it, and its predicted depth.
        on_depth: called with each frame's index, the prepared frame and the depth that is compared, in order.
        rescale: called with each depth map, in the frames' order; returns the depth and the truth to compare.

    Raises:
        DataError: a frame cannot be read, or every frame is left out.
        InputError: a frame is smaller than the protocol's crop, or a prediction cannot be scaled to the median.
    """
    scores = []
    prepared = prepared_frames(frames, range(len(frames)), protocol)
    for group in batches(prepared, batch, lambda item: item[1].image.shape):
        estimates = predict([frame.image for _, frame in group])
        for (index, frame), estimate in zip(group, estimates, strict=True):
            compared, truth = correct(frame, estimate), frame.depth
            if rescale is not None:
                compared, truth = _rescaled(rescale, index, compared, frame, protocol)
            on_depth(index, frame, compared.depth)
            score = score_frame(index, frames.label(index), compared, truth, protocol)
            score = with_edges(score, compared.depth, truth, protocol) if edges else score
            scores.append(score)
            on_frame(score)
    return scores


def one_by_one(predict: Predict) -> PredictBatch:
    """Turn a predictor of one image into one of several images, which calls it for each."""
    return lambda images: [Estimate(predict(image)) for image in images]


def _rescaled(
    rescale: Rescale, index: int, estimate: Estimate, frame: RgbdFrame, protocol: EvaluationProtocol
) -> tuple[Estimate, Depth]:
    """Return the rescaled estimate and the truth to compare; uncertainty stays the same share of depth."""
    fitted = protocol.fit(estimate.depth, frame.depth)
    depth, truth = rescale(index, fitted, frame)
    if estimate.uncertainty is None:
        return Estimate(depth), truth
    share = protocol.fit(estimate.uncertainty, frame.depth) / np.maximum(fitted, np.float32(1e-6))
    return Estimate(depth, share * depth), truth


def score_frame(index: int, label: str, estimate: Estimate, truth: Depth, protocol: EvaluationProtocol) -> FrameScore:
    """Compare an estimate with its truth, (H, W) float32 metres; an estimate of another size is resized first."""
    p, t = protocol.compared(estimate.depth, truth)
    coverage = protocol.coverage(estimate.depth, truth)
    if not p.size:
        return FrameScore(index, label, None, coverage=coverage)
    uncertainty = None
    if estimate.uncertainty is not None:
        relative = protocol.compared_uncertainty(estimate.depth, estimate.uncertainty, truth)
        uncertainty = frame_uncertainty(p, t, relative)
    return FrameScore(index, label, pixel_metrics(p, t), band_errors(p, t), uncertainty=uncertainty, coverage=coverage)


def with_edges(score: FrameScore, prediction: Depth, truth: Depth, protocol: EvaluationProtocol) -> FrameScore:
    """Return the score with those of boundaries and sky, at the truth's size; arguments as :func:`score_frame`.

    They are taken over the whole picture, whatever the protocol's crop, and without median scaling.
    """
    fitted = protocol.fit(prediction, truth)
    return score._replace(
        boundaries=boundary_scores(fitted, truth, protocol.min_depth, protocol.max_depth),
        sky=sky_shares(fitted, truth, protocol.max_depth),
    )


def mean_metrics(scores: Sequence[FrameScore]) -> dict[str, float]:
    """Average the metrics over frames, each with the same weight; empty if no frame has metrics."""
    counted = [score.metrics for score in scores if score.metrics is not None]
    return {name: float(np.mean([metrics[name] for metrics in counted])) for name in counted[0]} if counted else {}


def worst_frames(scores: Sequence[FrameScore], count: int) -> list[FrameScore]:
    """Return the ``count`` frames with the largest abs_rel, the worst first."""
    counted = [score for score in scores if score.metrics is not None]
    return sorted(counted, key=lambda score: -(score.metrics or {})["abs_rel"])[:count]


def flip_averaged(predict: Predict) -> Predict:
    """Return a predictor that averages an image's depth with that of its mirror image, mirrored back."""

    def averaged(image: Image) -> Depth:
        mirrored = predict(np.ascontiguousarray(image[:, ::-1]))[:, ::-1]
        return ((predict(image) + mirrored) / 2).astype(np.float32)

    return averaged
