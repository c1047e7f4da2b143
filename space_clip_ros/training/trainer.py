"""The training loop: steps, epochs, checkpoints, and stopping on a signal."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from space_clip_ros.model.space_clip import with_uncertainty_factor
from space_clip_ros.training.assembly import Progress, TrainingSetup, assemble
from space_clip_ros.training.console import Bar, Console, SilentConsole
from space_clip_ros.training.journal import Journal
from space_clip_ros.training.processes import Processes, joined
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training.schedule import scheduled_rate
from space_clip_ros.training.step import StepResult
from space_clip_ros.training.validation import EMA, WEIGHTS, Validation, best_criterion
from space_clip_ros.training_config import TrainingConfig


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        step: steps taken, over all sessions of the run.
        finished: False if the run was interrupted; its state is saved.
        best: file of the best weights so far; it does not exist before the first evaluation.
        criterion: name of the metric that chose them.
        best_score: its value on the validation frames; infinite before the first evaluation.
        first: whether this process reports.
    """

    step: int
    finished: bool
    best: Path
    criterion: str
    best_score: float
    first: bool


def train(config: TrainingConfig, console: Console, resume: bool | None = False) -> Outcome:
    """Train a model, alone or among the processes of ``torchrun``.

    SIGINT and SIGTERM end the run after the current step, or the current batch of an evaluation, and save its state.

    Args:
        config: the settings.
        console: shows messages and progress of the first process.
        resume: whether to continue from the newest checkpoint of ``run.dir``; None does so if there is one, and else
            starts, also over a run that saved no weights.

    Raises:
        ConfigError: the settings do not fit the data, the processes or the run to resume.
        DataError: frames are missing or broken, or a table cannot be written.
        ModelError: a checkpoint cannot be read or written.
        BackendError: the device does not exist.
        SpaceClipError: too many steps in a row were not finite.
    """
    with joined(config.runtime.device) as processes:
        return train_among(processes, config, console, resume)


def train_among(processes: Processes, config: TrainingConfig, console: Console, resume: bool | None = False) -> Outcome:
    """Train a model among processes that have joined already; arguments and errors as :func:`train`."""
    if config.runtime.threads:
        torch.set_num_threads(config.runtime.threads)
    folder = RunFolder(config.run.dir)
    console = console if processes.first else SilentConsole()
    over = resume is None
    if resume is None:
        # All processes must agree even if only some machines see the folder.
        resume = processes.any(folder.has_checkpoint)
    with closing(folder):
        setup = assemble(config, processes, folder, console, resume, over)
        return Trainer(config, setup, processes, folder, console).fit()


