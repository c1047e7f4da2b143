"""Counts a third-party network's operations, from the shapes that ONNX Runtime's profiler saw in one run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from space_clip_ros.inference.metadata import NETWORK, StageCost

_SUFFIX = "_kernel_time"


def traced_cost(events: Iterable[Mapping[str, Any]], weights: int) -> dict[str, StageCost]:
    """Return the cost of one run: two operations for each multiply-add of convolutions and matrix products.

    Args:
        events: events of the profile, from a run without optimisations, so that every product is a separate operator.
        weights: number of the network's weights.
    """
    operations = 0
    for event in events:
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith(_SUFFIX):
            arguments = event["args"]
            inputs, outputs = (_shapes(arguments.get(f"{side}_type_shape", ())) for side in ("input", "output"))
            operations += _operations(arguments.get("op_name", ""), inputs, outputs)
    return {NETWORK: StageCost(operations, weights)} if operations else {}


def _shapes(described: Iterable[Mapping[str, Sequence[int]]]) -> list[Sequence[int]]:
    return [shape for shapes in described for shape in shapes.values()]


def _operations(operator: str, inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]) -> int:
    """Return the operations of one operator with these shapes; 0 if it is not a product."""
    if operator == "Conv":  # weight (out, in / groups, kernel)
        return 2 * math.prod(outputs[0]) * math.prod(inputs[1][1:])
    if operator == "ConvTranspose":  # weight (in, out / groups, kernel)
        return 2 * math.prod(inputs[0]) * math.prod(inputs[1][1:])
    if operator in ("MatMul", "MatMulInteger"):
        return 2 * math.prod(outputs[0]) * inputs[0][-1]
    if operator == "Gemm":  # (M, K) or, transposed, (K, M)
        return 2 * math.prod(outputs[0]) * (math.prod(inputs[0]) // outputs[0][0])
    return 0
