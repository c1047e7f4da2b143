"""Facts about a machine, and the probes that find them. A failing probe becomes a line of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from space_clip_ros.errors import SpaceClipError, describe


@dataclass(frozen=True)
class Fact:
    """One line of the report.

    Attributes:
        name: its key, unique in its section, in snake case.
        value: what was found, as a JSON value; None if it is missing or unknown.
        text: the value as text; derived from ``value`` if empty.
        problem: why the value is unknown; empty if it is known.
        advice: what to do; empty if all is well.
    """

    name: str
    value: Any = None
    text: str = ""
    problem: str = ""
    advice: str = ""

    @property
    def shown(self) -> str:
        """The text to print; it may have several lines."""
        if self.problem:
            return f"not known: {self.problem}"
        return self.text or _plain(self.value)


Probe = Callable[[], Iterable[Fact]]
"""Finds facts. It may raise any exception, even after it has found some."""


@dataclass(frozen=True)
class Question:
    """A probe and its place in the report.

    Attributes:
        section: where its facts go.
        name: the line's name if the probe fails.
        probe: finds the facts.
        alone: whether no other probe may run meanwhile, because this one measures time.
    """

    section: str
    name: str
    probe: Probe
    alone: bool = False


def ask(question: Question) -> list[Fact]:
    """Return a probe's facts; if it raises, those it had found, and one that gives the reason."""
    facts: list[Fact] = []
    try:
        for fact in question.probe():
            facts.append(fact)  # noqa: PERF402 - kept if the next one fails
    except (Exception, SystemExit) as error:
        reason = str(error) if isinstance(error, SpaceClipError) else describe(error)
        facts.append(Fact(question.name, problem=reason))
    return facts


def size(count: float) -> str:
    """Return a number of bytes as text."""
    if count < 1 << 20:
        return f"{count / (1 << 10):.0f} KiB"
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(held)}" for key, held in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)
