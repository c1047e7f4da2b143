"""Runs a model over frames and compares its depth with the truth; reading overlaps computing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.frames import Frame
from space_clip_ros.evaluation.protocol import Protocol

_READERS = 4
_AHEAD = 16

Image = NDArray[np.uint8]
Depth = NDArray[np.float32]
Predict = Callable[[Image], Depth]
PredictBatch = Callable[[Sequence[Image]], list[Depth]]


class Frames(Interface):
    """What is evaluated: a sequence of frames with names."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def __getitem__(self, index: int) -> Frame:
        """Return one frame."""
        ...

    def label(self, index: int) -> str:
        """Return its name."""
        ...


class Scored(NamedTuple):
    """One frame's result.

    Attributes:
        number: index of the frame.
        label: its name.
        metrics: by name; None where the truth has no pixel that counts.
    """

    number: int
    label: str
    metrics: dict[str, float] | None


def prepared(frames: Frames, indices: Sequence[int], protocol: Protocol) -> Iterator[tuple[int, Frame]]:
    """Yield frames in order, as the protocol compares them, read ahead by a few threads.

    Raises:
        DataError: a frame cannot be read.
    """
    waiting: deque[tuple[int, Future[Frame]]] = deque()
    with ThreadPoolExecutor(_READERS) as pool:
        try:
            for index in indices:
                waiting.append((index, pool.submit(lambda index: protocol.prepare(frames[index]), index)))
                if len(waiting) > _AHEAD:
                    ready, future = waiting.popleft()
                    yield ready, future.result()
            while waiting:
                ready, future = waiting.popleft()
                yield ready, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def evaluate(
    predict: PredictBatch,
    frames: Frames,
    protocol: Protocol,
    on_frame: Callable[[Scored], None] = lambda scored: None,
    batch: int = 1,
) -> list[Scored]:
    """Score every frame.

    Args:
        predict: up to ``batch`` images (H, W, 3) uint8 RGB of one size to as many (H, W) float32 metres.
        frames: what to run over.
        protocol: how to compare.
        on_frame: called with each result, in order.
        batch: images predicted together at most; neighbours of one size are.

    Raises:
        DataError: a frame cannot be read.
    """
    scores = []
    for group in _together(prepared(frames, range(len(frames)), protocol), batch):
        depths = predict([frame.image for _, frame in group])
        for (index, frame), depth in zip(group, depths, strict=True):
            scored = score(index, frames.label(index), depth, frame.depth, protocol)
            scores.append(scored)
            on_frame(scored)
    return scores


def one_by_one(predict: Predict) -> PredictBatch:
    """Return what predicts several images with what predicts one."""
    return lambda images: [predict(image) for image in images]


def _together(frames: Iterator[tuple[int, Frame]], batch: int) -> Iterator[list[tuple[int, Frame]]]:
    """Group neighbours whose images have one size, ``batch`` at most."""
    group: list[tuple[int, Frame]] = []
    for index, frame in frames:
        if group and (len(group) == batch or frame.image.shape != group[0][1].image.shape):
            yield group
            group = []
        group.append((index, frame))
    if group:
        yield group


def score(index: int, label: str, prediction: Depth, truth: Depth, protocol: Protocol) -> Scored:
    """Compare one prediction with its truth."""
    return Scored(index, label, protocol.average().add(protocol.fit(prediction, truth), truth))


def mean_metrics(scores: Sequence[Scored]) -> dict[str, float]:
    """Average the metrics over frames, each counting once; empty where no frame counts."""
    counted = [scored.metrics for scored in scores if scored.metrics is not None]
    return {name: float(np.mean([metrics[name] for metrics in counted])) for name in counted[0]} if counted else {}


def worst(scores: Sequence[Scored], count: int, metric: str = "abs_rel") -> list[Scored]:
    """Return the frames with the largest error, the worst first."""
    counted = [scored for scored in scores if scored.metrics is not None]
    return sorted(counted, key=lambda scored: -(scored.metrics or {})[metric])[:count]


def flip_averaged(predict: Predict) -> Predict:
    """Return a predictor that averages an image's depth with its mirror image's, mirrored back."""

    def averaged(image: Image) -> Depth:
        mirrored = predict(np.ascontiguousarray(image[:, ::-1]))[:, ::-1]
        return ((predict(image) + mirrored) / 2).astype(np.float32)

    return averaged
