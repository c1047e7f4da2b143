"""What an evaluation leaves behind: JSON, a line an image, pictures of the worst frames."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import Frames, Predict, Scored, mean_metrics
from space_clip_ros.evaluation.metrics import METRICS
from space_clip_ros.evaluation.pictures import comparison, write_picture
from space_clip_ros.evaluation.protocol import Protocol

_NEAREST_DRAWN_M = 1.0


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of one evaluation.

    Attributes:
        model: name of the model.
        backend: what ran it.
        protocol: reference or standard.
        settings: the protocol's settings.
        flip: whether mirror images were averaged in.
        frames: images averaged.
        skipped: images without a pixel that could be compared.
        metrics: averages, by name.
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
    def of(
        cls, scores: Sequence[Scored], model: str, backend: str, protocol_name: str, protocol: Protocol, flip: bool
    ) -> Report:
        """Sum up.

        Raises:
            DataError: no frame has a pixel that could be compared.
        """
        metrics = mean_metrics(scores)
        if not metrics:
            raise DataError(f"none of {len(scores)} frames has depth that counts under the {protocol_name} protocol")
        counted = sum(scored.metrics is not None for scored in scores)
        settings = dataclasses.asdict(protocol)
        return cls(model, backend, protocol_name, settings, flip, counted, len(scores) - counted, metrics)


def write_json(path: Path, report: Report) -> None:
    """Write the report as JSON.

    Raises:
        DataError: the file cannot be written.
    """
    _write(path, json.dumps(dataclasses.asdict(report), indent=2) + "\n")


def write_csv(path: Path, scores: Sequence[Scored]) -> None:
    """Write one line an image; those that could not be compared have no numbers.

    Raises:
        DataError: the file cannot be written.
    """
    _write(path, "")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("frame", *METRICS))
        writer.writeheader()
        writer.writerows({"frame": scored.label, **(scored.metrics or {})} for scored in scores)


def write_worst(
    folder: Path, scores: Sequence[Scored], predict: Predict, frames: Frames, protocol: Protocol
) -> Iterator[Path]:
    """Draw frames again, the worst first, and yield the pictures' paths.

    Raises:
        DataError: a frame cannot be read or a picture cannot be written.
    """
    for rank, scored in enumerate(scores, start=1):
        frame = protocol.prepare(frames[scored.number])
        depth = protocol.fit(predict(frame.image), frame.depth)
        path = folder / f"worst_{rank:02d}_abs_rel_{(scored.metrics or {})['abs_rel']:.3f}.png"
        write_picture(path, comparison(frame.image, depth, frame.depth, _NEAREST_DRAWN_M, protocol.max_depth))
        yield path


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
