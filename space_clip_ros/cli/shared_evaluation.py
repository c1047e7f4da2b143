"""An evaluation shared by the processes of ``torchrun``: each scores every n-th frame, and the first reports."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from space_clip_ros.errors import InputError

if TYPE_CHECKING:
    from space_clip_ros.data.frames import RgbdFrame
    from space_clip_ros.evaluation.evaluator import FrameScore, FrameSequence
    from space_clip_ros.training.processes import Processes


class EvaluationPart:
    """This process's part of an evaluation; all of it outside ``torchrun``.

    Attributes:
        device: device of this process, as ``load_predictor`` takes it.
        first: whether this process reports.
    """

    def __init__(self, device: str, processes: Processes | None = None) -> None:
        """Keep the processes; None for a single process."""
        self.device = device if processes is None else str(processes.device)
        self.first = processes is None or processes.first
        self._processes = processes

    def own(self, frames: FrameSequence) -> FrameSequence:
        """Return the frames that this process scores."""
        return frames if self._processes is None else _EveryNth(frames, self._processes.rank, self._processes.count)

    def all_scores(self, scores: list[FrameScore]) -> list[FrameScore]:
        """Return the scores of all processes, in the order of the frames."""
        if self._processes is None:
            return scores
        rank, count = self._processes.rank, self._processes.count
        numbered = [score._replace(number=rank + score.number * count) for score in scores]
        return sorted(self._processes.gather(numbered), key=lambda score: score.number)

    def total(self, counts: Counter[str]) -> Counter[str]:
        """Return the sum of all processes' counts."""
        return counts if self._processes is None else sum(self._processes.gather([counts]), Counter())


@contextmanager
def shared_evaluation(device: str, needs_order: bool) -> Iterator[EvaluationPart]:
    """Join the processes that ``torchrun`` started, if any, for the duration of the block.

    Args:
        device: value of ``--device``.
        needs_order: whether one process must see all frames in order.

    Raises:
        InputError: it must, and there are several processes.
        BackendError: the device does not exist.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield EvaluationPart(device)
        return
    if needs_order:
        raise InputError("--temporal and --scale", "need all frames in order", "run them without torchrun")
    from space_clip_ros.training.processes import joined

    with joined(device) as processes:
        yield EvaluationPart(device, processes)


class _EveryNth:
    def __init__(self, frames: FrameSequence, first: int, step: int) -> None:
        self._frames = frames
        self._indices = range(first, len(frames), step)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> RgbdFrame:
        return self._frames[self._indices[index]]

    def label(self, index: int) -> str:
        return self._frames.label(self._indices[index])
