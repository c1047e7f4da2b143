"""What could run a model here, the fastest first."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from space_clip_ros.errors import BackendError
from space_clip_ros.inference import model_files


@dataclass(frozen=True)
class Candidate:
    """A library on a device.

    Attributes:
        library: onnxruntime, torch or tensorrt.
        device: auto (torch alone), cpu, cuda or cuda:N.
        chosen_by_us: whether the user left the choice open, so that others may stand in.
        through_onnxruntime: TensorRT as ONNX Runtime's provider, for machines without TensorRT's Python package.
    """

    library: str
    device: str
    chosen_by_us: bool = False
    through_onnxruntime: bool = False


def candidates(backend: str, device: str, file: Path) -> list[Candidate]:
    """Return what to try for a file, in order; at least one.

    Args:
        backend: auto, onnxruntime, torch or tensorrt.
        device: auto, cpu, cuda or cuda:N.
        file: an exported graph or a checkpoint.

    Raises:
        BackendError: the backend does not run this kind of file, or not on this device.
    """
    if not model_files.is_graph(file):
        if backend not in ("auto", "torch"):
            raise BackendError(
                f"backend {backend}: cannot run {file}; give backend torch or auto, or make an .onnx file of it with "
                f"'space_clip export'"
            )
        return [Candidate("torch", device)]
    if backend == "torch":
        raise BackendError(f"backend torch: cannot run {file}; give backend onnxruntime or auto, or a checkpoint")
    gpu = "cuda" if device == "auto" else device
    on_cpu = [Candidate("onnxruntime", "cpu")] if device in ("auto", "cpu") else []
    if backend == "tensorrt":
        if device == "cpu":
            raise BackendError("backend tensorrt: runs on a GPU, not on device cpu; give device auto or cuda")
        own = Candidate("tensorrt", gpu)
        return [own] if _tensorrt_is_installed() else [own, Candidate("onnxruntime", gpu, through_onnxruntime=True)]
    on_gpu = [] if device == "cpu" else [Candidate("onnxruntime", gpu)]
    engine = [Candidate("tensorrt", gpu, chosen_by_us=True)] if backend == "auto" and on_gpu else []
    return engine + on_gpu + on_cpu


def _tensorrt_is_installed() -> bool:
    return importlib.util.find_spec("tensorrt") is not None
