"""ONNX Runtime's execution providers: which ones a device needs, with which options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.model_files import user_folder

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_FIRST_WITH_TF32_OPTION = (1, 18)
# Operators that compute shapes may run on the CPU.
_MOST_ON_CPU = 0.1
_NAMED = 3
_INSTALL = (
    "for a GPU install onnxruntime-gpu in place of onnxruntime (on a Jetson: a wheel built for its JetPack), or give "
    "device cpu"
)

Provider = str | tuple[str, dict[str, Any]]


def providers(
    device: str,
    available: Sequence[str],
    tensorrt: bool = False,
    precision: str = "fp32",
    version: str = "0",
    graph: bool = False,
) -> list[Provider]:
    """Return the providers of a session, the preferred one first.

    Args:
        device: cpu, cuda or cuda:N.
        available: what this ONNX Runtime was built with, ``onnxruntime.get_available_providers()``.
        tensorrt: prefer the TensorRT provider, which builds its own engine when the session is made (minutes, the
            first time) and keeps it in the user's cache.
        precision: the graph's own number format.
        version: of ONNX Runtime; older versions do not know every option.
        graph: on the CUDA provider, record a run as a CUDA graph, which needs every operator on the GPU.

    Raises:
        BackendError: this ONNX Runtime has no such provider, or the cache folder cannot be made.
    """
    check_available(device, available, tensorrt)
    if device == "cpu":
        return [CPU]
    index = int(device.partition(":")[2] or 0)
    # cuDNN tries every algorithm once per shape, with as much working memory as it wants: shapes never change here.
    cuda: dict[str, Any] = {
        "device_id": index,
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
    }
    if tuple(int(part) for part in version.split(".")[:2]) >= _FIRST_WITH_TF32_OPTION:
        # TF32 would keep only 10 of float32's 23 mantissa bits in products
        cuda["use_tf32"] = "0"
    if graph:
        cuda["enable_cuda_graph"] = "1"
    last: list[Provider] = [(CUDA, cuda), CPU]
    return [(TENSORRT, _tensorrt_options(index, precision)), *last] if tensorrt else last


def check_available(device: str, available: Sequence[str], tensorrt: bool = False) -> None:
    """Reject a device that this ONNX Runtime was not built for.

    Raises:
        BackendError: it has no such provider.
    """
    wanted = TENSORRT if tensorrt else CUDA
    if device != "cpu" and wanted not in available:
        listed = ", ".join(available)
        raise BackendError(f"device {device}", f"this ONNX Runtime has no {wanted} (it has {listed})", _INSTALL)


def check_in_use(wanted: Sequence[Provider], used: Sequence[str]) -> None:
    """Reject a session that fell back to another provider: ONNX Runtime does so silently if a library is missing.

    Raises:
        BackendError: the session's first provider is not the one asked for.
    """
    first = wanted[0] if isinstance(wanted[0], str) else wanted[0][0]
    if used[0] != first:
        raise BackendError(
            first,
            f"ONNX Runtime could not start it and would run on {used[0]}",
            "check that the GPU's driver, CUDA and cuDNN are of the versions this onnxruntime-gpu was built for",
        )


def check_placement(events: Iterable[Mapping[str, Any]], first: str) -> None:
    """Reject a session whose operators run on the CPU although it is on a GPU, with copies there and back.

    Args:
        events: the profile of a run, as ``InferenceSession.end_profiling`` writes it.
        first: the provider that was asked for.

    Raises:
        BackendError: more than a tenth of the operators run on the CPU; their kinds are named.
    """
    operators = [
        event["args"] for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})
    ]
    elsewhere = Counter(operator.get("op_name", "?") for operator in operators if operator["provider"] == CPU)
    if first == CPU or sum(elsewhere.values()) <= _MOST_ON_CPU * len(operators):
        return
    kinds = ", ".join(kind for kind, _ in elsewhere.most_common(_NAMED))
    raise BackendError(
        first,
        f"{sum(elsewhere.values())} of {len(operators)} operators would run on the CPU ({kinds}), with copies between",
        "give device cpu, or a file in fp32",
    )


def _tensorrt_options(index: int, precision: str) -> dict[str, Any]:
    folder = user_folder() / "engines" / "onnxruntime"
    try:
        # ONNX Runtime makes the folder, but not its parents.
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendError(
            folder, f"cannot be made ({error.strerror})", "set XDG_CACHE_HOME to a folder that can be written to"
        ) from error
    return {
        "device_id": index,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        # Its networks are not strongly typed: without the flag the builder rejects the graph's fp16 or int8.
        "trt_fp16_enable": precision == "fp16",
        "trt_int8_enable": precision == "int8",
    }
