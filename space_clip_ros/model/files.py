"""Tensor files, read without ever running what they hold and written so that no half-written file is left."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from space_clip_ros.errors import ModelError

CONFIG_KEY = "space_clip.config"
"""Where a checkpoint of this package keeps its configuration, as JSON, in the header."""


def is_safetensors(path: Path) -> bool:
    """Tell by content (or, for a damaged file, by name) whether ``path`` is a safetensors file.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give the path of a checkpoint file") from error
    # eight bytes of header length, then the header, which is JSON
    return path.suffix == ".safetensors" or start[8:] == b"{"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, on the CPU.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def read_safetensors_metadata(path: Path) -> dict[str, str]:
    """Return the text in a safetensors file's header; the tensors are not read.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def read_torch(path: Path) -> Any:
    """Return what a ``torch.save`` file holds, on the CPU; only tensors and plain containers are accepted.

    Of a TorchScript archive, which is what OpenAI published CLIP as, it is the state dictionary.

    Raises:
        ModelError: the file is damaged, is no such file, or holds anything that only running code could restore.
    """
    try:
        if _is_torchscript(path):
            jit: Any = torch.jit  # its functions carry no types
            return dict(jit.load(path, map_location="cpu").state_dict())
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: is not a checkpoint, or holds more than tensors and plain values, which is refused because "
            f"reading it would run code; save it again with tensors only"
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: is damaged or not a PyTorch checkpoint ({reason})") from error


def state_dictionary(path: Path, content: Any, keys: Sequence[str], bare: bool = True) -> dict[str, Tensor]:
    """Return the state dictionary in what a ``torch.save`` file holds, without the ``module.`` of distributed training.

    Args:
        path: the file, for errors.
        content: what :func:`read_torch` returned.
        keys: where to look, in this order.
        bare: where none of ``keys`` is present, ``content`` itself may be the state dictionary.

    Raises:
        ModelError: there is none.
    """
    state = content
    if isinstance(content, dict):
        state = next((content[key] for key in keys if key in content), content if bare else None)
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        found = ", ".join(map(str, list(content)[:8])) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise ModelError(f"{path}: has no state dictionary as {' or '.join(keys)}; it holds: {found or 'nothing'}")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file in one step: readers see the old file or the whole new one, also after a power cut.

    Raises:
        ModelError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(dict(tensors), temporary, metadata=dict(metadata))
        _synchronise(temporary)
        temporary.replace(path)
        _synchronise(path.parent)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: cannot be written ({error}); check the folder and the space left") from error
    finally:
        temporary.unlink(missing_ok=True)


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: is damaged or not a safetensors file ({error}); copy or create it again")


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
