"""Matches a file's tensors to a model's strictly and names every disagreement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from space_clip_ros.errors import ModelError, listed
from space_clip_ros.model.reference_names import TensorSource

_NAMES_SHOWN = 12


def match_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], sources: Mapping[str, TensorSource]
) -> dict[str, Tensor]:
    """Build a model's state dictionary from a file's tensors.

    Args:
        path: the file, for errors.
        tensors: the file's tensors, by name.
        wanted: our state dictionary; only shapes and dtypes are read.
        sources: where each of ``wanted`` lies in the file.

    Returns:
        A state dictionary with ``wanted``'s names, shapes and dtypes.

    Raises:
        ModelError: tensors are missing, unexpected, or of another shape; one message names them all.
    """
    shapes = {
        name: source.shape(tuple(wanted[ours].shape)) for ours, source in sources.items() for name in source.names
    }
    misshapen = [
        f"{name} (is {list(tensors[name].shape)}, must be {list(shape)})"
        for name, shape in shapes.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    problems = {
        "missing": [name for name in shapes if name not in tensors],
        "not expected": [name for name in tensors if name not in shapes],
        "of another shape": misshapen,
    }
    if texts := [f"{what}: {listed(names, _NAMES_SHOWN)}" for what, names in problems.items() if names]:
        raise ModelError(path, f"tensors do not fit the model; {'; '.join(texts)}")
    return {
        ours: source.assemble(tensors, tuple(wanted[ours].shape)).to(wanted[ours].dtype)
        for ours, source in sources.items()
    }
