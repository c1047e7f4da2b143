"""The report as text and as JSON."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from space_clip_ros.tools.doctor.facts import Fact, Question
from space_clip_ros.tools.doctor.report import advice, answers, as_json, as_text, questions

ASKED = [
    Question("first", "a", lambda: [Fact("a", [1, 2]), Fact("b", "host", advice="look here")]),
    Question("second", "c", lambda: [Fact("c", None, "line 1\nline 2")]),
    Question("first", "d", lambda: iter([1 / 0])),  # type: ignore[list-item]
]


def test_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mars-7")
    assert as_text(answers(ASKED)) == "\n".join(
        [
            "first",
            "  a  1, 2",
            "  b  host",
            "  d  not known: ZeroDivisionError: division by zero",
            "",
            "second",
            "  c  line 1",
            "     line 2",
            "",
            "what to look at",
            "  look here",
        ]
    )
    assert as_text(answers(ASKED[1:2])).endswith("what to look at\n  nothing stands out")


def test_json() -> None:
    report = as_json(answers(ASKED))
    assert json.loads(json.dumps(report)) == report
    assert report["facts"]["first"] == {"a": [1, 2], "b": "host", "d": None}
    assert report["problems"] == {"first.d": "ZeroDivisionError: division by zero"}
    assert report["advice"] == ["look here"]


def test_long_lines_are_wrapped() -> None:
    text = as_text({"s": [Fact("name", " ".join(["word"] * 60))]})
    assert max(map(len, text.splitlines())) < 120


def test_what_measures_time_runs_alone_at_the_end() -> None:
    running: list[str] = []
    others = threading.Event()

    def measures() -> list[Fact]:
        assert len(running) == 2
        return [Fact("m", threading.active_count())]

    def runs(name: str) -> list[Fact]:
        running.append(name)
        others.set()
        return [Fact(name)]

    probes = [Question("a", "m", measures, alone=True), *(Question("b", n, lambda n=n: runs(n)) for n in "xy")]
    counted: list[int] = []
    result = answers(probes, lambda: counted.append(1))
    assert [fact.name for facts in result.values() for fact in facts] == ["x", "y", "m"]
    assert len(counted) == 3 and not advice(result)


def test_every_question_has_its_own_place() -> None:
    probes = questions("road_tiny")
    assert len({(question.section, question.name) for question in probes}) == len(probes)
    assert [question.name for question in probes if question.alone] == ["taken"]
