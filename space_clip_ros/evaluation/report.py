"""Writes the result of an evaluation: JSON, a CSV line per image, and pictures of the worst frames."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import FrameScore, FrameSequence, Predict, mean_metrics
from space_clip_ros.evaluation.metrics import METRICS
from space_clip_ros.evaluation.pictures import comparison
from space_clip_ros.evaluation.protocol import EvaluationProtocol
from space_clip_ros.files import write_whole, written_whole
from space_clip_ros.geometry.image_file import write_rgb


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
    """

    model: str
    backend: str
    protocol: str
    settings: dict[str, Any]
    flip: bool
    frames: int
    skipped: int
    metrics: dict[str, float]

    @classmethod
    def from_scores(
        cls,
        scores: Sequence[FrameScore],
        model: str,
        backend: str,
        protocol_name: str,
        protocol: EvaluationProtocol,
        flip: bool,
    ) -> EvaluationReport:
        """Average the scores of all frames.

        Raises:
            DataError: no pixel could be compared in any frame.
        """
        metrics = mean_metrics(scores)
        if not metrics:
            raise DataError(f"none of {len(scores)} frames has depth that counts under the {protocol_name} protocol")
        counted = sum(score.metrics is not None for score in scores)
        settings = dataclasses.asdict(protocol)
        return cls(model, backend, protocol_name, settings, flip, counted, len(scores) - counted, metrics)


def write_json(path: Path, report: EvaluationReport) -> None:
    """Write the report as JSON.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(path, f"{json.dumps(dataclasses.asdict(report), indent=2)}\n".encode())


def write_csv(path: Path, scores: Sequence[FrameScore]) -> None:
    """Write one line per image; images that could not be compared have no numbers.

    Raises:
        DataError: the file cannot be written.
    """
    with written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("frame", *METRICS))
        writer.writeheader()
        writer.writerows({"frame": score.label, **(score.metrics or {})} for score in scores)


def write_worst(
    folder: Path,
    scores: Sequence[FrameScore],
    predict: Predict,
    frames: FrameSequence,
    protocol: EvaluationProtocol,
) -> Iterator[Path]:
    """Predict and draw frames again, in the order given, and yield the paths of the pictures.

    Raises:
        DataError: a frame cannot be read or a picture cannot be written.
    """
    for rank, score in enumerate(scores, start=1):
        frame = protocol.prepare(frames[score.number])
        depth = protocol.fit(predict(frame.image), frame.depth)
        path = folder / f"worst_{rank:02d}_abs_rel_{(score.metrics or {})['abs_rel']:.3f}.png"
        write_rgb(path, comparison(frame.image, depth, frame.depth, protocol.max_depth))
        yield path