class Trainer:
    """Runs the steps of one session; :func:`train` creates it."""

    def __init__(
        self, config: TrainingConfig, setup: TrainingSetup, processes: Processes, folder: RunFolder, console: Console
    ) -> None:
        """Open the journal; nothing runs before :meth:`fit`."""
        self._config = config
        self._setup = setup
        self._processes = processes
        self._folder = folder
        self._console = console
        self._step = setup.progress.step
        self._best = setup.progress.best_score
        self._evaluated = setup.progress.evaluated
        self._saved_at = time.monotonic()
        self._steps_per_epoch = setup.sampler.steps_per_epoch
        self._total = self._steps_per_epoch * config.optimizer.epochs
        # Which frames of an epoch earlier sessions have read is unknown.
        self._truth_seen = self._step % self._steps_per_epoch > 0
        self._journal = Journal(folder.path, config, setup.progress, writing=processes.first)

    def fit(self) -> Outcome:
        """Evaluate if an earlier session did not get to it, and take the remaining steps."""
        with _catch_stop_signals() as stop_requested:
            if not self._evaluated:
                self._evaluate(stop_requested)
            if self._evaluated:
                self._take_steps(stop_requested)
        self._journal.close()
        return Outcome(
            self._step,
            self._step == self._total and self._evaluated,
            self._folder.best,
            best_criterion(self._config),
            self._best,
            self._processes.first,
        )

    def _take_steps(self, stop_requested: Callable[[], bool]) -> None:
        sampler = self._setup.sampler
        sampler.first_step, sampler.end_step = self._step, self._total
        with self._console.bar(self._total - self._step, "training") as bar:
            for step, batch in zip(count(self._step), self._setup.loader):
                self._seed(step)
                lr = scheduled_rate(self._config.optimizer, step, self._steps_per_epoch)
                result = self._setup.stepper.take(batch, lr)
                self._step = step + 1
                self._truth_seen |= result.has_truth
                self._report(result, lr, bar)
                interrupted = self._processes.any(stop_requested())
                if self._step % self._steps_per_epoch == 0:
                    self._finish_epoch(stop_requested)
                elif interrupted or self._checkpoint_due():
                    self._save()
                if interrupted or not self._evaluated:
                    break

    def _seed(self, step: int) -> None:
        """Make dropout depend on the step only, so that a resumed run gives the same weights as an unbroken one."""
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
            self._console.say(f"step {self._step}: loss or gradient is not finite, skipped")

    def _finish_epoch(self, stop_requested: Callable[[], bool]) -> None:
        epoch = self._step // self._steps_per_epoch
        if not self._processes.any(self._truth_seen):
            of_names = self._config.train_only == "language"
            truth = "labels of the vocabulary" if of_names else "depth between model.min_depth and model.max_depth"
            self._console.say(f"epoch {epoch}: no training frame had {truth}, so nothing was learnt; check data.train")
        self._truth_seen = False
        due = epoch % self._config.validation.every == 0 or self._step == self._total
        self._evaluated = self._setup.validator is None or not due
        # Before the evaluation, which may take long or find a broken frame.
        self._save()
        if not self._evaluated:
            self._evaluate(stop_requested)

    def _evaluate(self, stop_requested: Callable[[], bool]) -> None:
        """Evaluate, unless a stop is requested meanwhile, and save the outcome."""
        validator, epoch = self._setup.validator, self._step // self._steps_per_epoch
        assert validator is not None
        with self._console.bar(validator.frames, "evaluating") as bar:
            validation = validator.run(lambda: bar.advance(), stop_requested)
        if validation is None:
            return
        self._journal.evaluation(self._step, epoch, validation)
        if validation.score < self._best:
            self._best = validation.score
            self._save_best(validation, epoch)
        scores = (f"{weights} {validation.criterion} {validation.value(weights):.4f}" for weights in WEIGHTS)
        self._console.say(f"epoch {epoch}: {', '.join(scores)}, best {self._best:.4f}")
        if math.isinf(validation.score):
            self._console.say(
                f"epoch {epoch}: no {validation.criterion}, as no validation frame could be compared; "
                "look at data.validation, model.min_depth, model.max_depth and optimizer.lr"
            )
        self._evaluated = True
        self._save()

    def _save_best(self, validation: Validation, epoch: int) -> None:
        if not self._processes.first:
            return
        weights, model = validation.better, self._setup.model
        notes = {
            "step": str(self._step),
            "epoch": str(epoch),
            "weights": weights,
            "metrics": json.dumps(validation.metrics[weights]),
        }
        if weights in validation.factors:
            model = with_uncertainty_factor(model, validation.factors[weights])
        with self._setup.average.applied() if weights == EMA else nullcontext():
            self._folder.save_best(model, notes)

    def _checkpoint_due(self) -> bool:
        every = self._config.run.checkpoint_steps
        minutes = (time.monotonic() - self._saved_at) / 60.0
        return (every > 0 and self._step % every == 0) or minutes >= self._config.run.checkpoint_minutes > 0

    def _save(self) -> None:
        if self._processes.first:
            progress = Progress(self._step, self._best, self._journal.skipped, self._evaluated)
            self._folder.save(self._step, self._setup.model, self._setup.state(progress))
        self._saved_at = time.monotonic()


@contextmanager
def _catch_stop_signals() -> Iterator[Callable[[], bool]]:
    """Catch SIGINT and SIGTERM inside the block; yields a function that returns whether one has arrived."""
    received: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, frame: received.append(number)) for kind in kinds]
    try:
        yield lambda: bool(received)
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
