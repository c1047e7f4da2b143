"""Matches a file's tensors to a model's strictly and names every disagreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from space_clip_ros.errors import ModelError
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
    problems = [
        _listed("missing", (name for name in shapes if name not in tensors)),
        _listed("not expected", (name for name in tensors if name not in shapes)),
        _listed("of another shape", misshapen),
    ]
    if any(problems):
        raise ModelError(path, f"tensors do not fit the model; {'; '.join(filter(None, problems))}")
    return {
        ours: source.assemble(tensors, tuple(wanted[ours].shape)).to(wanted[ours].dtype)
        for ours, source in sources.items()
    }


def _listed(what: str, names: Iterable[str]) -> str:
    names = list(names)
    if not names:
        return ""
    rest = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{what}: {', '.join(names[:_NAMES_SHOWN])}{rest}"
