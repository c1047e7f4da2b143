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
        found = without_private(facts_of("backend_choice", model), *folders)
    except ProbeError as error:
        raise ProbeError(without_private(str(error), *folders)) from error
    yield Fact("order_of_auto", found["order"])
    taken = {name: found[name] for name in ("backend", "device", "precision")}
    yield Fact("taken", taken, f"{found['backend']} on {found['device']}, {found['precision']}")
    yield Fact("passed_over", found["passed_over"], "\n".join(found["passed_over"]))
    others = found["for_other_files"]
    yield Fact("for_other_files", others, ", ".join(f"{name} ({runs})" for name, runs in others.items()))
    times = {name: found[name] for name in ("image", "first_ms", "quickest_ms", "finite")}
    width, height = found["image"]
    yield Fact(
        "run",
        times,
        f"{width}x{height} pixels in {found['quickest_ms']:g} ms, the first in {found['first_ms']:g} ms"
        f"{'' if found['finite'] else '; depth is not finite'}",
        advice="" if found["finite"] else "the model's depth is not finite on this machine: please report it",
    )
