"""Trains the rows of an ablation one after the other, continuing where an earlier session stopped."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError, DataError
from space_clip_ros.files import write_json
from space_clip_ros.model import load_checkpoint
from space_clip_ros.model.checkpoint import read_metadata
from space_clip_ros.training.configuration import load_training
from space_clip_ros.training.console import Console
from space_clip_ros.training.processes import Processes, joined
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training.trainer import train_among
from space_clip_ros.training_config import AblationConfig, AblationRowConfig, TrainingConfig

_RESULT = "result.json"


class AblationRow(NamedTuple):
    """One row.

    Attributes:
        name: name of its folder.
        label: what the table calls it.
        overrides: the settings that replace the base's, as key=value.
        config: the settings of its run.
    """

    name: str
    label: str
    overrides: tuple[str, ...]
    config: TrainingConfig


class Ablation(NamedTuple):
    """An ablation: where its runs and its table go, and its rows."""

    folder: Path
    rows: list[AblationRow]


@dataclass(frozen=True)
class RowResult:
    """The result of a finished row.

    Attributes:
        name: the row's name.
        label: what the table calls it.
        overrides: its settings that replace the base's, as key=value.
        parameters: number of the model's weights.
        trained_parameters: number of those that were trained.
        epoch: the epoch with the smallest abs_rel, from 1; 0 if no validation frame could ever be compared.
        weights: which weights had it: raw, or ema, the moving average; empty likewise.
        metrics: on the validation frames then, by name; empty likewise.
    """

    name: str
    label: str
    overrides: tuple[str, ...]
    parameters: int
    trained_parameters: int
    epoch: int
    weights: str
    metrics: dict[str, float]


class AblationOutcome(NamedTuple):
    """How a session ended: the finished rows, whether these are all, and whether this process reports."""

    results: list[RowResult]
    finished: bool
    first: bool


def load_ablation(path: str | Path, overrides: Sequence[str] = ()) -> Ablation:
    """Read an ablation's file, and check the settings of every row.

    Args:
        path: YAML file of an :class:`~space_clip_ros.training_config.AblationConfig`.
        overrides: ``key=value`` settings that replace the base's; a row's own come after them.

    Raises:
        ConfigError: one line for each problem of the file or of a row.
    """
    config = settings.load(AblationConfig, path)
    if _names_folder(overrides):
        raise ConfigError("run.dir", "each row has its own folder", f"leave it out, and set dir in {path}")
    base, folder = Path(path).parent / config.base, Path(config.dir)
    rows, problems = [], []
    for values in config.rows:
        row = settings.parse(AblationRowConfig, values, str(path))
        try:
            rows.append(_row(row, base, folder, overrides))
        except ConfigError as error:
            problems += [f"{path}, row {row.name}: {line}" for line in str(error).splitlines()]
    if problems:
        raise ConfigError("\n".join(problems))
    return Ablation(folder, rows)


def _names_folder(overrides: Sequence[str]) -> bool:
    return any(text.partition("=")[0].strip() == "run.dir" for text in overrides)


def _row(row: AblationRowConfig, base: Path, folder: Path, overrides: Sequence[str]) -> AblationRow:
    if _names_folder(row.overrides):
        raise ConfigError("run.dir", f"the row's folder is {folder / row.name}", "leave it out, and set the file's dir")
    config = load_training(base, [*overrides, *row.overrides, f"run.dir={json.dumps(str(folder / row.name))}"])
    if not config.data.validation:
        raise ConfigError(
            "data.validation", "names no source, so there would be nothing to compare", "add one with its path"
        )
    begun = RunFolder(config.run.dir)
    if begun.has_checkpoint:
        begun.check_same(config)
    return AblationRow(row.name, row.label or row.name, row.overrides, config)


def run_ablation(
    ablation: Ablation, console: Console, on_row: Callable[[list[RowResult]], object] = lambda results: None
) -> AblationOutcome:
    """Train every row that is not finished, alone or among the processes of ``torchrun``.

    A row that an earlier session began is resumed from its newest checkpoint. SIGINT and SIGTERM end the session after
    the current step and save its state.

    Args:
        ablation: the rows.
        console: shows messages and progress of the first process.
        on_row: called in the first process with the results so far, after each row.

    Raises:
        ConfigError: a row was begun with other settings; the error names them.
        SpaceClipError: a row cannot be trained, as in :func:`~space_clip_ros.training.trainer.train`.
    """
    results: list[RowResult] = []
    with joined(ablation.rows[0].config.runtime.device) as processes:
        for number, row in enumerate(ablation.rows, start=1):
            if processes.first:
                console.say(f"row {number} of {len(ablation.rows)}: {row.label}")
            if not _finish(row, processes, console):
                return AblationOutcome(results, False, processes.first)
            if processes.first:
                results.append(_read_result(row))
                on_row(results)
        return AblationOutcome(results, True, processes.first)


def _finish(row: AblationRow, processes: Processes, console: Console) -> bool:
    """Train a row to its end if it is not finished yet; return False if a signal interrupted it."""
    folder = RunFolder(row.config.run.dir)
    file = folder.path / _RESULT
    # The first process's disk decides; the other processes may not see the folder.
    if processes.any(processes.first and file.is_file()):
        if processes.first:
            folder.check_same(row.config)
            console.say("already finished")
        return True
    outcome = train_among(processes, row.config, console, resume=None)
    gc.collect()  # wrapped models are reference cycles; the next row needs their memory
    if outcome.finished and processes.first:
        write_json(file, asdict(_result(row, folder)), durable=True)
    return outcome.finished


def _result(row: AblationRow, folder: RunFolder) -> RowResult:
    if folder.best.exists():
        notes, model = read_metadata(folder.best), load_checkpoint(folder.best)
    else:
        notes, (model, _) = {"epoch": "0", "weights": "", "metrics": "{}"}, folder.load()
    weights = list(model.parameters())
    return RowResult(
        row.name,
        row.label,
        row.overrides,
        sum(tensor.numel() for tensor in weights),
        sum(tensor.numel() for tensor in weights if tensor.requires_grad),
        int(notes["epoch"]),
        notes["weights"],
        json.loads(notes["metrics"]),
    )


def _read_result(row: AblationRow) -> RowResult:
    path = Path(row.config.run.dir) / _RESULT
    try:
        values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return RowResult(**{**values, "label": row.label, "overrides": row.overrides})
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            path, f"cannot be read ({error})", "delete it; the row's result is then written again"
        ) from error
