"""Writes the result of an evaluation: JSON, a CSV line per image, and pictures of the worst frames."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from space_clip_ros import files
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.distance_bands import ALL, BandErrors, mean_bands
from space_clip_ros.evaluation.evaluator import (
    Correct,
    Estimate,
    FrameScore,
    FrameSequence,
    Predict,
    mean_metrics,
    uncorrected,
)
from space_clip_ros.evaluation.metrics import METRICS
from space_clip_ros.evaluation.pictures import comparison
from space_clip_ros.evaluation.protocol import EvaluationProtocol
from space_clip_ros.evaluation.temporal import TemporalReport
from space_clip_ros.evaluation.uncertainty import UncertaintySummary, mean_uncertainty
from space_clip_ros.geometry.image_file import write_rgb


class Summary(NamedTuple):
    """The average over some frames.

    Attributes:
        frames: number of images averaged.
        skipped: number of images in which no pixel could be compared.
        metrics: averaged metrics, by name; empty if no image could be compared.
        bands: errors by distance, by those names in :data:`~space_clip_ros.evaluation.distance_bands.BANDS` that have
            pixels.
        edges: boundary and sky scores, as in :func:`mean_edges`; empty if not asked for.
    """

    frames: int
    skipped: int
    metrics: dict[str, float]
    bands: dict[str, BandErrors]
    edges: dict[str, dict[str, float]]

    @property
    def overall(self) -> BandErrors | None:
        """The errors at all distances together; None if no image could be compared."""
        return self.bands.get(ALL)


def summarize(scores: Sequence[FrameScore]) -> Summary:
    """Average the scores of frames, each with the same weight."""
    counted = [score.bands for score in scores if score.bands is not None]
    skipped = len(scores) - len(counted)
    return Summary(len(counted), skipped, mean_metrics(scores), mean_bands(counted), mean_edges(scores))


def mean_edges(scores: Sequence[FrameScore]) -> dict[str, dict[str, float]]:
    """Average the boundary and sky scores of frames, each with the same weight.

    Returns:
        ``boundaries`` with the means of :class:`~space_clip_ros.evaluation.boundaries.BoundaryScores` and ``sky`` with
        those of :class:`~space_clip_ros.evaluation.sky.SkyShares`, both with the number of their ``frames``. Scores
        that no frame has are left out.
    """
    means = {}
    for name in ("boundaries", "sky"):
        values = [getattr(score, name) for score in scores if getattr(score, name) is not None]
        if values:
            columns = zip(values[0]._fields, np.mean(values, axis=0).tolist(), strict=True)
            means[name] = {"frames": len(values), **dict(columns)}
    return means


def summarize_groups(scores: Sequence[FrameScore], groups: Sequence[str]) -> dict[str, Summary]:
    """Average the scores of each group of frames.

    Args:
        scores: the scores.
        groups: the name of each one's group.

    Returns:
        A summary by the group's name, in the order of their first frames.
    """
    members: dict[str, list[FrameScore]] = {}
    for score, group in zip(scores, groups, strict=True):
        members.setdefault(group, []).append(score)
    return {group: summarize(group_scores) for group, group_scores in members.items()}


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """The result of one evaluation.

    Attributes:
        model: name of the model.
        backend: name of the backend that ran it.
        protocol: reference or standard.
        settings: the protocol's settings.
        flip: whether depth was averaged with that of the mirror image.
        frames: number of images averaged.
        skipped: number of images in which no pixel could be compared.
        metrics: averaged metrics, by name.
        bands: errors by distance, as in :class:`Summary`.
        edges: boundary and sky scores, as in :class:`Summary`.
        groups: the same for groups of frames, by their names; empty if not asked for.
        focal_scaling: number of frames by what focal scaling did to them.
        temporal: how steady depth is; None if not asked for.
        uncertainty: how well the uncertainty fits the errors; None if the model gives none.
        scale: the error with and without evidence for the scale; None if not asked for.
        unreadable: number of frames left out because they could not be read (``data.skip_broken``).
        coverage: share of the pixels with truth to compare that have a prediction, averaged over the images with such
            truth.
        unpredicted: number of images, of those skipped, that have truth to compare but no prediction at any of it.
    """

    model: str
    backend: str
    protocol: str
    settings: dict[str, Any]
    flip: bool
    frames: int
    skipped: int
    metrics: dict[str, float]
    bands: dict[str, BandErrors]
    edges: dict[str, dict[str, float]]
    groups: dict[str, Summary]
    focal_scaling: dict[str, int] = dataclasses.field(default_factory=dict)
    temporal: TemporalReport | None = None
    uncertainty: UncertaintySummary | None = None
    scale: dict[str, Any] | None = None
    unreadable: int = 0
    coverage: float = 1.0
    unpredicted: int = 0

    @classmethod
    def from_scores(
        cls,
        scores: Sequence[FrameScore],
        model: str,
        backend: str,
        protocol_name: str,
        protocol: EvaluationProtocol,
        flip: bool,
        groups: Sequence[str] = (),
    ) -> EvaluationReport:
        """Average the scores of all frames, and of each group if ``groups`` names the group of every score.

        Raises:
            DataError: no pixel could be compared in any frame, for want of truth or of predictions.
        """
        total = summarize(scores)
        coverages = [score.coverage for score in scores if score.coverage is not None]
        unpredicted = coverages.count(0.0)
        if unpredicted and not total.frames:
            raise DataError(
                model,
                f"predicts no depth (NaN) at any pixel with truth, in {unpredicted} of {len(scores)} frames",
                "check the model; try --precision fp32 if it runs in another precision",
            )
        if not total.frames:
            raise DataError(
                f"none of {len(scores)} frames has depth that counts under the {protocol_name} protocol",
                remedy=f"check the crop and the range of {protocol.min_depth:g} to {protocol.max_depth:g} m",
            )
        by_group = summarize_groups(scores, groups) if groups else {}
        uncertain = [score.uncertainty for score in scores if score.uncertainty is not None]
        uncertainty = mean_uncertainty(uncertain) if uncertain else None
        compared = dataclasses.asdict(protocol)
        return cls(
            *(model, backend, protocol_name, compared, flip, *total, by_group),
            uncertainty=uncertainty,
            coverage=float(np.mean(coverages)) if coverages else 1.0,
            unpredicted=unpredicted,
        )


def write_json(path: Path, report: EvaluationReport) -> None:
    """Write the report as JSON.

    Raises:
        DataError: the file cannot be written.
    """
    files.write_json(path, _plain(dataclasses.asdict(report)))


def write_csv(path: Path, scores: Sequence[FrameScore]) -> None:
    """Write one line per image; images that could not be compared have no numbers.

    Raises:
        DataError: the file cannot be written.
    """
    with files.written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("frame", *METRICS))
        writer.writeheader()
        writer.writerows({"frame": score.label, **(score.metrics or {})} for score in scores)


def write_worst(
    folder: Path,
    scores: Sequence[FrameScore],
    predict: Predict,
    frames: FrameSequence,
    protocol: EvaluationProtocol,
    correct: Correct = uncorrected,
    factors: Mapping[int, float] | None = None,
) -> Iterator[Path]:
    """Predict and draw frames again, in the order given, and yield the paths of the pictures.

    ``factors`` holds a factor on depth for some frames, by their index.

    Raises:
        DataError: a frame cannot be read or a picture cannot be written.
    """
    for rank, score in enumerate(scores, start=1):
        frame = protocol.prepare(frames[score.number])
        estimate = correct(frame, Estimate(predict(frame.image)))
        depth = protocol.scaled(estimate.depth, frame.depth) * np.float32((factors or {}).get(score.number, 1.0))
        path = folder / f"worst_{rank:02d}_abs_rel_{(score.metrics or {})['abs_rel']:.3f}.png"
        write_rgb(path, comparison(frame.image, depth, frame.depth, protocol.max_depth))
        yield path


def _plain(value: Any) -> Any:
    """Turn named tuples into mappings; JSON would make lists of them."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
