"""All questions about a machine, and the report of the answers as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from textwrap import TextWrapper
from typing import Any

from space_clip_ros.tools.doctor import gpu, libraries, machine, package, ros
from space_clip_ros.tools.doctor.backend import backend
from space_clip_ros.tools.doctor.facts import Fact, Question, ask
from space_clip_ros.tools.doctor.private import without_private

FORMAT = 1
"""Version of the JSON's keys."""
_TOGETHER = 4
_WIDTH = 96

Answers = dict[str, list[Fact]]
"""Facts by section, both in order."""


def questions(model: str) -> list[Question]:
    """Return the questions.

    Args:
        model: name or file of the model whose backend is reported.
    """
    return [
        Question("package", "version", package.package),
        Question("package", "models", package.models),
        Question("system", "system", machine.system),
        Question("processor", "features", machine.cpu),
        Question("memory", "memory", machine.memory),
        Question("memory", "shm", machine.shared_memory),
        Question("gpu", "devices", gpu.devices),
        Question("gpu", "nvidia_smi", gpu.nvidia_smi),
        Question("gpu", "cuda_toolkit", gpu.toolkit),
        Question("gpu", "jetson", gpu.jetson),
        Question("libraries", "installed", libraries.installed),
        *(
            Question("libraries", name, libraries.loaded(name, name))
            for name in ("numpy", "opencv", "onnxruntime", "tensorrt", "cuda_python", "torch")
        ),
        Question("ros", "ros", ros.ros),
        Question("ros", "variables", ros.variables),
        Question("dds", "profile", ros.profiles),
        Question("dds", "kernel", ros.kernel),
        Question("backend", "taken", backend(model), alone=True),
    ]


def answers(probes: Iterable[Question], advance: Callable[[], object] = lambda: None) -> Answers:
    """Ask several questions at a time, and return the facts without private names.

    Args:
        probes: the questions.
        advance: called after each.
    """
    report: Answers = {}
    probes = list(probes)
    together = [question for question in probes if not question.alone]
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for question, facts in chain(
            zip(together, pool.map(ask, together), strict=True),
            ((question, ask(question)) for question in probes if question.alone),
        ):
            report.setdefault(question.section, []).extend(map(_cleaned, facts))
            advance()
    return report


def advice(report: Answers) -> list[str]:
    """Return the advice of the facts, in their order."""
    return [fact.advice for facts in report.values() for fact in facts if fact.advice]


def as_text(report: Answers) -> str:
    """Return the report as text."""
    lines = []
    width = max(len(fact.name) for facts in report.values() for fact in facts)
    for section, facts in report.items():
        lines.append(section)
        for fact in facts:
            first, *more = _wrapped(fact.shown) or ["none"]
            lines.append(f"  {fact.name:<{width}}  {first}")
            lines += [f"  {'':<{width}}  {line}" for line in more]
        lines.append("")
    lines.append("what to look at")
    lines += [f"  {line}" for line in advice(report) or ["nothing stands out"]]
    return "\n".join(lines)


def as_json(report: Answers) -> dict[str, Any]:
    """Return the report as a JSON object.

    ``facts`` has the values by section and name, null if unknown; ``problems`` says by ``section.name`` why one
    is unknown; ``advice`` lists what to look at.
    """
    return {
        "format": FORMAT,
        "facts": {section: {fact.name: fact.value for fact in facts} for section, facts in report.items()},
        "problems": {
            f"{section}.{fact.name}": fact.problem
            for section, facts in report.items()
            for fact in facts
            if fact.problem
        },
        "advice": advice(report),
    }


def _wrapped(text: str) -> list[str]:
    """Return a text's lines, none much longer than a terminal's; a continued one is indented."""
    wrapper = TextWrapper(_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [part for line in text.splitlines() for part in wrapper.wrap(line)]


def _cleaned(fact: Fact) -> Fact:
    return Fact(
        fact.name,
        *(without_private(part) for part in (fact.value, fact.text, fact.problem, fact.advice)),
    )
