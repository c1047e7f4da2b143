"""What ``/diagnostics`` says: numbers, and in words why nothing comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from space_clip_ros.config import DiagnosticsConfig
from space_clip_ros.ros.node.statistics import Snapshot

SILENT_S = 5.0
"""Seconds without output after which the node says what is missing."""
_NAMED = 4


@dataclass(frozen=True)
class Situation:
    """All that a verdict needs, gathered in one moment.

    Attributes:
        state: lifecycle state.
        camera: the camera's name, below which its topics lie; empty for the only one.
        failure: why the last transition failed; empty if it did not.
        engine_failure: why the model is given up; empty while it runs or is being brought back.
        image_topic: resolved name.
        publishers: who publishes images there, one text each: node, type and QoS.
        hint: what else may keep their images away; empty where nothing is seen.
        info_topic: resolved name of the camera_info topic.
        info_publishers: who publishes there, one text each.
        output_topics: resolved names of the outputs.
        subscribers: how many subscribers they have together.
        snapshot: the stream's numbers.
        limits: when to warn.
        facts: more key-value pairs: model, backend, device, scale and the like.
    """

    state: str
    camera: str = ""
    failure: str = ""
    engine_failure: str = ""
    image_topic: str = "image"
    publishers: Sequence[str] = ()
    hint: str = ""
    info_topic: str = "camera_info"
    info_publishers: Sequence[str] = ()
    output_topics: Sequence[str] = ()
    subscribers: int = 0
    snapshot: Snapshot = field(default_factory=Snapshot)
    limits: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)
    facts: Mapping[str, str] = field(default_factory=dict)


def verdict(now: Situation) -> tuple[bytes, str]:
    """Return the level and one line: how it goes, or exactly what is missing."""
    snapshot = now.snapshot
    if now.state != "active":
        if now.failure:
            return DiagnosticStatus.ERROR, f"not active but {now.state}: {now.failure}"
        return DiagnosticStatus.WARN, f"not active but {now.state}: a lifecycle manager must configure and activate it"
    if now.engine_failure:
        return DiagnosticStatus.ERROR, f"no depth: {now.engine_failure}"
    if _recent(snapshot.seconds_since_output):
        line = f"{snapshot.published_hz:.1f} Hz, {snapshot.age_ms[0]:.0f} ms from stamp to output (median)"
        warnings = [*_crossed(now), *([_problem(now)] if snapshot.problem else [])]
        return DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK, "; ".join([line, *warnings])
    if not _recent(snapshot.seconds_since_image):
        return DiagnosticStatus.WARN, _no_image(now)
    if snapshot.problem:
        return DiagnosticStatus.ERROR, f"images come in, nothing goes out: {_problem(now)}"
    if not now.subscribers:
        return DiagnosticStatus.OK, f"idle: nobody subscribes to {', '.join(now.output_topics)}"
    return DiagnosticStatus.WARN, "images come in and are subscribed to, but the first result is not out yet"


def status(name: str, now: Situation) -> DiagnosticStatus:
    """Build the node's diagnostic status.

    Args:
        name: what to call it: the node's name and its part, after REP 107.
        now: the moment to describe.
    """
    level, message = verdict(now)
    values = [KeyValue(key=key, value=value) for key, value in _values(now)]
    return DiagnosticStatus(
        level=level, name=name, message=message, hardware_id=now.facts.get("device", ""), values=values
    )


def report(stamp: Any, statuses: Sequence[DiagnosticStatus]) -> DiagnosticArray:
    """Wrap statuses into the message of ``/diagnostics``."""
    return DiagnosticArray(header=Header(stamp=stamp), status=list(statuses))


def _recent(seconds: float | None) -> bool:
    return seconds is not None and seconds < SILENT_S


def _crossed(now: Situation) -> Iterator[str]:
    snapshot, limits = now.snapshot, now.limits
    if snapshot.published_hz < limits.min_rate:
        yield f"below the {limits.min_rate:g} Hz of diagnostics.min_rate"
    if limits.max_age and snapshot.age_ms[1] > limits.max_age * 1e3:
        yield f"95th percentile {snapshot.age_ms[1]:.0f} ms old, diagnostics.max_age is {limits.max_age * 1e3:.0f} ms"
    share = min(snapshot.dropped_hz / snapshot.received_hz, 1.0) if snapshot.received_hz else 0.0
    if share > limits.max_dropped:
        yield f"{share:.0%} of the images dropped, diagnostics.max_dropped is {limits.max_dropped:.0%}"


def _problem(now: Situation) -> str:
    problem = now.snapshot.problem
    if not problem.startswith("no camera_info"):
        return problem
    return f"{problem}{_publishers(now.info_publishers, _remap(now, 'camera_info'))}"


def _no_image(now: Situation) -> str:
    since = now.snapshot.seconds_since_image
    lead = f"no image on {now.image_topic} " + ("yet" if since is None else f"for {since:.0f} s")
    text = f"{lead}{_publishers(now.publishers, _remap(now, 'image'))}"
    return f"{text}; {now.hint}" if now.hint else text


def _remap(now: Situation, topic: str) -> str:
    """Return an example that moves an input of this camera."""
    below = f"{now.camera}/" if now.camera else ""
    return f"{below}{topic}:=/{now.camera or 'camera'}/{'image_raw' if topic == 'image' else topic}"


def _publishers(publishers: Sequence[str], remap: str) -> str:
    if not publishers:
        return f": nobody publishes there; remap it, e.g. -r {remap}"
    more = f" and {len(publishers) - _NAMED} more" if len(publishers) > _NAMED else ""
    return f", though {len(publishers)} publish there: {'; '.join(publishers[:_NAMED])}{more}"


def _values(now: Situation) -> Iterator[tuple[str, str]]:
    snapshot = now.snapshot
    yield "state", now.state
    yield from now.facts.items()
    yield "image_topic", now.image_topic
    yield "image_publishers", str(len(now.publishers))
    yield "camera_info_topic", now.info_topic
    yield "camera_info_publishers", str(len(now.info_publishers))
    yield "output_subscribers", str(now.subscribers)
    yield "received", str(snapshot.received)
    yield "received_hz", f"{snapshot.received_hz:.2f}"
    if snapshot.seconds_since_image is not None:
        yield "seconds_since_image", f"{snapshot.seconds_since_image:.1f}"
    yield "published", str(snapshot.published)
    yield "published_hz", f"{snapshot.published_hz:.2f}"
    for name, age in zip(("age_ms_p50", "age_ms_p95"), snapshot.age_ms, strict=False):
        yield name, f"{age:.1f}"
    yield "dropped", str(sum(snapshot.dropped.values()))
    for reason, count in snapshot.dropped.items():
        yield f"dropped: {reason}", str(count)
    for stage, value in snapshot.stages_ms.items():
        yield f"stage_ms: {stage}", f"{value:.2f}"
