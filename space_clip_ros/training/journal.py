"""Records a run's steps and evaluations as tables and pictures, for TensorBoard and for Weights & Biases."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from space_clip_ros import settings
from space_clip_ros.evaluation.metrics import METRICS
from space_clip_ros.evaluation.uncertainty import UNCERTAINTY_METRICS
from space_clip_ros.geometry.image_file import write_rgb
from space_clip_ros.training.assembly import Progress
from space_clip_ros.training.run_folder import STEPS_TABLE
from space_clip_ros.training.step import StepResult
from space_clip_ros.training.tables import Table
from space_clip_ros.training.tensorboard import TensorBoardWriter
from space_clip_ros.training.validation import LABEL_ERROR, Validation
from space_clip_ros.training.wandb_log import WandbWriter
from space_clip_ros.training_config import TrainingConfig

_EVALUATION_COLUMNS = ("step", "epoch", "weights", *METRICS, *UNCERTAINTY_METRICS, LABEL_ERROR)
_SMOOTHING = 0.9


class Journal:
    """The record of one run.

    Args:
        path: the run's folder.
        config: which files to write, and how often; Weights & Biases keeps all of it.
        progress: of earlier sessions; later rows of theirs are dropped.
        writing: whether this process writes; False on all processes but the first.

    Attributes:
        skipped: steps of the run that were skipped.
    """

    def __init__(self, path: Path, config: TrainingConfig, progress: Progress, writing: bool) -> None:
        """Open the tables and logs.

        Raises:
            ConfigError: Weights & Biases is wanted, but cannot be used.
            DataError: a table cannot be read or written.
        """
        step = progress.step
        self._path = path
        self._every = config.run.log_steps
        self._writing = writing
        self._logs = (
            TensorBoardWriter(path / "tensorboard", config.run.tensorboard and writing, step),
            WandbWriter(path, config.run.wandb if writing else "", settings.to_dict(config)),
        )
        if writing:
            columns = ("step", "epoch", "lr", *loss_terms(config), "grad_norm", "skipped", "samples_per_s")
            self._steps = Table(path / STEPS_TABLE, columns, step)
            evaluated = step if progress.evaluated else step - 1
            self._evaluations = Table(path / "evaluations.csv", _EVALUATION_COLUMNS, evaluated)
        self._time = time.monotonic()
        self._rate = 0.0
        self.skipped = progress.skipped

    def step(self, step: int, epoch: int, lr: float, result: StepResult, samples: int) -> float:
        """Record one step; return the smoothed samples per second."""
        now = time.monotonic()
        rate = samples / max(now - self._time, 1e-9)
        self._rate = _SMOOTHING * self._rate + (1.0 - _SMOOTHING) * rate if self._rate else rate
        self._time = now
        self.skipped += result.skipped
        if self._writing and step % self._every == 0:
            values = {"lr": lr, **result.losses, "grad_norm": result.grad_norm, "samples_per_s": self._rate}
            self._steps.add({"step": step, "epoch": epoch, "skipped": self.skipped, **values})
            self._log({f"train/{name}": value for name, value in values.items()}, step)
        return self._rate

    def evaluation(self, step: int, epoch: int, validation: Validation) -> None:
        """Record one evaluation and write its pictures."""
        if self._writing:
            for weights, metrics in validation.metrics.items():
                self._evaluations.add({"step": step, "epoch": epoch, "weights": weights, **metrics})
                self._log({f"{weights}/{name}": value for name, value in metrics.items()}, step)
            for index, picture in enumerate(validation.pictures):
                write_rgb(self._path / "pictures" / f"epoch_{epoch:04d}_{index}.jpg", picture)
            for log in self._logs:
                log.pictures("validation", validation.pictures, step)
        # The time of the evaluation must not count as the next step's.
        self._time = time.monotonic()

    def close(self) -> None:
        """Write buffered events."""
        for log in self._logs:
            log.close()

    def _log(self, values: Mapping[str, float], step: int) -> None:
        for log in self._logs:
            log.scalars(values, step)


def loss_terms(config: TrainingConfig) -> tuple[str, ...]:
    """Return the names of a step's losses, those that :class:`~space_clip_ros.training.step.StepResult` has."""
    only, model, names = config.train_only, config.model, []
    if only in ("all", "refinement", "coarse"):
        weights = dataclasses.asdict(config.loss)
        del weights["auxiliary"]
        names += [name for name, weight in weights.items() if weight]
    if only == "all":
        heads = config.auxiliary_weights
        names += [f"aux{number}" for number, weight in enumerate(heads, start=1) if weight]
    if model.uncertainty and only in ("all", "uncertainty"):
        names.append("uncertainty")
    if model.language.vocabulary and only in ("all", "language"):
        names.append("language")
    return (*names, "total")
