"""From a model's name or file to a predictor: which backend, which device, which precision."""

from __future__ import annotations

import re
from pathlib import Path

from space_clip_ros.config import BACKENDS, PRECISIONS
from space_clip_ros.errors import BackendError, InputError
from space_clip_ros.inference import registry
from space_clip_ros.inference.backend import Backend
from space_clip_ros.inference.predictor import Predictor

_INSTALL = {"onnxruntime": "onnxruntime", "torch": "'space_clip_ros[train]'"}
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def load_predictor(
    name_or_file: str | Path,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> Predictor:
    """Load a model.

    Args:
        name_or_file: the name of a bundled model (``road_tiny``) or of one in the user's folder, or the path of an
            exported ``.onnx`` file or of a checkpoint.
        backend: auto, onnxruntime, torch or tensorrt. auto runs exported files on ONNX Runtime and checkpoints on
            PyTorch.
        device: auto, cpu, cuda or cuda:N.
        precision: auto (the file's own), fp32, fp16 or int8.
        threads: CPU threads; 0 for one a physical core.

    Raises:
        InputError: an argument that is none of these.
        ModelError: no such model, or a file that is damaged or not one of ours.
        BackendError: the backend is not installed, cannot run this kind of file, or has no such device or precision.
    """
    _check(backend, device, precision, threads)
    file = registry.resolve(name_or_file)
    loaded = _open(_choose(backend, file), file, device, threads)
    if precision not in ("auto", loaded.info.precision):
        loaded.close()
        raise BackendError(
            f"precision {precision}: {file} runs in {loaded.info.precision} on {loaded.info.backend}; give precision "
            f"auto, or a file exported with --precision {precision}"
        )
    return Predictor(loaded)


def _check(backend: str, device: str, precision: str, threads: int) -> None:
    for name, value, choices in (("backend", backend, BACKENDS), ("precision", precision, PRECISIONS)):
        if value not in choices:
            raise InputError(f"{name}: must be one of {', '.join(choices)}, got {value!r}")
    if not _DEVICE.fullmatch(device):
        raise InputError(f"device: must be auto, cpu, cuda or cuda:N, got {device!r}")
    if threads < 0:
        raise InputError(f"threads: must be at least 0, got {threads}")


def _choose(backend: str, file: Path) -> str:
    fitting = "onnxruntime" if registry.is_graph(file) else "torch"
    if backend == "tensorrt":
        raise BackendError("backend tensorrt: is not available in this version; give backend auto or onnxruntime")
    if backend not in ("auto", fitting):
        remedy = "give backend onnxruntime or auto, or a checkpoint" if fitting == "onnxruntime" else _EXPORT_FIRST
        raise BackendError(f"backend {backend}: cannot run {file}; {remedy}")
    return fitting


_EXPORT_FIRST = "give backend torch or auto, or make an .onnx file of it with 'space_clip export'"


def _open(backend: str, file: Path, device: str, threads: int) -> Backend:
    # Each library is loaded only where it is used: neither must be installed for the other.
    try:
        if backend == "onnxruntime":
            from space_clip_ros.inference.onnxruntime_backend import OnnxRuntimeBackend

            return OnnxRuntimeBackend(file, device, threads)
        from space_clip_ros.inference.torch_backend import TorchBackend

        return TorchBackend(file, device, threads)
    except ModuleNotFoundError as error:
        raise BackendError(
            f"backend {backend}: needs the Python package {error.name!r} to run {file}; pip install {_INSTALL[backend]}"
        ) from error
