"""The scale in words, for every state that the node's diagnostics can report."""

from __future__ import annotations

import pytest

from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.tools.reporting.scale_words import scale_asked, scale_cards, scale_figure, scale_note, scale_summary


def values(**changes: object) -> DepthValues:
    given = {"scale_mode": "auto", "scale_factor": 0.91234, "scale_sigma": 0.05, "scale_age_s": 0.0, **changes}
    return DepthValues(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [None, "", "none"])
def test_nothing_is_said_where_no_scale_is_asked_for(mode: str | None) -> None:
    silent = values(scale_mode=mode)
    assert not scale_asked(silent)
    assert (scale_figure(silent), scale_note(silent), scale_summary(silent)) == ("", "", {})
    assert scale_cards(silent) == []


@pytest.mark.parametrize(
    ("changes", "figure", "note"),
    [
        ({"scale_evidence": "camera height"}, "x 0.912 +- 5.0 %", "from camera height"),
        (
            {"scale_evidence": "camera height", "scale_problem": "ranges: nothing has come"},
            "x 0.912 +- 5.0 %",
            "from camera height; not used: ranges: nothing has come",
        ),
        (
            {"scale_evidence": "", "scale_age_s": 3.25, "scale_problem": "camera height: no ground"},
            "x 0.912 +- 5.0 %",
            "last evidence 3.2 s ago; not used: camera height: no ground",
        ),
        (
            {"scale_factor": 1.0, "scale_sigma": 0.2, "scale_age_s": None, "scale_problem": "camera height: a wall"},
            "x 1.000 +- 20.0 %",
            "no evidence so far; not used: camera height: a wall",
        ),
        ({"scale_sigma": None, "scale_age_s": 1.0}, "x 0.912", "last evidence 1.0 s ago"),
        ({"scale_factor": None}, "", "no image yet"),
    ],
)
def test_figure_and_note(changes: dict[str, object], figure: str, note: str) -> None:
    known = values(**changes)
    assert (scale_figure(known), scale_note(known)) == (figure, note)
    assert scale_summary(known)["text"] == ", ".join(filter(None, (figure, note)))


def test_cards_hold_factor_and_sigma() -> None:
    name = "scale while running"
    assert scale_cards(values()) == [("x 0.912", name), ("± 5.0 %", f"{name}, one sigma")]
    assert scale_cards(values(scale_sigma=None)) == [("x 0.912", name)]
    assert scale_cards(values(scale_factor=None)) == []


def test_the_summary_holds_the_numbers() -> None:
    assert scale_summary(values(scale_evidence="ranges")) == {
        "mode": "auto",
        "factor": 0.91234,
        "sigma": 0.05,
        "age_s": 0.0,
        "evidence": "ranges",
        "problem": None,
        "text": "x 0.912 +- 5.0 %, from ranges",
    }
