"""Measures our training step next to a plain eager loop of the same model, and how fast frames are read for it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import IO, Any, cast

import numpy as np

from space_clip_ros.errors import BackendError, SpaceClipError
from space_clip_ros.settings import to_dict
from space_clip_ros.training_config import TrainingConfig

OURS, PLAIN, READING = "ours", "plain", "reading"
SIDES = (OURS, PLAIN)

_PROCESS = "space_clip_ros.tools.benchmark.training_side"
_ROUNDS = 10
_READING_S = 10.0
_EXIT_TIMEOUT_S = 10.0


def measure_training(
    config: TrainingConfig, steps: int, advance: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Train both sides from the same random weights on the same frames, and return plain values for the JSON file.

    The sides take turns in rounds, so that a slow phase of the machine slows both, and take turns to begin a round.
    Reading is measured before, with one worker.

    Args:
        config: the recipe; its initial weights are ignored, since speed does not depend on them.
        steps: steps counted per side, after one that warms up.
        advance: called after each step of either side, twice ``steps`` times in all.

    Raises:
        SpaceClipError: settings, data or device cannot be used.
        BackendError: a process died.
    """
    one_worker = replace(config, data=replace(config.data, workers=1))
    with Side(READING, {"config": to_dict(one_worker), "seconds": _READING_S}) as reader:
        reading = reader.answer()
    order = {"config": to_dict(config), "steps": steps}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(name, order)) for name in SIDES}
        ready = {name: side.answer() for name, side in sides.items()}
        taken = _take_turns(sides, steps, advance)
    summaries = {name: _summary(taken[name], config.optimizer.batch_size) for name in SIDES}
    return {
        "model": config.model.name,
        "batch_size": config.optimizer.batch_size,
        "steps": steps,
        "runtime": {**to_dict(config)["runtime"], **ready[OURS]},
        "sides": summaries,
        "times_faster": _ratio(summaries, "wall_s_per_step"),
        "times_less_cpu": _ratio(summaries, "cpu_s_per_step"),
        "times_less_memory": _ratio(summaries, "resident_mb"),
        "reading": reading,
    }


class Side:
    """One side of the comparison: a process that trains, or reads frames."""

    def __init__(self, name: str, order: Mapping[str, Any]) -> None:
        """Start the process; :mod:`~space_clip_ros.tools.benchmark.training_side` documents ``order``."""
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", _PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._input, self._output = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        self._write(json.dumps({"side": name, **order}))

    def __enter__(self) -> Side:
        """Return the running process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the process end; terminate it after an error, and kill it if it does not end."""
        with self._process:
            if error is not None:
                self._process.terminate()
            else:
                self._input.close()
            try:
                self._process.wait(_EXIT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def ask(self, steps: int) -> None:
        """Tell the process to take ``steps`` steps."""
        self._write(str(steps))

    def answer(self) -> dict[str, Any]:
        """Wait for the process's next line and return it.

        Raises:
            SpaceClipError: the process says that settings, data or device cannot be used.
            BackendError: the process ended without an answer.
        """
        line = self._output.readline()
        if not line:
            status = self._process.wait()
            raise BackendError(
                f"the {self._name} side of the training benchmark",
                f"ended with status {status}, see above",
                "a negative status is a signal, and -9 usually means that memory ran out: lower optimizer.batch_size",
            )
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise SpaceClipError(message["error"])
        return message

    def _write(self, line: str) -> None:
        # A process that has died says why in its last line, which the next answer() reads.
        with contextlib.suppress(BrokenPipeError):
            self._input.write(line + "\n")
            self._input.flush()


def _take_turns(
    sides: Mapping[str, Side], steps: int, advance: Callable[[], object]
) -> dict[str, list[dict[str, float]]]:
    """Return what each side reported of its steps, in order."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number, turn in enumerate(np.array_split(np.arange(steps), min(_ROUNDS, steps))):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            sides[name].ask(len(turn))
            for _ in turn:
                taken[name].append(sides[name].answer())
                advance()
    return taken


def _summary(taken: Sequence[Mapping[str, float]], batch_size: int) -> dict[str, Any]:
    wall = [step["wall_s"] for step in taken]
    tenth = max(len(taken) // _ROUNDS, 1)
    losses = [step["loss"] for step in taken]
    return {
        "steps_per_s": _rounded(len(wall) / sum(wall)),
        "samples_per_s": _rounded(batch_size * len(wall) / sum(wall)),
        "wall_s_per_step": _rounded(float(np.median(wall))),
        "cpu_s_per_step": _rounded(float(np.mean([step["cpu_s"] for step in taken]))),
        "resident_mb": round(taken[-1]["resident_mb"], 1),
        "device_mb": taken[-1]["device_mb"],
        "loss_first_tenth": _rounded(float(np.mean(losses[:tenth]))),
        "loss_last_tenth": _rounded(float(np.mean(losses[-tenth:]))),
        "losses": [_rounded(loss) for loss in losses],
        "grad_norms": [_rounded(step["grad_norm"]) for step in taken],
    }


def _ratio(sides: Mapping[str, Mapping[str, float]], key: str) -> float:
    return round(sides[PLAIN][key] / sides[OURS][key], 3)


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
