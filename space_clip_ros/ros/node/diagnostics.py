"""A camera's diagnostic status: its numbers, and one line that says how it is doing or exactly what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from space_clip_ros.config import DiagnosticsConfig
from space_clip_ros.inference.backend import RELATIVE
from space_clip_ros.messages import diagnostics
from space_clip_ros.messages.diagnostics import DepthValues, Level, NodeState
from space_clip_ros.ros.node.statistics import Snapshot

SILENT_S = 5.0
"""Seconds without output after which the node says what is missing."""
_NAMED = 4
_EARLIEST_MS, _OLDEST_MS = -1e3, 600e3
_MOST_LOST = 0.2
"""From this share of lost images on, the transport is at fault, not a busy moment."""


@dataclass(frozen=True)
class Situation:
    """Everything that a status is made of.

    Attributes:
        state: lifecycle state.
        camera: the camera's name, which its topics begin with; empty for the only one.
        failure: why the last transition failed; empty if it did not.
        model_failure: why the model is given up; empty while it runs or is loaded again.
        preparing: height and width of the new images that the model is being prepared for; None if it is ready.
        image_topic: resolved name.
        publishers: the image publishers, one text each: node, type and QoS.
        image_remap: how to remap the image topic to the only one of images that others publish, if there is one.
        rivals: which other node publishes an output too; empty if none does.
        hint: another reason why images do not arrive; empty if none was found.
        info_topic: resolved name of the camera_info topic.
        info_publishers: its publishers, one text each.
        info_remap: how to remap camera_info to the one beside the image topic, if there is one.
        output_topics: resolved names of the outputs.
        subscribers: how many subscribers they have together.
        snapshot: the camera's numbers.
        limits: when to warn.
        clock_set: whether the node's clock runs; simulated time stands at zero until /clock is heard.
        values: what is known of model, scale and memory; the rest is filled in here.
    """

    state: NodeState
    camera: str = ""
    failure: str = ""
    model_failure: str = ""
    preparing: tuple[int, int] | None = None
    image_topic: str = "image"
    publishers: Sequence[str] = ()
    image_remap: str = ""
    rivals: str = ""
    hint: str = ""
    info_topic: str = "camera_info"
    info_publishers: Sequence[str] = ()
    info_remap: str = ""
    output_topics: Sequence[str] = ()
    subscribers: int = 0
    snapshot: Snapshot = field(default_factory=Snapshot)
    limits: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)
    clock_set: bool = True
    values: DepthValues = field(default_factory=DepthValues)


def verdict(now: Situation) -> tuple[Level, str]:
    """Return the level and one line: how it is doing, or exactly what is missing."""
    snapshot = now.snapshot
    if now.state is not NodeState.ACTIVE:
        if now.failure:
            return Level.ERROR, f"not active but {now.state.value}: {now.failure}"
        if now.state is NodeState.FINALIZED:
            return Level.WARN, "shut down for good: start the process again"
        return Level.WARN, f"not active but {now.state.value}: a lifecycle manager must configure and activate it"
    if now.failure:
        return Level.ERROR, now.failure
    if now.model_failure:
        return Level.ERROR, f"no depth: {now.model_failure}"
    if _recent(snapshot.seconds_since_output):
        line = f"{snapshot.published_hz:.1f} Hz"
        if _plausible(snapshot.age_ms):
            line = f"{line}, {snapshot.age_ms[0]:.0f} ms from stamp to output (median)"
        problems = [_problem(now) if snapshot.problem else "", now.values.queries_problem or ""]
        warnings = [*_clocks(now), *_units(now), *_crossed(now), *filter(None, [now.rivals, *problems])]
        return Level.WARN if warnings else Level.OK, "; ".join([line, *warnings])
    waiting = now.preparing and snapshot.seconds_since_image is not None
    if not waiting and not _recent(snapshot.seconds_since_image):
        return Level.WARN, _no_image(now)
    if snapshot.problem:
        return Level.ERROR, f"images come in, nothing goes out: {_problem(now)}"
    if now.preparing:
        height, width = now.preparing
        return Level.WARN, f"the model is being prepared for images of {width}x{height} pixels, which takes seconds"
    if not now.subscribers:
        return Level.OK, f"idle: nobody subscribes to {', '.join(now.output_topics)}"
    return Level.WARN, "images arrive, but there is no result for the subscribers yet"


def status(name: str, now: Situation) -> Any:
    """Return the ``DiagnosticStatus`` of a camera.

    Args:
        name: what to call it: the node's name and its part, as REP 107 has it.
        now: the situation to describe.
    """
    level, message = verdict(now)
    return diagnostics.status(name, level, message, _values(now).texts(), now.values.device or "")


def _recent(seconds: float | None) -> bool:
    return seconds is not None and seconds < SILENT_S


def _plausible(age_ms: Sequence[float]) -> bool:
    """Return whether an age can be one: stamps and this node's clock tell the same time."""
    return bool(age_ms) and _EARLIEST_MS < age_ms[0] < _OLDEST_MS


