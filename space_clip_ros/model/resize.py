"""Pillow's antialiased bicubic resize as matrix products, so that every backend computes the same numbers.

The kernel is that of Pillow's ``Resample.c``: Keys' cubic convolution with a = -0.5, widened by the scale when
shrinking, with windows cut to whole pixels and weights normalised to sum 1.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor

_SUPPORT = 2.0
_KEYS_A = -0.5


CENTRE = 128.0
"""Grey level that becomes 0 in half precision, which has finer steps around 0: of 1/16 below 128, but of 1/8 above."""


class ResizeBand(NamedTuple):
    """The weights of neighbouring output pixels along one axis.

    An output pixel reads few input pixels, so cutting the full matrix into a few bands saves most of the products.

    Attributes:
        begin: first input pixel that any of the outputs reads.
        end: one after the last.
        weights: (outputs, end - begin) float32.
    """

    begin: int
    end: int
    weights: Tensor


def resize_bands(size_in: int | Tensor, size_out: int, bands: int, device: torch.device) -> tuple[ResizeBand, ...]:
    """Return the weights that resize an axis from ``size_in`` to ``size_out`` pixels, in order of the outputs.

    Args:
        size_in: pixels of the input. An ``int`` gives constant bands; the 0-d integer tensor that a tracer gives for a
            symbolic size leaves the computation of the bands in the graph.
        size_out: pixels of the output.
        bands: number of bands, at most ``size_out``; 1 for one full matrix.
        device: device of the weights.
    """
    edges = [size_out * band // bands for band in range(bands + 1)]
    return tuple(_band(size_in, size_out, slice(*edge), device) for edge in pairwise(edges))


def shrinks(image_size: tuple[int, int], input_size: tuple[int, int]) -> bool:
    """Return whether an image is resized in half precision: if no axis grows.

    From 720p to 224 x 224 pixels the result is within 0.06 grey levels of float32's, and within 0.07 where an axis
    hardly shrinks; half of that is the last rounding. Enlarging would move noise by 0.16, so it is done in float32.
    """
    return all(before >= after for before, after in zip(image_size, input_size, strict=True))


def resize_centred(centred: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Resize with a product for each axis, in half precision too: GPUs accumulate in float32.

    Args:
        centred: (B, 3, H, W) grey levels less :data:`CENTRE`, which are exact in half precision.
        rows: (height, H) weights, perhaps with a factor; of :func:`half_weights` in half precision.
        columns: (width, W) weights.

    Returns:
        (B, 3, height, width), grey levels less :data:`CENTRE`, times the factor of ``rows``; the second product may
        overshoot the range of grey levels.
    """
    # Width first: shrinking the longer axis first costs less.
    narrow = (centred @ columns.T).clamp(-CENTRE, 255.0 - CENTRE)
    return rows @ narrow


def half_weights(weights: Tensor) -> Tensor:
    """Round (outputs, inputs) weights to float16 so that the sum of each row stays what it was.

    Each weight, the largest first, also makes up for the rounding of those before it. Rounded one by one, weights that
    sum up to 1.0004 would move every grey level.
    """
    exact = weights.to(torch.float64)
    order = exact.abs().argsort(dim=1, descending=True)[:, : int((weights != 0).sum(dim=1).max())]
    rounded = torch.zeros_like(weights, dtype=torch.float16)
    missing = exact.new_zeros(len(exact), 1)
    for place in range(order.shape[1]):
        column = order[:, place : place + 1]
        value = exact.gather(1, column)
        wanted = torch.where(value == 0, value, value + missing)
        found = wanted.to(torch.float16)
        missing = torch.where(value == 0, missing, wanted - found)
        rounded.scatter_(1, column, found)
    return rounded


def _band(size_in: int | Tensor, size_out: int, outputs: slice, device: torch.device) -> ResizeBand:
    # float64, as in Pillow: in float32, windows of large images would round to other pixels.
    size = size_in if isinstance(size_in, Tensor) else torch.tensor(size_in)
    size = size.to(device, torch.float64)
    scale = size / size_out
    widening = scale.clamp(min=1.0)
    radius = _SUPPORT * widening
    rows = torch.arange(outputs.start, outputs.stop, dtype=torch.float64, device=device)
    centres = (rows + 0.5) * scale
    first = torch.floor(centres - radius + 0.5).clamp(min=0.0)
    last = torch.floor(torch.minimum(centres + radius + 0.5, size))
    begin, end = _whole(first[0], size_in), _whole(last[-1], size_in)
    columns = torch.arange(begin, end, device=device).to(torch.float64)
    inside = (columns >= first[:, None]) & (columns < last[:, None])
    weights = _keys((columns - centres[:, None] + 0.5) / widening) * inside
    return ResizeBand(begin, end, (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32))


def _whole(value: Tensor, size: int | Tensor) -> int:
    # While tracing, integers are tensors too; slices and ranges accept them.
    whole = value.to(torch.int64)
    return cast(int, whole) if isinstance(size, Tensor) else int(whole)


def _keys(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981), for distances in (widened) pixels."""
    x = distance.abs()
    near = ((_KEYS_A + 2.0) * x - (_KEYS_A + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * _KEYS_A
    return torch.where(x < 1.0, near, torch.where(x < _SUPPORT, far, torch.zeros_like(x)))
