"""From ONNX Runtime's profile to the stages of the model: which operator belongs where, and for how long it ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from space_clip_ros.errors import BackendError

BETWEEN = "between operators"
"""Time of a run that no operator accounts for: the runtime's own."""
_SUFFIX = "_kernel_time"
# The export names operators by the path of their module; see model/image_to_depth.py for the modules.
_PREFIXES = {
    "/model/encoder/": "encoder",
    "/model/decoder/": "decoder",
    "/model/depth_head/": "decoder",
    "/model/": "postprocess",
}

Event = Mapping[str, Any]


def attribute(events: Iterable[Event]) -> list[dict[str, float]]:
    """Return, run by run, each stage's milliseconds: preprocess, encoder, decoder, postprocess, between operators.

    Args:
        events: the profile's JSON content.

    Raises:
        BackendError: the profile holds no run or no operator.
    """
    listed = sorted(events, key=lambda event: float(event["ts"]))
    runs = [event for event in listed if event.get("name") == "model_run"]
    operators = [event for event in listed if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX)]
    if not runs or not operators:
        raise BackendError("ONNX Runtime's profile names no operators; update onnxruntime")
    return [_stages(run, [event for event in operators if _within(event, run)]) for run in runs]


def stage_of(name: str, previous: str) -> str:
    """Return the stage of an operator.

    Args:
        name: the operator's, as in the graph.
        previous: stage of the operator that ran before; ``preprocess`` for the first. What the runtime puts in by
            itself (changes of memory layout) has names of its own and belongs to what it follows.
    """
    path = name.removeprefix("fused ")
    for prefix, stage in _PREFIXES.items():
        if path.startswith(prefix):
            return stage
    # Operators of the outermost module come before the network or after it.
    outermost = path.startswith("/") and path.count("/") == 1
    return "postprocess" if outermost and previous != "preprocess" else previous


def _stages(run: Event, operators: Sequence[Event]) -> dict[str, float]:
    times = dict.fromkeys(("preprocess", "encoder", "decoder", "postprocess"), 0.0)
    stage = "preprocess"
    for operator in operators:
        stage = stage_of(operator["name"].removesuffix(_SUFFIX), stage)
        times[stage] += float(operator["dur"]) / 1e3
    times[BETWEEN] = max(float(run["dur"]) / 1e3 - sum(times.values()), 0.0)
    return times


def _within(operator: Event, run: Event) -> bool:
    return bool(run["ts"] <= operator["ts"] <= run["ts"] + run["dur"])
