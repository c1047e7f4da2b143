"""The metric scale that the node finds while it runs, in words: the same on every page, picture and terminal."""

from __future__ import annotations

from typing import Any

from space_clip_ros.messages.diagnostics import DepthValues

NAME = "scale while running"
"""Name of the figure."""


def scale_asked(values: DepthValues) -> bool:
    """Return whether the node looks for a scale at all."""
    return values.scale_mode not in (None, "", "none")


def scale_figure(values: DepthValues) -> str:
    """Return the factor with its standard deviation, such as ``x 1.083 +- 4.2 %``; empty where there is none."""
    if not scale_asked(values) or values.scale_factor is None:
        return ""
    sigma = "" if values.scale_sigma is None else f" +- {100 * values.scale_sigma:.1f} %"
    return f"x {values.scale_factor:.3f}{sigma}"


def scale_cards(values: DepthValues) -> list[tuple[str, str]]:
    """Return value and name of the factor and of its standard deviation, for a page's cards; empty where unknown."""
    if not scale_asked(values) or values.scale_factor is None:
        return []
    sigma = [] if values.scale_sigma is None else [(f"± {100 * values.scale_sigma:.1f} %", f"{NAME}, one sigma")]
    return [(f"x {values.scale_factor:.3f}", NAME), *sigma]


def scale_note(values: DepthValues) -> str:
    """Return the evidence for the newest image's factor, and why other evidence was not used; empty without a mode."""
    if not scale_asked(values):
        return ""
    if values.scale_factor is None:
        return "no image yet"
    age = "no evidence so far" if values.scale_age_s is None else f"last evidence {values.scale_age_s:.1f} s ago"
    used = f"from {values.scale_evidence}" if values.scale_evidence else age
    return f"{used}; not used: {values.scale_problem}" if values.scale_problem else used


def scale_summary(values: DepthValues) -> dict[str, Any]:
    """Return what ``summary.json`` says about the scale; empty if the node looks for none.

    Returns:
        ``mode``, ``factor``, ``sigma`` (a share of the factor), ``age_s``, ``evidence`` and ``problem`` of the newest
        image, and ``text``, which sums them up.
    """
    if not scale_asked(values):
        return {}
    return {
        "mode": values.scale_mode,
        "factor": values.scale_factor,
        "sigma": values.scale_sigma,
        "age_s": values.scale_age_s,
        "evidence": values.scale_evidence,
        "problem": values.scale_problem,
        "text": ", ".join(filter(None, (scale_figure(values), scale_note(values)))),
    }
