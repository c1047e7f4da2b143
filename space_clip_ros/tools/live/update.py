"""Updates of the page: the newest image, depth and figures in one binary message.

A message is the length of a JSON text (4 bytes, little-endian), the text, then the image and the depth as JPEGs. The
text gives their sizes in bytes. ``page/live.js`` reads it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.tools.reporting.pictures import resized, shown_size

LEVELS = ("ok", "warn", "error")
_MAX_SIDE = 960
_QUALITY = 80


@dataclass(frozen=True)
class Figures:
    """The words and numbers on the page.

    Attributes:
        state: the node's state in one line.
        level: one of :data:`LEVELS`.
        cards: value and name of each main figure.
        facts: name and value of each other figure.
    """

    state: str
    level: str = LEVELS[0]
    cards: Sequence[tuple[str, str]] = ()
    facts: Sequence[tuple[str, str]] = ()


def encode_update(figures: Figures, image: bytes, depth: bytes) -> bytes:
    """Return an update's message; ``image`` and ``depth`` are JPEGs, or empty while there is none."""
    head = json.dumps({**asdict(figures), "image": len(image), "depth": len(depth)}).encode()
    return struct.pack("<I", len(head)) + head + image + depth


def encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) uint8 RGB as a JPEG, shrunk to at most 960 pixels a side."""
    small = resized(picture, shown_size(picture.shape[1], picture.shape[0], _MAX_SIDE))
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def choose_figures(node: Mapping[str, str], evaluator: Mapping[str, str]) -> Figures:
    """Choose what to show from two statuses of ``/diagnostics``.

    Args:
        node: values of ``depth_node``'s status, with its ``message`` and its ``level`` (a digit); empty if there is
            none yet.
        evaluator: values of ``depth_evaluator``'s status; empty if there is none.
    """
    if not node:
        return Figures("Nothing heard from a depth node yet.", LEVELS[1], _cards(evaluator, _EVALUATOR_CARDS))
    stages = ", ".join(
        f"{key.removeprefix(_STAGE)} {value}" for key, value in node.items() if key.startswith(_STAGE) and value
    )
    drops = ", ".join(
        f"{value} {key.removeprefix(_DROPPED)}" for key, value in node.items() if key.startswith(_DROPPED)
    )
    facts = [(name, node[key]) for key, name in _FACTS if node.get(key)]
    facts += [(name, text) for name, text in (("stages, ms", stages), ("drops", drops)) if text]
    level = LEVELS[min(int(node.get("level", "0")), len(LEVELS) - 1)]
    cards = [*_cards(node, _NODE_CARDS), *_cards(evaluator, _EVALUATOR_CARDS)]
    return Figures(node.get("message", ""), level, cards, facts)


_STAGE, _DROPPED = "stage_ms: ", "dropped: "
_NODE_CARDS = (
    ("published_hz", "Hz published", "{:.1f}"),
    ("age_ms_p50", "ms from stamp to output, median", "{:.0f}"),
    ("age_ms_p95", "ms from stamp to output, 95 %", "{:.0f}"),
    ("stage_ms: engine", "ms in the engine", "{:.1f}"),
    ("dropped", "images dropped", "{:.0f}"),
)
_EVALUATOR_CARDS = (
    ("abs_rel", "abs_rel against the truth", "{:.3f}"),
    ("a1", "delta1 against the truth", "{:.3f}"),
    ("frames", "frames compared", "{:.0f}"),
)
_FACTS = (
    ("model", "model"),
    ("backend", "backend"),
    ("device", "device"),
    ("precision", "precision"),
    ("image_topic", "image topic"),
    ("memory_mib", "memory, MiB"),
)


def _cards(values: Mapping[str, str], wanted: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(form.format(float(values[key])), name) for key, name, form in wanted if key in values]
