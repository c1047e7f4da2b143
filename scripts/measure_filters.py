"""Measures what temporal filters do to steadiness and error: ``python scripts/measure_filters.py MODEL CONFIG``.

CONFIG is a settings file as ``space_clip evaluate`` takes it; its validation frames should be consecutive.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.cli.console import say
from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.evaluation.temporal import STATIC, TemporalAverage, follows, partners
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference import load_predictor
from space_clip_ros.settings import load
from space_clip_ros.training_config import TrainingConfig, sources

Filter = Callable[[Depth, Depth], Depth]
"""Returns the filtered log depth of a frame, of the filtered log depth before and the frame's own."""

JUMP = 0.2
"""Change of log depth from which a filter with a gate takes the new depth: 22 %."""


def smoothed(share: float, gate: float = np.inf) -> Filter:
    """Average exponentially, pixel by pixel; a change above ``gate`` is taken as it is."""

    def filter(before: Depth, now: Depth) -> Depth:
        change = now - before
        return np.where(np.abs(change) > gate, now, before + np.float32(share) * change)

    return filter


def steady_scale(share: float) -> Filter:
    """Take each frame's shape, and follow its scale slowly."""

    def filter(before: Depth, now: Depth) -> Depth:
        return now - np.float32(1.0 - share) * np.float32(np.median(now - before))

    return filter


FILTERS: dict[str, Filter] = {
    "none": lambda before, now: now,
    "average 0.5": smoothed(0.5),
    "average 0.3": smoothed(0.3),
    "average 0.5, gate": smoothed(0.5, JUMP),
    "average 0.3, gate": smoothed(0.3, JUMP),
    "scale 0.3": steady_scale(0.3),
}


def measure(model: str, config: str) -> None:
    """Print flicker, and abs_rel of pixels whose truth is static, and abs_rel and bias of those where it comes nearer.

    Nearer means by 5 to 20 % since the frame before: what a filter that lags gets wrong, and what a robot stops for.
    """
    protocol = standard_protocol("none")
    frames = FrameCollection(open_sources(sources(load(TrainingConfig, config).data.validation)))
    steadiness = {name: TemporalAverage(protocol) for name in FILTERS}
    errors: dict[str, list[list[np.floating]]] = {name: [] for name in FILTERS}
    logs: dict[str, Depth] = {}
    with load_predictor(model) as predict:
        before: Depth | None = None
        for index in range(len(frames)):
            frame = frames[index]
            raw = np.log(np.maximum(predict(frame.image), protocol.min_depth))
            consecutive = before is not None and follows(frames.files(index - 1), frames.files(index))
            changes = _changes(before, frame.depth) if consecutive and before is not None else None
            for name, filter in FILTERS.items():
                logs[name] = filter(logs[name], raw) if consecutive else raw
                depth = np.exp(logs[name])
                steadiness[name].add(index, frame, depth, consecutive)
                if changes is not None:
                    pixels, change = changes
                    truth = frame.depth.ravel()[pixels]
                    relative = (depth.ravel()[pixels] - truth) / truth
                    static, nearer = relative[np.abs(change) <= STATIC], relative[(change < -STATIC) & (change > -JUMP)]
                    errors[name].append([np.abs(static).mean(), np.abs(nearer).mean(), nearer.mean()])
            before = frame.depth
    say(f"{'filter':<20}{'flicker':>9}{'static':>9}{'nearer':>9}{'bias':>9}")
    for name, report in ((name, average.report()) for name, average in steadiness.items()):
        figures = (report.bands["all"].flicker, *np.nanmean(errors[name], axis=0))
        say(f"{name:<20}" + "".join(f"{figure:9.4f}" for figure in figures))


def _changes(before: Depth, now: Depth) -> tuple[NDArray[np.intp], Depth]:
    """Return pixels with truth in both frames, and the change of its logarithm."""
    here, there = partners(before, now)
    return there, np.log(now.ravel()[there] / before.ravel()[here])


if __name__ == "__main__":
    measure(*sys.argv[1:3])
