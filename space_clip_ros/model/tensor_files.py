"""Reads and writes files of tensors; reading one never executes code from it."""

from __future__ import annotations

import contextlib
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from space_clip_ros.errors import DataError, ModelError, first_line, listed
from space_clip_ros.files import reading, refuse_lfs_pointer, written_whole

CONFIG_KEY = "space_clip.config"
"""Metadata key under which a checkpoint of this package keeps its configuration, as JSON."""
# How torch.load names the class or function that it refuses.
_GLOBAL = re.compile(r"\bGLOBAL ([\w.]+)")
_SPACE = "check the folder and the space left"


def is_safetensors(path: Path) -> bool:
    """Return whether a file is a safetensors file, by its content or, if that is damaged, by its name.

    Raises:
        ModelError: the file cannot be read.
    """
    with reading(path, ModelError, "give the path of a checkpoint file"), path.open("rb") as file:
        start = file.read(9)
    refuse_lfs_pointer(path, ModelError)
    # The file begins with eight bytes of header length; then comes the header, which is JSON.
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
    """Return the metadata in a safetensors file's header without reading the tensors.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def read_torch(path: Path) -> Any:
    """Return the content of a ``torch.save`` file, on the CPU; only tensors and plain containers are accepted.

    For a TorchScript archive, the form in which OpenAI published CLIP, this is its state dictionary.

    Raises:
        ModelError: the file is damaged, is not a PyTorch file, or holds objects that only code could restore.
    """
    try:
        if _is_torchscript(path):
            jit: Any = torch.jit  # its functions have no type annotations
            return dict(jit.load(path, map_location="cpu").state_dict())
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(path, f"is damaged or not a PyTorch checkpoint ({first_line(error)})") from error


def _refused(path: Path, error: pickle.UnpicklingError) -> ModelError:
    """Return why ``torch.load`` refused a file's pickle: the classes in it, if it got as far as that."""
    classes = _GLOBAL.findall(str(error))
    with contextlib.suppress(Exception):  # it reads the zip format only, and raises whatever its reader does
        classes = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)) or classes
    if not classes:
        return ModelError(path, "is not a checkpoint that PyTorch wrote")
    return ModelError(
        path,
        f"holds objects of {', '.join(classes)}, refused because reading them would run code",
        "if you trust the file, load it with torch.load(FILE, weights_only=False) where those classes are installed, "
        "and save the tensors alone: torch.save(model.state_dict(), 'weights.pt')",
    )


def state_dictionary(path: Path, content: Any, keys: Sequence[str], bare: bool = True) -> dict[str, Tensor]:
    """Return the state dictionary of a checkpoint, its names without the ``module.`` of distributed training.

    Args:
        path: the file, for errors.
        content: what :func:`read_torch` returned.
        keys: where to look, in this order.
        bare: whether ``content`` itself may be the state dictionary if it has none of ``keys``.

    Raises:
        ModelError: there is no state dictionary.
    """
    state = content
    if isinstance(content, dict):
        state = next((content[key] for key in keys if key in content), content if bare else None)
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        found = listed([*map(str, content)]) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise ModelError(path, f"has no state dictionary as {' or '.join(keys)}; it holds: {found or 'nothing'}")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file: readers see the old file or the complete new one, even after a power cut.

    Raises:
        ModelError: the file cannot be written, or its folder does not exist.
    """
    if not path.parent.is_dir():
        raise ModelError(path, f"cannot be written (there is no folder {path.parent})", _SPACE)
    try:
        with written_whole(path, durable=True) as draft:
            save_file(dict(tensors), draft, metadata=dict(metadata))
    except DataError as error:
        raise ModelError(path, error.reason, error.remedy) from error
    except SafetensorError as error:
        raise ModelError(path, f"cannot be written ({error})", _SPACE) from error


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(path, f"is damaged or not a safetensors file ({error})", "copy or create it again")


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
