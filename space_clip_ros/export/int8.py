"""Quantises a graph's large products to 8-bit integers, as QDQ pairs, which every runtime with int8 supports.

ONNX Runtime's quantiser quantises the encoder's linear layers and the encoder's and decoder's convolutions:
activations to uint8 with a zero point, weights to int8 with one scale per channel. Both resizes, layer norms,
attention's products and softmax, FiLM and the heads stay in float32: rounding there is visible in the depth, or
CPUs have no faster int8 kernel. ``docs/results/precision.md`` has the figures behind the choice.

TensorRT needs another scheme: activations are symmetric int8, without a zero point; only the inputs of a product are
quantised, so that what follows can be fused with it; weights stay float32 and are quantised by the graph; biases stay
float32, because TensorRT's parser does not dequantise int32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from space_clip_ros.export.trial_images import fit
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.inference.metadata import INPUT_NAME

_CONVOLUTIONS = ("/model/encoder/", "/model/decoder/", "/model/language_head/", "/model/refinement_head/")
_MATRICES = ("/model/encoder/",)
_PROJECTION = "/model/encoder/projection"
_PREPARED = {"onnx.infer": "onnxruntime.quant", "onnx.quant.pre_process": "onnxruntime.quant"}
"""Tells the quantiser that shapes and constants are inferred already, so that it does not advise to do so first."""

_SYMMETRIC = {
    "ActivationSymmetric": True,
    "AddQDQPairToWeight": True,
    "QuantizeBias": False,
    "OpTypesToExcludeOutputQuantization": ["Conv", "MatMul"],
}


class _CalibrationReader:
    """Gives the quantiser its calibration data: the input of one run after the other, then None."""

    def __init__(self, images: Sequence[Rgb], batch: int) -> None:
        self._images: Iterator[Rgb] = iter(images)
        self._batch = batch

    def get_next(self) -> dict[str, Rgb] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT_NAME: np.repeat(image[None], self._batch, axis=0)}


def to_int8(
    graph: onnx.ModelProto,
    images: Sequence[Rgb],
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    symmetric: bool = False,
    convolutions: tuple[str, ...] = _CONVOLUTIONS,
    matrices: tuple[str, ...] = _MATRICES,
) -> onnx.ModelProto:
    """Return ``graph`` with quantised convolutions and weight products.

    Args:
        graph: float32, as :func:`space_clip_ros.export.trace.trace` returns it.
        images: (H, W, 3) uint8 RGB; the smallest and largest activations on them set the scales.
        size: height and width of the graph's images, pixels; None if it takes any size.
        batch: images per run of the graph; None if it takes any number.
        symmetric: quantise symmetrically, as TensorRT needs it.
        convolutions: what the names of the convolutions to quantise begin with.
        matrices: the same of matrix products with weights.
    """
    products = _quantised_products(graph, convolutions, matrices)
    calibration = [image if size is None else fit(image, size) for image in images]
    with TemporaryDirectory(prefix="space_clip_int8_") as folder:
        source, quantised = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        prepared = onnx.ModelProto()
        prepared.CopyFrom(graph)
        onnx.helper.set_model_props(prepared, _PREPARED)
        onnx.save(prepared, source)
        quantize_static(
            source,
            quantised,
            _CalibrationReader(calibration, batch or 1),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_quantize=products if symmetric else products + _rectifiers(graph, products),
            extra_options=_SYMMETRIC if symmetric else {},
        )
        result = onnx.load(quantised)
    del result.opset_import[:]
    result.opset_import.extend(graph.opset_import)
    del result.metadata_props[:]
    result.producer_name, result.producer_version = graph.producer_name, graph.producer_version
    onnx.checker.check_model(result)
    return result


def _quantised_products(graph: onnx.ModelProto, convolutions: tuple[str, ...], matrices: tuple[str, ...]) -> list[str]:
    # The projection to CLIP's joint space stays in float32: it costs little, and cosines show its rounding.
    constants = {tensor.name for tensor in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if (node.op_type == "Conv" and node.name.startswith(convolutions))
        or (
            node.op_type == "MatMul"
            and node.name.startswith(matrices)
            and not node.name.startswith(_PROJECTION)
            and node.input[1] in constants
        )
    ]


def _rectifiers(graph: onnx.ModelProto, products: Sequence[str]) -> list[str]:
    """Return the ReLUs directly after a quantised convolution, to be fused with it.

    Quantised to the range of the ReLU's output, which begins at 0, the convolution's own rounding clips like the ReLU.
    """
    uses = Counter(name for node in graph.graph.node for name in node.input)
    alone = {
        node.output[0]
        for node in graph.graph.node
        if node.op_type == "Conv" and node.name in products and uses[node.output[0]] == 1
    }
    return [node.name for node in graph.graph.node if node.op_type == "Relu" and node.input[0] in alone]
