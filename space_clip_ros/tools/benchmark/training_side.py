"""One side of the training benchmark, in a process of its own so that its peak memory is its own.

Standard input: one line of JSON with ``side``, ``config`` (a :class:`TrainingConfig`) and ``steps``, then a line with a
number of steps to take at a time. Standard output: one line of JSON when ready and one for each step.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.dataset import AugmentedFrames, Batch, StepSampler, training_loader
from space_clip_ros.errors import SpaceClipError
from space_clip_ros.model import build
from space_clip_ros.settings import parse
from space_clip_ros.tools.benchmark import peak_memory
from space_clip_ros.tools.benchmark.plain_training import PlainLoop
from space_clip_ros.tools.benchmark.training import OURS, READING
from space_clip_ros.training.assembly import build_stepper
from space_clip_ros.training.processes import Processes, joined
from space_clip_ros.training.schedule import learning_rate
from space_clip_ros.training.step import StepResult
from space_clip_ros.training.throughput import measure_reading
from space_clip_ros.training_config import TrainingConfig, sources


class Loop(Protocol):
    """What takes steps."""

    def take(self, batch: Batch, lr: float) -> StepResult:
        """Take one step."""
        ...


def main() -> None:
    """Do as standard input says until it ends; a :class:`SpaceClipError` is the last line, as ``error``."""
    # Ctrl-C reaches every process of a terminal; the one that asks decides what it means, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    config = parse(TrainingConfig, order["config"])
    if config.runtime.threads:
        torch.set_num_threads(config.runtime.threads)
    try:
        if order["side"] == READING:
            speed = measure_reading(config, order["seconds"])
            _tell({**speed._asdict(), "samples_per_s_per_worker": speed.samples_per_s_per_worker})
            return
        with joined(config.runtime.device) as processes:
            for told in take_steps(order["side"], config, order["steps"], processes):
                _tell(told)
    except SpaceClipError as error:
        _tell({"error": str(error)})


def take_steps(side: str, config: TrainingConfig, steps: int, processes: Processes) -> Iterator[dict[str, Any]]:
    """Yield once when ready, and after each step that a line of standard input asks for.

    The first step warms up and is not told of. Frames are read between steps, off the clock: they are the same work for
    both sides, done by other processes in a real run.

    Args:
        side: :data:`OURS` or the plain loop.
        config: the recipe.
        steps: how many steps there will be, which the schedule needs.
        processes: this one alone.

    Raises:
        SpaceClipError: data or settings cannot be used.
    """
    batches = _batches(config, steps + 1)
    loop = _loop(side, config, processes)
    _step(loop, next(batches), config, 0, steps)
    yield {"threads": torch.get_num_threads(), "device": str(processes.device)}
    done = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            batch = next(batches)
            done += 1
            with _clock(processes.device) as spent:
                result = _step(loop, batch, config, done, steps)
            yield {
                **spent,
                "loss": result.losses["total"],
                "grad_norm": result.grad_norm,
                "resident_mb": peak_memory.peak_mb(),
                "device_mb": _device_peak_mb(processes.device),
            }


def _batches(config: TrainingConfig, steps: int) -> Iterator[Batch]:
    data = config.data
    frames = FrameCollection(open_sources(sources(data.train)), data.resolution, data.skip_broken)
    sampler = StepSampler(frames.weights, config.optimizer.batch_size, config.seed)
    sampler.end_step = steps
    dataset = AugmentedFrames(frames, config.augmentation, config.seed, config.model.input_size)
    return iter(training_loader(dataset, sampler, workers=0))


def _loop(side: str, config: TrainingConfig, processes: Processes) -> Loop:
    torch.manual_seed(config.seed)
    model = build(config.model).to(processes.device)
    if side != OURS:
        return PlainLoop(model, config, processes.device)
    *_, stepper = build_stepper(model, config, processes)
    return stepper


def _step(loop: Loop, batch: Batch, config: TrainingConfig, step: int, steps: int) -> StepResult:
    torch.manual_seed(step)  # of dropout, the same for both sides
    settings = config.optimizer
    lr = learning_rate(step, steps + 1, settings.lr, settings.final_lr, int((steps + 1) * settings.warmup))
    return loop.take(batch, lr)


@contextmanager
def _clock(device: torch.device) -> Iterator[dict[str, float]]:
    """Give a dictionary that holds wall and CPU seconds of the block once it is done."""
    spent: dict[str, float] = {}
    _wait(device)
    wall, cpu = time.perf_counter(), time.process_time()
    yield spent
    _wait(device)
    spent.update(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _device_peak_mb(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
