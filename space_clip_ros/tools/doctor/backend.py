"""The probe of the backend that ``auto`` chooses for a model, and why it rejects the others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from space_clip_ros.tools.doctor.facts import Fact, Probe
from space_clip_ros.tools.doctor.private import without_private
from space_clip_ros.tools.doctor.programs import ProbeError, facts_of


def backend(model: str) -> Probe:
    """Return the probe for a model's name or file."""
    return partial(_backend, model)


def _backend(model: str) -> Iterator[Fact]:
    yield Fact("model", Path(model).name)
    # The path of the model's folder may be private.
    folders = (Path(model).parent, Path(model).resolve().parent)
    try:
        choice = without_private(facts_of("backend_choice", model), *folders)
    except ProbeError as error:
        reason = without_private(str(error), *folders)
        yield Fact("taken", problem=reason, advice=f"{Path(model).name} does not run here: {reason}")
        return
    yield Fact("order_of_auto", choice["order"])
    taken = {name: choice[name] for name in ("backend", "device", "precision")}
    yield Fact("taken", taken, f"{choice['backend']} on {choice['device']}, {choice['precision']}")
    yield Fact("passed_over", choice["passed_over"], "\n".join(choice["passed_over"]))
    others = choice["for_other_files"]
    yield Fact("for_other_files", others, ", ".join(f"{name} ({runs})" for name, runs in others.items()))
    times = {name: choice[name] for name in ("image", "first_ms", "quickest_ms", "finite")}
    width, height = choice["image"]
    yield Fact(
        "run",
        times,
        f"{width}x{height} pixels in {choice['quickest_ms']:g} ms, the first in {choice['first_ms']:g} ms"
        f"{'' if choice['finite'] else '; depth is not finite'}",
        advice="" if choice["finite"] else "the model's depth is not finite on this machine: please report it",
    )
