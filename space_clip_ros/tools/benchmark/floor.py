"""The floor: the least time a run can take on a machine, from the operations and bytes that it cannot avoid.

The network's operations were counted from the model (:mod:`space_clip_ros.export.cost`), the two resizes' are counted
here. Bytes are the compulsory ones: every weight once, the image in, the depth out, as if everything in between stayed
in the caches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from space_clip_ros.inference.metadata import DECODER, ENCODER, StageCost

PREPROCESS, POSTPROCESS = "preprocess", "postprocess"
STAGES = (PREPROCESS, ENCODER, DECODER, POSTPROCESS)
"""Stages of a run of our network, in order; of an adopted one NETWORK is all between the first and the last."""
_KERNEL_TAPS = 4
"""Reach of Pillow's bicubic kernel, in output pixels when it shrinks and in input pixels when it does not."""
_BILINEAR_OPERATIONS = 7
_FLOAT_BYTES = 4
_BYTES_PER_WEIGHT = {"fp32": 4, "tf32": 4, "fp16": 2, "int8": 1}


@dataclass(frozen=True)
class Floor:
    """The least time a run can take on a machine.

    Attributes:
        operations: two per multiply-add.
        bytes: compulsory traffic.
        compute_ms: operations over the matrix peak.
        memory_ms: bytes over the bandwidth.
        stages_ms: the larger of both for each of :data:`STAGES`.
    """

    operations: int
    bytes: int
    compute_ms: float
    memory_ms: float
    stages_ms: dict[str, float]

    @property
    def ms(self) -> float:
        """The larger of both, since reading and computing can overlap."""
        return max(self.compute_ms, self.memory_ms)


def run_cost(
    network: Mapping[str, StageCost], input_size: tuple[int, int], height: int, width: int, batch: int = 1
) -> dict[str, StageCost]:
    """Return the cost of each of :data:`STAGES` in a run, or of those of an adopted network, in order.

    Args:
        network: cost of encoder and decoder, or of an adopted network, for one image.
        input_size: height and width that the network takes, pixels.
        height: of the images, pixels.
        width: of the images, pixels.
        batch: images per run; they share the weights.
    """
    image = {
        PREPROCESS: StageCost(_resize_operations(height, width, input_size)),
        **network,
        POSTPROCESS: StageCost(_BILINEAR_OPERATIONS * height * width),
    }
    return {stage: StageCost(batch * image[stage].operations, image[stage].weights) for stage in image}


def floor(
    cost: Mapping[str, StageCost], height: int, width: int, batch: int, precision: str, gflops: float, gbytes: float
) -> Floor:
    """Return the least time of a run.

    Args:
        cost: of the run's stages, as :func:`run_cost` returns it.
        height: of the images, pixels.
        width: of the images, pixels.
        batch: images per run.
        precision: fp32, tf32, fp16 or int8; sets the size of a weight.
        gflops: matrix peak, 10^9 operations per second.
        gbytes: bandwidth, 10^9 bytes read or written per second.
    """
    moved = {stage: stage_cost.weights * _BYTES_PER_WEIGHT[precision] for stage, stage_cost in cost.items()}
    moved[PREPROCESS] += batch * height * width * 3
    moved[POSTPROCESS] += batch * height * width * _FLOAT_BYTES
    operations = sum(stage_cost.operations for stage_cost in cost.values())
    return Floor(
        operations=operations,
        bytes=sum(moved.values()),
        compute_ms=operations / gflops / 1e6,
        memory_ms=sum(moved.values()) / gbytes / 1e6,
        stages_ms={
            stage: max(stage_cost.operations / gflops, moved[stage] / gbytes) / 1e6
            for stage, stage_cost in cost.items()
        },
    )


def _resize_operations(height: int, width: int, size: tuple[int, int]) -> int:
    """Pillow's separable resize, width first, three channels, then one multiply-add per value to normalise."""
    # Not counted from the model, which resizes by products with matrices that are mostly zeros.
    rows, columns = size
    across = height * columns * _taps(width, columns)
    down = rows * columns * _taps(height, rows)
    return round(2 * 3 * (across + down + rows * columns))


def _taps(size_in: int, size_out: int) -> float:
    return min(float(size_in), _KERNEL_TAPS * max(size_in / size_out, 1.0))
