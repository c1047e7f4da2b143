"""One side of the training benchmark, in a separate process so that its peak memory can be measured.

Standard input: one line of JSON with ``side``, ``config`` (a :class:`TrainingConfig`) and ``steps`` (for the reading
side ``seconds``), then lines with a number of steps to take. Standard output: one line of JSON when ready, and one for
each step.
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
from space_clip_ros.tools.benchmark.device_roofline import wait
from space_clip_ros.tools.benchmark.plain_training import PlainLoop
from space_clip_ros.tools.benchmark.training import PLAIN, READING
from space_clip_ros.training.assembly import build_stepper
from space_clip_ros.training.processes import Processes, joined
from space_clip_ros.training.schedule import learning_rate
from space_clip_ros.training.step import StepResult
from space_clip_ros.training.throughput import measure_reading
from space_clip_ros.training_config import TrainingConfig, sources


class Loop(Protocol):
    """A training loop."""

    def take(self, batch: Batch, lr: float) -> StepResult:
        """Take one step."""
        ...


def main() -> None:
    """Follow standard input until it ends; after a :class:`SpaceClipError` the last line has it as ``error``."""
    # Ctrl-C reaches every process of a terminal; the parent decides what to do, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    config = parse(TrainingConfig, order["config"])
    if config.runtime.threads:
        torch.set_num_threads(config.runtime.threads)
    try:
        if order["side"] == READING:
            speed = measure_reading(config, order["seconds"])
            _write({**speed._asdict(), "samples_per_s_per_worker": speed.samples_per_s_per_worker})
            return
        with joined(config.runtime.device) as processes:
            for report in take_steps(order["side"], config, order["steps"], processes):
                _write(report)
    except SpaceClipError as error:
        _write({"error": str(error)})


def take_steps(side: str, config: TrainingConfig, steps: int, processes: Processes) -> Iterator[dict[str, Any]]:
    """Yield a report when ready, and one after each step that a line of standard input asks for.

    The first step warms up and is not reported. Frames are read between steps and not timed: reading is the same for
    both sides, and other processes do it in a real run.

    Args:
        side: :data:`PLAIN` for the plain loop, otherwise ours.
        config: the recipe.
        steps: how many steps there will be; the schedule needs it.
        processes: this process alone.

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
            with _timed(processes.device) as times:
                result = _step(loop, batch, config, done, steps)
            yield {
                **times,
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
    if side == PLAIN:
        return PlainLoop(model, config, processes.device)
    *_, stepper = build_stepper(model, config, processes)
    return stepper


def _step(loop: Loop, batch: Batch, config: TrainingConfig, step: int, steps: int) -> StepResult:
    torch.manual_seed(step)  # so that both sides draw the same dropout
    settings = config.optimizer
    lr = learning_rate(step, steps + 1, settings.lr, settings.final_lr, int((steps + 1) * settings.warmup))
    return loop.take(batch, lr)


@contextmanager
def _timed(device: torch.device) -> Iterator[dict[str, float]]:
    """Yield a dictionary that gets the block's wall and CPU seconds at its end."""
    times: dict[str, float] = {}
    wait(device)
    wall, cpu = time.perf_counter(), time.process_time()
    yield times
    wait(device)
    times.update(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu)


def _device_peak_mb(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None


def _write(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