def _clocks(now: Situation) -> Iterator[str]:
    """Yield why ages are unknown or absurd."""
    if not now.clock_set:
        yield "use_sim_time is true, but nobody publishes /clock, so ages are unknown"
    elif not now.snapshot.age_ms:
        yield "images have no stamp (it is 0), so their age is unknown"
    elif not _plausible(now.snapshot.age_ms):
        seconds = now.snapshot.age_ms[0] / 1e3
        side = "behind" if seconds > 0 else "ahead of"
        yield f"stamps are {abs(seconds):.0f} s {side} this node's clock; check use_sim_time and the clocks (ntp)"


def _units(now: Situation) -> Iterator[str]:
    """Yield that depth is not in metres, in case somebody takes it for that."""
    if now.values.metric is False and now.values.scale_mode == "none":
        yield RELATIVE


def _crossed(now: Situation) -> Iterator[str]:
    snapshot, limits = now.snapshot, now.limits
    if snapshot.published_hz < limits.min_rate:
        yield f"below the {limits.min_rate:g} Hz of diagnostics.min_rate"
    if limits.max_age and snapshot.age_ms and snapshot.age_ms[1] > limits.max_age * 1e3:
        yield f"95th percentile {snapshot.age_ms[1]:.0f} ms old, diagnostics.max_age is {limits.max_age * 1e3:.0f} ms"
    share = min(snapshot.dropped_hz / snapshot.received_hz, 1.0) if snapshot.received_hz else 0.0
    if share > limits.max_dropped:
        yield f"{share:.0%} of the images dropped, diagnostics.max_dropped is {limits.max_dropped:.0%}"
    yield from _lost(snapshot)


def _lost(snapshot: Snapshot) -> Iterator[str]:
    """Yield that many images do not arrive whole."""
    if snapshot.lost_hz > _MOST_LOST * (snapshot.lost_hz + snapshot.received_hz):
        yield (
            f"{snapshot.lost_hz:.1f} images a second are lost on the way here, because DDS's defaults are made for "
            "small messages; use the package's DDS profile, for the camera too (docs/transport.md)"
        )


def _problem(now: Situation) -> str:
    problem = now.snapshot.problem
    if not now.snapshot.no_camera_info:
        return problem
    return f"{problem}{_publishers(now.info_publishers, now.info_remap or _remap(now, 'camera_info'))}"


def _no_image(now: Situation) -> str:
    since = now.snapshot.seconds_since_image
    lead = f"no image on {now.image_topic} " + ("yet" if since is None else f"for {since:.0f} s")
    text = f"{lead}{_publishers(now.publishers, now.image_remap or _remap(now, 'image'))}"
    return "; ".join([text, *filter(None, [now.hint]), *_lost(now.snapshot)])


def _remap(now: Situation, topic: str) -> str:
    """Return an example that moves an input of this camera."""
    below = f"{now.camera}/" if now.camera else ""
    return f"{below}{topic}:=/{now.camera or 'camera'}/{'image_raw' if topic == 'image' else topic}"


def _publishers(publishers: Sequence[str], remap: str) -> str:
    if not publishers:
        return f": nobody publishes there; remap it, e.g. -r {remap}"
    more = f" and {len(publishers) - _NAMED} more" if len(publishers) > _NAMED else ""
    verb = "publishes" if len(publishers) == 1 else "publish"
    return f", though {len(publishers)} {verb} there: {'; '.join(publishers[:_NAMED])}{more}"


def _values(now: Situation) -> DepthValues:
    snapshot = now.snapshot
    age_p50, age_p95 = snapshot.age_ms or (None, None)
    return replace(
        now.values,
        state=now.state,
        failure=now.failure,
        image_topic=now.image_topic,
        image_publishers=len(now.publishers),
        camera_info_topic=now.info_topic,
        camera_info_publishers=len(now.info_publishers),
        output_subscribers=now.subscribers,
        received=snapshot.received,
        received_hz=snapshot.received_hz,
        seconds_since_image=snapshot.seconds_since_image,
        lost=snapshot.lost,
        published=snapshot.published,
        published_hz=snapshot.published_hz,
        age_ms_p50=age_p50,
        age_ms_p95=age_p95,
        dropped=sum(snapshot.dropped.values()),
        dropped_by=snapshot.dropped,
        stages_ms=snapshot.stages_ms,
    )
