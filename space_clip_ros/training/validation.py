"""Evaluates the raw and the averaged weights over the validation frames, reading each frame once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.evaluator import (
    Estimate,
    FrameScore,
    FrameSequence,
    mean_metrics,
    prepared_frames,
    score_frame,
)
from space_clip_ros.evaluation.pictures import comparison
from space_clip_ros.evaluation.protocol import EvaluationProtocol, named_protocol
from space_clip_ros.evaluation.segmentation import ConfusionMatrix
from space_clip_ros.evaluation.uncertainty import fitted_factor, mean_uncertainty
from space_clip_ros.geometry.focal_factor import applied_factor
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.blocks import resize_bilinear
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.processes import Processes
from space_clip_ros.training.step import to_input
from space_clip_ros.training_config import TrainingConfig

RAW, EMA = WEIGHTS = ("raw", "ema")
LABEL_ERROR = "label_error"
"""Metric of the labels: 1 minus the mean intersection over union of the classes."""


class Validation(NamedTuple):
    """The result of an evaluation.

    Attributes:
        metrics: by weights (:data:`WEIGHTS`), then by name.
        pictures: (4 H, W, 3) uint8 RGB each, of the better weights' first frames; on the first process only.
        criterion: the metric whose smallest value is the best: abs_rel, or that of the only head that is trained.
        factors: by weights, the factor that calibrates the model's uncertainty on these frames; empty without it, and
            if only the language head is trained.
    """

    metrics: dict[str, dict[str, float]]
    pictures: list[NDArray[np.uint8]]
    criterion: str
    factors: dict[str, float]

    @property
    def better(self) -> str:
        """The weights with the smaller criterion; an unknown one is the worst."""
        return min(WEIGHTS, key=self._rank)

    @property
    def score(self) -> float:
        """The criterion of the better weights; infinite if it is unknown."""
        return self._rank(self.better)

    def value(self, weights: str) -> float:
        """Return the criterion of the weights; NaN if no frame could be compared."""
        return self.metrics[weights].get(self.criterion, math.nan)

    def _rank(self, weights: str) -> float:
        value = self.value(weights)
        return math.inf if math.isnan(value) else value


def protocol_of(config: TrainingConfig) -> EvaluationProtocol:
    """Return the evaluation protocol of the settings, over the model's depth range."""
    chosen, model = config.validation, config.model
    return named_protocol(chosen.protocol, model.min_depth, model.max_depth, chosen.crop)


def best_criterion(config: TrainingConfig) -> str:
    """Return the metric that chooses the best weights; smaller is better."""
    return {"uncertainty": "nll", "language": LABEL_ERROR}.get(config.train_only, "abs_rel")


class _StoppedError(Exception):
    """Somebody asked the evaluation to stop."""


