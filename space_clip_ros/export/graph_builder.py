"""Builds ONNX graphs of standard operators, node by node, in any opset from 11 on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Dim = int | str
"""A length: a number, or the name of an int64 scalar in the graph."""


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of the tensor that it adds.

    Attributes:
        nodes: so far, in order.
        initializers: the constants.
    """

    def __init__(self, prefix: str, opset: int) -> None:
        """Begin; all names begin with ``prefix``."""
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._prefix = prefix
        self._opset = opset
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        name = f"{self._prefix}{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output or name], name=name, **attributes))
        return output or name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add a constant, once for each value."""
        array = np.asarray(values, dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"{self._prefix}constant_{len(self.initializers)}"
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), self._known[key]))
            self.initializers[-1].dims[:] = array.shape
        return self._known[key]

    def whole(self, dim: Dim) -> str:
        """Return a length as an int64 scalar."""
        return dim if isinstance(dim, str) else self.constant(dim, np.int64)

    def double(self, dim: Dim) -> str:
        """Return a length as a float64 scalar."""
        return self.cast(dim, TensorProto.DOUBLE) if isinstance(dim, str) else self.constant(dim, np.float64)

    def cast(self, name: str, kind: int) -> str:
        """Convert to an element type of TensorProto."""
        return self.add("Cast", name, to=kind)

    def shape(self, dims: Sequence[Dim]) -> str:
        """Return lengths as an int64 vector."""
        if all(isinstance(dim, int) for dim in dims):
            return self.constant(dims, np.int64)
        parts = [self.add("Reshape", self.whole(dim), self.constant([1], np.int64)) for dim in dims]
        return self.add("Concat", *parts, axis=0)

    def axes(self, operator: str, name: str, axes: Sequence[int]) -> str:
        """Add Squeeze or Unsqueeze, whose axes became an input in opset 13."""
        if not axes:
            return name
        if self._opset < 13:
            return self.add(operator, name, axes=list(axes))
        return self.add(operator, name, self.constant(list(axes), np.int64))

    def length(self, name: str, axis: int) -> str:
        """Return the length of one axis of a tensor."""
        return self.add("Gather", self.add("Shape", name), self.constant(axis, np.int64), axis=0)
