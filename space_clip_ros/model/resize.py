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
