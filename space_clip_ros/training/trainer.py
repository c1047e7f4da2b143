"""The training loop: steps, epochs, checkpoints, and how a run ends early."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from space_clip_ros.training.assembly import Parts, assemble
from space_clip_ros.training.console import Bar, Console
from space_clip_ros.training.journal import Journal
from space_clip_ros.training.processes import Processes, joined
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training.schedule import learning_rate
from space_clip_ros.training.step import StepResult
from space_clip_ros.training_config import TrainingConfig


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        step: steps taken, over all sessions of the run.
        finished: False where it was interrupted; everything is saved then.
        best: the best weights so far; the file is missing where no epoch was finished.
        best_abs_rel: their abs_rel on the validation frames; infinite where there are none.
        first: whether this is the process that reports.
    """

    step: int
    finished: bool
    best: Path
    best_abs_rel: float
    first: bool


def train(config: TrainingConfig, console: Console, resume: bool = False) -> Outcome:
    """Train as the settings say, alone or among the processes of ``torchrun``.

    SIGINT and SIGTERM end the run after the step at hand, with everything saved.

    Args:
        config: the settings.
        console: the first process reports to it.
        resume: go on from the newest checkpoint of ``run.dir``.

    Raises:
        ConfigError: settings that do not fit data, processes or the run to be resumed.
        DataError: frames are missing or broken.
        ModelError: a checkpoint cannot be read or written.
        BackendError: the device is not there.
        SpaceClipError: too many steps in a row were not finite.
    """
    if config.runtime.threads:
        torch.set_num_threads(config.runtime.threads)
    with joined(config.runtime.device) as processes:
        return _session(config, processes, console if processes.first else _Silence(), resume)


def _session(config: TrainingConfig, processes: Processes, console: Console, resume: bool) -> Outcome:
    folder = RunFolder(config.run.dir)
    parts = assemble(config, processes, folder, console, resume)
    return Trainer(config, parts, processes, folder, console).fit()


class Trainer:
    """Runs the steps of one session; :func:`train` puts it together."""

    def __init__(
        self, config: TrainingConfig, parts: Parts, processes: Processes, folder: RunFolder, console: Console
    ) -> None:
        """Take the parts over; see :func:`train`."""
        self._config = config
        self._parts = parts
        self._processes = processes
        self._folder = folder
        self._console = console
        self._step = parts.state["step"]
        self._best = parts.state["best_abs_rel"]
        self._saved_at = time.monotonic()
        self._steps_per_epoch = parts.sampler.steps_per_epoch
        self._total = self._steps_per_epoch * config.optimizer.epochs
        self._journal = Journal(folder.path, config.run, self._step, writing=processes.first)

    def fit(self) -> Outcome:
        """Take the steps that are left."""
        sampler = self._parts.sampler
        sampler.first_step, sampler.end_step = self._step, self._total
        with _signals_noted() as noted, self._console.bar(self._total - self._step, "training") as bar:
            for step, batch in zip(count(self._step), self._parts.loader):
                self._seed(step)
                lr = self._lr(step)
                result = self._parts.stepper.take(batch, lr)
                self._step = step + 1
                self._report(result, lr, bar)
                interrupted = self._processes.any(noted())
                if self._step % self._steps_per_epoch == 0:
                    self._finish_epoch()
                elif interrupted or self._due():
                    self._save()
                if interrupted:
                    break
        self._journal.close()
        return Outcome(self._step, self._step == self._total, self._folder.best, self._best, self._processes.first)

    def _lr(self, step: int) -> float:
        optimizer = self._config.optimizer
        warmup = int(self._total * optimizer.warmup)
        return learning_rate(step, self._total, optimizer.lr, optimizer.final_lr, warmup)

    def _seed(self, step: int) -> None:
        """Make dropout follow from the step, so that a resumed run repeats an unbroken one."""
        seed = np.random.SeedSequence((self._config.seed, step, self._processes.rank))
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))

    def _report(self, result: StepResult, lr: float, bar: Bar) -> None:
        epoch, place = divmod(self._step - 1, self._steps_per_epoch)
        rate = self._journal.step(self._step, epoch + 1, lr, result, self._config.optimizer.batch_size)
        terms = " ".join(f"{name} {value:.3f}" for name, value in result.losses.items())
        bar.advance(
            1,
            f"epoch {epoch + 1}/{self._config.optimizer.epochs} step {place + 1}/{self._steps_per_epoch} {terms} "
            f"lr {lr:.1e} {rate:.1f} samples/s"
            + (f" skipped {self._journal.skipped}" if self._journal.skipped else ""),
        )
        if result.skipped:
            self._console.say(f"step {self._step}: loss or gradient is not finite, left out")

    def _finish_epoch(self) -> None:
        epoch = self._step // self._steps_per_epoch
        validator = self._parts.validator
        if validator is not None and (epoch % self._config.validation.every == 0 or self._step == self._total):
            with self._console.bar(validator.frames, "evaluating") as bar:
                found = validator.run(lambda: bar.advance())
            self._journal.evaluation(self._step, epoch, found)
            metrics = found.metrics[found.better]
            if metrics["abs_rel"] < self._best:
                self._best = metrics["abs_rel"]
                self._save_best(found.better, epoch, metrics)
            self._console.say(
                f"epoch {epoch}: "
                + ", ".join(f"{weights} abs_rel {values['abs_rel']:.4f}" for weights, values in found.metrics.items())
                + f", best {self._best:.4f}"
            )
        self._save()

    def _save_best(self, weights: str, epoch: int, metrics: dict[str, float]) -> None:
        if not self._processes.first:
            return
        notes = {"step": str(self._step), "epoch": str(epoch), "weights": weights, "metrics": json.dumps(metrics)}
        if weights == "raw":
            self._folder.save_best(self._parts.model, notes)
            return
        with self._parts.average.applied():
            self._folder.save_best(self._parts.model, notes)

    def _due(self) -> bool:
        every = self._config.run.checkpoint_steps
        minutes = (time.monotonic() - self._saved_at) / 60.0
        return (every > 0 and self._step % every == 0) or minutes >= self._config.run.checkpoint_minutes > 0

    def _save(self) -> None:
        if self._processes.first:
            self._folder.save(self._step, self._parts.model, self._state())
        self._saved_at = time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "best_abs_rel": self._best,
            "bad_in_a_row": self._parts.stepper.bad_in_a_row,
            "optimizer": self._parts.optimizer.state_dict(),
            "average": self._parts.average.state_dict(),
        }


class _Silence:
    """The console of all processes but the first."""

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def bar(self, total: int, label: str) -> Iterator[Bar]:
        yield _SilentBar()


class _SilentBar:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


@contextmanager
def _signals_noted() -> Iterator[Callable[[], bool]]:
    """Note SIGINT and SIGTERM instead of stopping; the function given says whether one came."""
    received: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, frame: received.append(number)) for kind in kinds]
    try:
        yield lambda: bool(received)
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
