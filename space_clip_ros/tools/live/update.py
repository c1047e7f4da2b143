"""Updates of the page: the newest pictures and figures in one binary message.

A message holds the length of a JSON text (4 bytes, little-endian), the text, and the pictures as JPEGs. The text gives
the pictures' names and sizes in bytes, in order. ``page/live.js`` reads it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import COLORMAPS
from space_clip_ros.messages.diagnostics import DepthValues, EvaluationValues, Level, status_texts
from space_clip_ros.tools.live.page import depth_bar
from space_clip_ros.tools.reporting.pictures import resized, shown_size
from space_clip_ros.tools.reporting.scale_words import NAME, scale_cards, scale_note

_MAX_SIDE = 960
_QUALITY = 80

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Figures:
    """The words and numbers on the page.

    Attributes:
        state: the node's state in one line.
        level: severity of that state.
        cards: value and name of each main figure.
        facts: name and value of each other figure.
        scale: HTML of the depth picture's colour scale; empty while the node has not said what it is.
    """

    state: str
    level: Level = Level.OK
    cards: Pairs = ()
    facts: Pairs = ()
    scale: str = ""


@dataclass(frozen=True)
class DepthStatus:
    """One status of ``depth_node`` on ``/diagnostics``."""

    level: Level
    message: str
    values: DepthValues

    @classmethod
    def read(cls, message: Any) -> DepthStatus:
        """Read a ``diagnostic_msgs/DiagnosticStatus``; ROS's level STALE counts as an error.

        Raises:
            ValueError: a value that this version does not know.
        """
        level = Level(min(int.from_bytes(message.level, "little"), Level.ERROR))
        return cls(level, message.message, DepthValues.read(status_texts(message)))


def encode_update(figures: Figures, pictures: Mapping[str, bytes]) -> bytes:
    """Return an update's message.

    Args:
        figures: the words and numbers.
        pictures: JPEGs by the ids of their canvases, empty while there is none.
    """
    sizes = {name: len(jpeg) for name, jpeg in pictures.items()}
    head = json.dumps({**asdict(figures), "level": figures.level.name.lower(), "pictures": sizes}).encode()
    return b"".join([struct.pack("<I", len(head)), head, *pictures.values()])


def encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) uint8 RGB as a JPEG, shrunk to at most 960 pixels a side."""
    small = resized(picture, shown_size(picture.shape[1], picture.shape[0], _MAX_SIDE))
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def choose_figures(node: DepthStatus | None, evaluator: EvaluationValues | None) -> Figures:
    """Choose what to show from the newest diagnostics; None stands for a node that has not been heard yet."""
    errors = [] if evaluator is None else _evaluation_cards(evaluator)
    if node is None:
        return Figures("Nothing heard from a depth node yet.", Level.WARN, errors)
    values = node.values
    facts = {
        "model": values.model,
        "backend": values.backend,
        "device": values.device,
        "precision": values.precision,
        NAME: scale_note(values),
        "image topic": values.image_topic,
        "memory, MiB": None if values.memory_mib is None else f"{values.memory_mib:.1f}",
        "stages, ms": ", ".join(f"{stage} {duration:.2f}" for stage, duration in values.stages_ms.items()),
        "drops": ", ".join(f"{count} {reason.value}" for reason, count in values.dropped_by.items()),
    }
    known = [(name, text) for name, text in facts.items() if text]
    cards = [*_depth_cards(values), *scale_cards(values), *errors]
    return Figures(node.message, node.level, cards, known, _scale(values))


def _scale(values: DepthValues) -> str:
    low, high, colormap = values.min_depth, values.max_depth, values.colormap
    return "" if low is None or high is None or colormap not in COLORMAPS else depth_bar(low, high, colormap)


def _depth_cards(values: DepthValues) -> Pairs:
    return _cards(
        (values.published_hz, "{:.1f}", "Hz published"),
        (values.age_ms_p50, "{:.0f}", "ms from stamp to output, median"),
        (values.age_ms_p95, "{:.0f}", "ms from stamp to output, 95 %"),
        (values.stages_ms.get("engine"), "{:.1f}", "ms in the engine"),
        (values.dropped, "{:.0f}", "images dropped"),
    )


def _evaluation_cards(values: EvaluationValues) -> Pairs:
    return _cards(
        (values.abs_rel, "{:.3f}", "abs_rel against the truth"),
        (values.a1, "{:.3f}", "delta1 against the truth"),
        (values.frames, "{:.0f}", "frames compared"),
    )


def _cards(*wanted: tuple[float | None, str, str]) -> Pairs:
    return [(form.format(value), name) for value, form, name in wanted if value is not None]