class Validator:
    """Evaluates a model during training.

    Args:
        model: in either mode, which is restored afterwards.
        average: its averaged weights.
        frames: the validation frames.
        processes: the frames are shared out among them.
        config: protocol, batch size, precision, pictures.
    """

    def __init__(
        self,
        model: SpaceClip,
        average: WeightAverage,
        frames: FrameSequence,
        processes: Processes,
        config: TrainingConfig,
    ) -> None:
        """Select this process's share of the frames."""
        self._model = model
        self._average = average
        self._frames = frames
        self._processes = processes
        self._config = config
        self._protocol = protocol_of(config)
        self._own = range(processes.rank, len(frames), processes.count)

    @property
    def frames(self) -> int:
        """Number of frames that this process evaluates."""
        return len(self._own)

    @torch.no_grad()
    def run(
        self, on_frame: Callable[[], None], stop_requested: Callable[[], bool] = lambda: False
    ) -> Validation | None:
        """Evaluate both sets of weights.

        Args:
            on_frame: called after each frame.
            stop_requested: asked before each batch of frames; True on any process ends the evaluation.

        Returns:
            The result; None if a stop was requested.

        Raises:
            DataError: a frame cannot be read.
        """
        mode = self._model.training
        self._model.eval()
        try:
            scores, pictures, confusions = self._score(on_frame, stop_requested)
        except _StoppedError:
            return None
        finally:
            self._model.train(mode)
        everywhere = {weights: self._processes.gather(scores[weights]) for weights in WEIGHTS}
        metrics = {weights: mean_metrics(everywhere[weights]) for weights in WEIGHTS}
        for weights, counted in confusions.items():
            matrices = self._processes.gather([counted])
            for other in matrices[1:]:
                matrices[0].merge(other)
            with suppress(InputError):  # no pixel has a label
                metrics[weights][LABEL_ERROR] = 1.0 - matrices[0].scores().mean_iou
        factors = {}
        for weights, frame_scores in everywhere.items():
            uncertain = [score.uncertainty for score in frame_scores if score.uncertainty is not None]
            if uncertain:
                metrics[weights].update(mean_uncertainty(uncertain)._asdict())
            if uncertain and self._config.train_only != "language":
                factors[weights] = self._model.config.uncertainty_factor * fitted_factor(uncertain)
        validation = Validation(metrics, [], best_criterion(self._config), factors)
        return validation._replace(pictures=pictures[validation.better]) if self._processes.first else validation

    def _score(
        self, on_frame: Callable[[], None], stop_requested: Callable[[], bool]
    ) -> tuple[dict[str, list[FrameScore]], dict[str, list[NDArray[np.uint8]]], dict[str, ConfusionMatrix]]:
        scores: dict[str, list[FrameScore]] = {weights: [] for weights in WEIGHTS}
        pictures: dict[str, list[NDArray[np.uint8]]] = {weights: [] for weights in WEIGHTS}
        confusions = {weights: ConfusionMatrix(self._config.model.language.vocabulary) for weights in WEIGHTS}
        for index, frame, estimates in self._predictions(stop_requested):
            for weights, estimate in estimates.items():
                if estimate.labels is not None and frame.labels is not None:
                    confusions[weights].add(estimate.labels, frame.labels)
                scores[weights].append(
                    score_frame(index, self._frames.label(index), estimate, frame.depth, self._protocol)
                )
                if len(pictures[weights]) < self._config.run.pictures:
                    fitted = self._protocol.fit(estimate.depth, frame.depth)
                    pictures[weights].append(comparison(frame.image, fitted, frame.depth, self._config.model.max_depth))
            on_frame()
        return scores, pictures, confusions

    def _predictions(self, stop_requested: Callable[[], bool]) -> Iterator[tuple[int, RgbdFrame, dict[str, Estimate]]]:
        """Yield each frame's index, the frame, and one estimate for each set of weights."""
        frames = prepared_frames(self._frames, self._own, self._protocol)
        size = self._config.validation.batch_size
        # Every process counts the same batches, though its last may be empty, so that all can agree to stop.
        for _ in range(0, -(-len(self._frames) // self._processes.count), size):
            if self._processes.any(stop_requested()):
                raise _StoppedError
            batch = list(islice(frames, size))
            raw = self._predict(batch) if batch else []
            with self._average.applied():
                averaged = self._predict(batch) if batch else []
            for (index, frame), *estimates in zip(batch, raw, averaged, strict=True):
                scaled = (self._for_camera(frame, estimate) for estimate in estimates)
                yield index, frame, dict(zip(WEIGHTS, scaled, strict=True))

    def _for_camera(self, frame: RgbdFrame, estimate: Estimate) -> Estimate:
        """Scale depth for the frame's field of view, as ``space_clip evaluate`` and the node do."""
        camera, trained = frame.camera, self._config.model.training_camera
        if camera is None or not trained:
            return estimate
        width, height, fx, fy = trained
        return estimate.scaled(applied_factor(camera, (width, height, fx, fy)))

    def _predict(self, batch: list[tuple[int, RgbdFrame]]) -> list[Estimate]:
        device = self._processes.device
        # Frames of different drives differ in size by a few pixels, so each is resized separately.
        inputs = torch.cat(
            [to_input(torch.from_numpy(frame.image)[None].to(device), self._config.model) for _, frame in batch]
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=self._config.runtime.bf16):
            output = self._model(inputs, auxiliary=False)
        sigma, dense = self._model.standard_deviation(output), output.dense
        estimates = [Estimate(depth) for depth in _maps(output.depth)]
        if sigma is not None:
            estimates = [
                estimate._replace(uncertainty=values) for estimate, values in zip(estimates, _maps(sigma), strict=True)
            ]
        if dense is not None and self._config.model.language.vocabulary:
            named = [
                _likeliest_classes(features, frame.depth.shape)
                for features, (_, frame) in zip(dense, batch, strict=True)
            ]
            estimates = [estimate._replace(labels=labels) for estimate, labels in zip(estimates, named, strict=True)]
        return estimates


def _likeliest_classes(dense: Tensor, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the likeliest class of each pixel, (H, W) uint8, by features (rows, columns, D)."""
    likely = resize_bilinear(dense.float().permute(2, 0, 1)[None], size)[0].argmax(dim=0)
    return np.asarray(likely.to(torch.uint8).cpu().numpy(), np.uint8)


def _maps(maps: Tensor) -> list[NDArray[np.float32]]:
    return list(maps[:, 0].float().cpu().numpy())
