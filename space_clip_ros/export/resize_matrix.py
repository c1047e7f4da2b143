"""Resizes as products with matrices, so that every runtime computes the same numbers: as constants, or in a graph.

Without antialiasing the kernel reads two (bilinear) or four (bicubic, a = -0.75) pixels around each centre, and pixels
beyond the edge are those of the edge, as in OpenCV and PyTorch. With antialiasing it is Pillow's: widened by the scale
when shrinking, a = -0.5, and weights beyond the edge are left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from space_clip_ros.export.graph_builder import Dim, GraphBuilder
from space_clip_ros.geometry.rigid import Matrix


def resize_matrix(size_in: int, size_out: int, interpolation: str, antialias: bool) -> npt.NDArray[np.float32]:
    """Return the weights (size_out, size_in) that resize an axis; pixels are cells, as half-pixel centres have it."""
    centres = (np.arange(size_out, dtype=np.float64) + 0.5) * (size_in / size_out) - 0.5
    columns = np.arange(size_in, dtype=np.float64)
    if antialias:
        weights = _kernel((columns - centres[:, None]) / max(size_in / size_out, 1.0), interpolation, -0.5)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
    base = np.floor(centres)
    result = np.zeros((size_out, size_in))
    for tap in _taps(interpolation):
        index = np.clip(base + tap, 0, size_in - 1).astype(np.int64)
        np.add.at(result, (np.arange(size_out), index), _kernel(centres - base - tap, interpolation, -0.75))
    return np.asarray(result, np.float32)


def resize_node(builder: GraphBuilder, size_in: Dim, size_out: Dim, interpolation: str, antialias: bool) -> str:
    """Add :func:`resize_matrix` to a graph, for lengths that it knows only when it runs; constant where both are."""
    if isinstance(size_in, int) and isinstance(size_out, int):
        return builder.constant(resize_matrix(size_in, size_out, interpolation, antialias))
    b, float64 = builder, np.float64
    whole_in, whole_out = b.double(size_in), b.double(size_out)
    ratio = b.add("Div", whole_in, whole_out)
    zero, one = b.constant(0.0, float64), b.constant(1.0, float64)
    rows, columns = (b.add("Range", zero, end, one) for end in (whole_out, whole_in))
    half = b.constant(0.5, float64)
    centres = b.add("Sub", b.add("Mul", b.add("Add", rows, half), ratio), half)
    centres = b.axes("Unsqueeze", centres, [1])
    if antialias:
        widening = b.add("Max", ratio, one)
        weights = _kernel_node(b, b.add("Div", b.add("Sub", columns, centres), widening), interpolation, -0.5)
        ones = b.axes("Unsqueeze", b.add("Add", b.add("Mul", columns, zero), one), [1])
        weights = b.add("Div", weights, b.add("MatMul", weights, ones))
    else:
        base = b.add("Floor", centres)
        fraction = b.add("Sub", centres, base)
        last = b.add("Sub", whole_in, one)
        weights = ""
        for tap in _taps(interpolation):
            offset = b.constant(float(tap), float64)
            index = b.add("Max", b.add("Min", b.add("Add", base, offset), last), zero)
            weight = _kernel_node(b, b.add("Sub", fraction, offset), interpolation, -0.75)
            placed = b.add("Where", b.add("Equal", columns, index), weight, zero)
            weights = b.add("Add", weights, placed) if weights else placed
    return b.cast(weights, TensorProto.FLOAT)


def _taps(interpolation: str) -> range:
    return range(-1, 3) if interpolation == "bicubic" else range(2)


def _kernel(distance: Matrix, interpolation: str, a: float) -> Matrix:
    """The triangle, or Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981), of distances in pixels."""
    x = np.abs(distance)
    if interpolation == "bilinear":
        return np.maximum(1.0 - x, 0.0)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _kernel_node(b: GraphBuilder, distance: str, interpolation: str, a: float) -> str:
    x = b.add("Abs", distance)

    def number(value: float) -> str:
        return b.constant(value, np.float64)

    def polynomial(*coefficients: float) -> str:
        """Horner's rule, the highest power first."""
        first, *rest = coefficients
        result = b.add("Add", b.add("Mul", x, number(first)), number(rest[0]))
        for coefficient in rest[1:]:
            result = b.add("Add", b.add("Mul", result, x), number(coefficient))
        return result

    if interpolation == "bilinear":
        return b.add("Max", polynomial(-1.0, 1.0), number(0.0))
    near, far = polynomial(a + 2.0, -a - 3.0, 0.0, 1.0), polynomial(a, -5.0 * a, 8.0 * a, -4.0 * a)
    outer = b.add("Where", b.add("Less", x, number(2.0)), far, number(0.0))
    return b.add("Where", b.add("Less", x, number(1.0)), near, outer)
