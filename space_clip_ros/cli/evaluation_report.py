"""Prints what ``space_clip evaluate`` has measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from space_clip_ros.cli.console import complain, say

if TYPE_CHECKING:
    from space_clip_ros.evaluation.distance_bands import BandErrors
    from space_clip_ros.evaluation.report import EvaluationReport, Summary
    from space_clip_ros.evaluation.temporal import TemporalReport

_EDGES = {
    "boundaries": "f1 {f1:.4f}, precision {precision:.4f}, recall {recall:.4f}",
    "sky": "{near:.1%} of it nearer than 40 m, {in_range:.1%} nearer than the largest depth",
}


def show_report(report: EvaluationReport, by: str | None) -> None:
    """Print the metrics, the errors by distance, and what was asked for beside them.

    Args:
        report: what to print.
        by: what its groups are, ``scene`` or ``folder``; None without groups.
    """
    truthless = report.skipped - report.unpredicted
    skipped = f", {truthless} more without depth to compare" if truthless else ""
    unreadable = f", {report.unreadable} left out that cannot be read" if report.unreadable else ""
    say(f"{report.model} ({report.backend}), {report.protocol} protocol, {report.frames} frames{skipped}{unreadable}")
    if report.coverage < 1.0:
        complain(
            f"warning: {report.model} predicts no depth (NaN) at {1.0 - report.coverage:.2%} of the pixels with truth, "
            f"and none at all in {report.unpredicted} frames; no number below counts them"
        )
    for text, frames in report.focal_scaling.items():
        say(f"  {text} ({frames} frames)")
    for name, value in report.metrics.items():
        say(f"  {name:<9} {value:9.4f}")
    if report.uncertainty is not None:
        ause, one_sigma, two_sigma = (
            report.uncertainty.ause,
            report.uncertainty.within_1_sigma,
            report.uncertainty.within_2_sigma,
        )
        say(f"  {'ause':<9} {ause:9.4f}  (area under the sparsification error of abs_rel; 0 is perfect)")
        say(f"  {'within':<9} {one_sigma:9.1%} of pixels by one sigma, {two_sigma:.1%} by two")
    say(f"  {'distance':<9} {'pixels':>9} {'bias':>9} {'abs_rel':>9} {'a1':>9}")
    for name, errors in report.bands.items():
        say(f"  {name:<9} {errors.share:>9.1%} {_figures(errors)}")
    for name, means in report.edges.items():
        say(f"  {name} ({means['frames']} frames): {_EDGES[name].format(**means)}")
    if report.groups:
        say(f"  {'frames':<9} {'rmse':>9} {'bias':>9} {'abs_rel':>9} {'a1':>9}  {by}")
    for name, group in report.groups.items():
        say(f"  {group.frames:<9} {_group_figures(group)}  {name}")
    if report.temporal is not None:
        _show_temporal(report.temporal)


def _show_temporal(temporal: TemporalReport) -> None:
    pairs = f"{temporal.pairs} pair{'s' if temporal.pairs > 1 else ''}"
    say(f"changes of log depth over {pairs} of consecutive frames, where the truth is static")
    say(f"  {'distance':<9} {'pixels':>9} {'flicker':>9} {'depth':>9} {'truth':>9}")
    for name, band in temporal.bands.items():
        say(f"  {name:<9} {band.share:>9.1%} {band.flicker:>9.4f} {band.prediction:>9.4f} {band.truth:>9.4f}")
    say(f"  of the flicker, {temporal.whole:.4f} is a change of scale that the whole image shares")


def _figures(errors: BandErrors | None) -> str:
    if errors is None:
        return " ".join([f"{'-':>9}"] * 3)
    return f"{errors.bias:>+9.4f} {errors.abs_rel:>9.4f} {errors.a1:>9.4f}"


def _group_figures(group: Summary) -> str:
    rmse = f"{group.metrics['rmse']:9.4f}" if group.metrics else f"{'-':>9}"
    return f"{rmse} {_figures(group.overall)}"
