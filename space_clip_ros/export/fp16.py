"""Converts a graph to mixed fp16 and fp32, with each tensor's type written into it for engine builders.

A builder that chooses types itself ruins vision transformers (https://github.com/NVIDIA/TensorRT/issues/2709): layer
norms and softmax lose their accuracy. Here types are those that PyTorch gives the halved model
(:mod:`space_clip_ros.model.half`): matrix products and convolutions are fp16, except a few that must not be, and
everything else has the type of its inputs. So what lies between products is fp16, and the tower's residual sum, whose
largest channels exceed fp16, is fp32. Layer norms, softmax and all resampling compute in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from space_clip_ros.errors import ExportError
from space_clip_ros.model.half import keeps_float32

LARGEST = float(np.finfo(np.float16).max)
"""65504; larger values become infinite."""
_NETWORK = "/model/"
_RESIZE = "/half_resize/"
"""What the names of the nodes of :class:`space_clip_ros.model.image_to_depth.HalfResize` begin with."""
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_COMPUTED_IN_FLOAT32 = ("LayerNormalization", "Resize", "Softmax")


def to_fp16(
    graph: onnx.ModelProto,
    network: str = _NETWORK,
    keeps: Callable[[str], bool] = keeps_float32,
    around: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """Return ``graph`` with its products in fp16; input and output keep their types.

    Args:
        graph: float32, as :func:`space_clip_ros.export.trace.trace` returns it for a model that is not simplified: the
            simplifications help CPUs only, and would turn resampling into matrix products.
        network: what the names of the network's nodes begin with; products outside it stay float32, except those of
            a :class:`~space_clip_ros.model.image_to_depth.HalfResize`.
        keeps: whether the products of a module of the network stay float32, by the module's dotted name.
        around: what the names of nodes begin with that stay float32 whatever their inputs are.

    Raises:
        ExportError: a weight is beyond fp16's range.
    """
    return _Conversion(graph, network, keeps, around).run()


class _Conversion:
    def __init__(
        self, graph: onnx.ModelProto, network: str, keeps: Callable[[str], bool], around: tuple[str, ...]
    ) -> None:
        self._model = graph
        self._network = network
        self._keeps = keeps
        self._around = around
        inferred = onnx.shape_inference.infer_shapes(graph).graph
        values = [*inferred.input, *inferred.value_info, *inferred.output]
        self._floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
        self._weights = {
            tensor.name: tensor for tensor in graph.graph.initializer if tensor.data_type == TensorProto.FLOAT
        }
        # Tensors that are fp16, and those that PyTorch would store as fp16 but that are fp32 until they are used.
        self._half: set[str] = set()
        self._stored_half: set[str] = set()
        self._converted_names: set[str] = set()
        self._added_weights: list[TensorProto] = []
        resizing = (node for node in graph.graph.node if node.name.startswith(_RESIZE))
        self._resized = {name for node in resizing for name in node.output}

    def run(self) -> onnx.ModelProto:
        result = onnx.ModelProto()
        result.CopyFrom(self._model)
        nodes = [copied for node in self._model.graph.node for copied in self._converted(node)]
        used = {name for node in nodes for name in node.input}
        tensors = [*self._model.graph.initializer, *self._added_weights]
        for field, content in (
            (result.graph.node, nodes),
            (result.graph.initializer, [tensor for tensor in tensors if tensor.name in used]),
            (result.graph.value_info, []),
        ):
            del field[:]
            field.extend(content)
        onnx.checker.check_model(result, full_check=True)
        return result

    def _converted(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Yield the casts that the node's inputs need, and then the node in its type."""
        half = self._is_half(node)
        outputs = [name for name in node.output if name in self._floats]
        if half and node.op_type in _COMPUTED_IN_FLOAT32:
            self._stored_half.update(outputs)
            half = False
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name in self._weights:
                copied.input[index] = self._half_weight(name) if half else name
            elif name in self._floats and (name in self._half) != half:
                converted = f"{name}_{'fp16' if half else 'fp32'}"
                copied.input[index] = converted
                if converted not in self._converted_names:
                    self._converted_names.add(converted)
                    to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
                    yield helper.make_node("Cast", [name], [converted], name=converted, to=to)
        if half:
            self._half.update(outputs)
        yield copied

    def _is_half(self, node: onnx.NodeProto) -> bool:
        """Return whether PyTorch would store the node's result as fp16 in the halved model."""
        if node.op_type == "Cast" or node.name.startswith(self._around):
            return False
        if node.name.startswith(_RESIZE) and node.op_type in _PRODUCTS:
            return True
        if not node.name.startswith(_RESIZE) and not self._resized.isdisjoint(node.input):
            return False  # Normalised in float32: around 0 grey levels are finer than around 128.
        if node.op_type in _PRODUCTS:
            scope = node.name.removeprefix(self._network).replace("/", ".")
            return node.name.startswith(self._network) and not self._keeps(scope)
        tensors = [name for name in node.input if name in self._floats and name not in self._weights]
        tables = [name for name in node.input if name in self._weights and self._is_table(name, node)]
        return bool(tensors) and not tables and all(name in self._half | self._stored_half for name in tensors)

    def _is_table(self, weight: str, node: onnx.NodeProto) -> bool:
        """Return whether a weight outside products is more than a product's bias or a constant: an embedding."""
        return node.op_type == "Concat" or sum(size > 1 for size in self._weights[weight].dims) > 1

    def _half_weight(self, name: str) -> str:
        converted = f"{name}_fp16"
        if converted not in self._converted_names:
            self._converted_names.add(converted)
            values = numpy_helper.to_array(self._weights[name])
            largest = float(np.abs(values).max(initial=0.0))
            if largest > LARGEST:
                raise ExportError(
                    f"weight {name} holds {largest:.3g}, more than fp16's {LARGEST:g}",
                    "",
                    "export with --precision fp32",
                )
            self._added_weights.append(numpy_helper.from_array(values.astype(np.float16), converted))
        return converted
