"""Adds up the operator times in ONNX Runtime's profile for each stage of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.metadata import DECODER, ENCODER, NETWORK
from space_clip_ros.tools.benchmark.floor import POSTPROCESS, PREPROCESS, STAGES

BETWEEN = "between operators"
"""Time of a run that no operator accounts for, spent by the runtime itself."""
_SUFFIX = "_kernel_time"
# The export names operators by the path of their module; see model/image_to_depth.py for the modules.
_PREFIXES = {
    "/network/": NETWORK,
    "/model/encoder/": ENCODER,
    "/model/decoder/": DECODER,
    "/model/depth_head/": DECODER,
    "/model/language_head/": DECODER,
    "/model/refinement_head/": DECODER,
    "/model/": POSTPROCESS,
}

Event = Mapping[str, Any]


def attribute(events: Iterable[Event]) -> list[dict[str, float]]:
    """Return, run by run, the milliseconds of each of ``floor.STAGES`` and of :data:`BETWEEN`.

    For an adopted network, ``network`` replaces encoder and decoder.

    Args:
        events: the profile's JSON content.

    Raises:
        BackendError: the profile holds no run or no operator.
    """
    listed = sorted(events, key=lambda event: float(event["ts"]))
    runs = [event for event in listed if event.get("name") == "model_run"]
    operators = [event for event in listed if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX)]
    if not runs or not operators:
        raise BackendError("ONNX Runtime's profile", "names no operators", "update onnxruntime")
    return [_stages(run, [event for event in operators if _within(event, run)]) for run in runs]


def stage_of(name: str, previous: str) -> str:
    """Return the stage of an operator.

    Args:
        name: the operator's, as in the graph.
        previous: stage of the operator that ran before; ``preprocess`` for the first. Operators that the runtime
            inserts (changes of memory layout) have names of its own and belong to the operator before them.
    """
    path = name.removeprefix("fused ")
    for prefix, stage in _PREFIXES.items():
        if path.startswith(prefix):
            return stage
    # Operators of the outermost module come before the network or after it.
    outermost = path.startswith("/") and path.count("/") == 1
    return POSTPROCESS if outermost and previous != PREPROCESS else previous


def _stages(run: Event, operators: Sequence[Event]) -> dict[str, float]:
    times = dict.fromkeys(STAGES, 0.0)
    stage = PREPROCESS
    for operator in operators:
        stage = stage_of(operator["name"].removesuffix(_SUFFIX), stage)
        times[stage] = times.get(stage, 0.0) + float(operator["dur"]) / 1e3
    if NETWORK in times:
        times = {stage: times[stage] for stage in (PREPROCESS, NETWORK, POSTPROCESS)}
    times[BETWEEN] = max(float(run["dur"]) / 1e3 - sum(times.values()), 0.0)
    return times


def _within(operator: Event, run: Event) -> bool:
    return bool(run["ts"] <= operator["ts"] <= run["ts"] + run["dur"])
