"""The demo's results: one dictionary for ``summary.json``, and a short table for the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.ros.common.release import ros_release
from space_clip_ros.tools.latency import ArrivalLog, percentiles
from space_clip_ros.tools.machine import describe_machine
from space_clip_ros.tools.reporting.scale_words import NAME, scale_summary


def summarize(
    arrivals: ArrivalLog, sent: int, node: DepthValues, evaluation: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the summary of a run.

    Args:
        arrivals: when each output arrived.
        sent: how many frames the player published.
        node: values of the node's last diagnostics.
        evaluation: what ``depth_evaluator`` wrote.
        about: facts about the run, such as the drive and the DDS profile; included unchanged.

    Returns:
        Values that JSON can hold. ``frames_received`` counts frames that arrived on every output. ``latency_ms`` runs
        from the image's stamp to the arrival of the frame's last output, and under ``outputs`` to that of each.
        ``scale`` is there if the node looks for a metric scale.
    """
    metrics = evaluation.get("metrics", {})
    scale = scale_summary(node)
    complete = arrivals.complete()
    return {
        "frames_sent": sent,
        "frames_received": len(complete),
        "rate_hz": arrivals.rate_hz(),
        "latency_ms": {
            **(percentiles(arrivals.overall_ms()) or {}),
            "outputs": {output: percentiles(arrivals.latencies_ms(output)) for output in arrivals.received()},
        },
        "stages_ms": dict(node.stages_ms),
        "abs_rel": metrics.get("abs_rel"),
        "delta1": metrics.get("a1"),
        **({"scale": scale} if scale else {}),
        "model": node.model,
        "backend": node.backend,
        "device": node.device,
        "precision": node.precision,
        "received": arrivals.received(),
        "drops": {reason.value: count for reason, count in node.dropped_by.items()},
        "evaluation": dict(evaluation),
        **about,
        "machine": {**describe_machine(), "ros_distro": ros_release(os.environ)},
    }


def table(summary: Mapping[str, Any]) -> str:
    """Return the main results as a table for a terminal."""
    overall = summary["latency_ms"]
    rows = [f"{'latency, ms':<20}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}  received"]
    for output, figures in overall["outputs"].items():
        rows.append(_row(output, figures, summary["received"][output]))
    rows.append(_row("whole frame", overall if "p50" in overall else None, summary["frames_received"]))
    stages = ", ".join(f"{name} {value:.1f}" for name, value in summary["stages_ms"].items()) or "not reported"
    drops = ", ".join(f"{count} {reason}" for reason, count in summary["drops"].items() if count) or "none"
    error = "no frame was compared"
    if summary["abs_rel"] is not None:
        error = f"abs_rel {summary['abs_rel']:.3f}, delta1 {summary['delta1']:.3f} against LiDAR"
    head = (
        f"{summary['model']} on {summary['backend']}: {summary['frames_received']} of {summary['frames_sent']} frames"
    )
    rate = f" at {summary['rate_hz']:.1f} Hz" if summary["rate_hz"] else ""
    scale = [f"{NAME}: {summary['scale']['text']}"] if "scale" in summary else []
    return "\n".join([f"{head}{rate}; {error}", *rows, f"stages in the node, ms: {stages}", f"drops: {drops}", *scale])


def _row(name: str, figures: Mapping[str, float] | None, received: int) -> str:
    cells = "".join(f"{figures[key]:>8.1f}" if figures else f"{'-':>8}" for key in ("p50", "p95", "p99", "max"))
    return f"{name:<20}{cells}  {received:>8}"
