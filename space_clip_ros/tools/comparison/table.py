"""The comparison as a table, as plain values for a file, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.evaluation.pictures import comparison
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.tools.comparison.frames import Entrant
from space_clip_ros.tools.latency import summarize

SHOWN = ("abs_rel", "rmse", "a1")
"""Metrics in the table; the file has all."""
_CAPTION_PX = 26
_MARGIN_PX = 8


def table(entrants: Sequence[Entrant]) -> list[str]:
    """Return the lines of a table, one per model; times are also given as multiples of the first model's."""
    rows: list[tuple[str, ...]] = [("model", "runs on", "MB", "GFLOP", "ms", "x", *SHOWN)]
    for entrant in entrants:
        info, metrics = entrant.info, entrant.metrics
        rows.append(
            (
                f"{info.name}{'' if info.metric else ' *'}",
                f"{info.backend} {info.device} {info.precision}",
                f"{entrant.megabytes:.0f}",
                "-" if entrant.gigaoperations is None else f"{entrant.gigaoperations:.1f}",
                f"{entrant.p50_ms:.1f}",
                f"{entrant.p50_ms / entrants[0].p50_ms:.2f}",
                *(f"{metrics[name]:.4f}" if metrics else "-" for name in SHOWN),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) if place < 2 else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    if any(not entrant.info.metric for entrant in entrants):
        lines.append("* relative depth, scaled to the truth's median in each frame; the others are not")
    return lines


def as_json(entrants: Sequence[Entrant], machine: dict[str, Any], protocol: str, frames: int) -> dict[str, Any]:
    """Return every figure as plain values."""
    return {
        "machine": machine,
        "protocol": protocol,
        "frames": frames,
        "models": [
            {
                "name": entrant.info.name,
                "file": entrant.info.file.name,
                "backend": entrant.info.backend,
                "device": entrant.info.device,
                "precision": entrant.info.precision,
                "metric": entrant.info.metric,
                "input_size": list(entrant.info.input_size),
                "megabytes": round(entrant.megabytes, 3),
                "gigaoperations": entrant.gigaoperations,
                "time_ms": summarize(entrant.times_ms),
                "times_the_first": round(entrant.p50_ms / entrants[0].p50_ms, 4),
                "metrics": entrant.metrics,
            }
            for entrant in entrants
        ],
    }


def picture(
    entrants: Sequence[Entrant], frame: RgbdFrame, depths: Sequence[Depth], max_depth: float
) -> NDArray[np.uint8]:
    """Return one column per model, (H, W, 3) uint8 RGB: image, depth, truth and relative error, on the same scales."""
    columns = []
    for entrant, depth in zip(entrants, depths, strict=True):
        fitted = entrant.protocol.fit(depth, frame.depth)
        drawn = comparison(frame.image, fitted, frame.depth, max_depth)
        text = f"{entrant.info.name}: {entrant.p50_ms:.0f} ms"
        if entrant.metrics:
            text += f", abs_rel {entrant.metrics['abs_rel']:.3f}"
        caption = np.full((_CAPTION_PX, drawn.shape[1], 3), 255, np.uint8)
        scale = min(0.6, drawn.shape[1] / (11.0 * len(text)))
        cv2.putText(caption, text, (4, _CAPTION_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
        columns += [np.vstack([caption, drawn]), np.full((drawn.shape[0] + _CAPTION_PX, _MARGIN_PX, 3), 255, np.uint8)]
    return np.hstack(columns[:-1]).astype(np.uint8)
