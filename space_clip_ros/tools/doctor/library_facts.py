"""Loads one library and prints what it reports about this machine, as one line of JSON; runs as its own process."""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any

from space_clip_ros.errors import describe
from space_clip_ros.libraries import import_error

_COMPUTE_MAJOR, _COMPUTE_MINOR, _MULTIPROCESSORS = 75, 76, 16  # of CUdevice_attribute
_MIB = 1 << 20
_CUDA = "CUDAExecutionProvider"
# A graph that returns its input, as ONNX.
_IDENTITY = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a"
    "02080142040a001011"
)


def cuda_driver() -> dict[str, Any]:
    """Return the newest CUDA that the driver supports, and its devices."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return {"missing": str(error)}

    def call(name: str, *arguments: Any) -> None:
        status = getattr(driver, name)(*arguments)
        if status:
            text = ctypes.c_char_p()
            driver.cuGetErrorString(status, ctypes.byref(text))
            raise RuntimeError(f"{name} says {(text.value or b'error').decode()} ({status})")

    def number(name: str, *arguments: Any) -> int:
        value = ctypes.c_int()
        call(name, ctypes.byref(value), *arguments)
        return value.value

    call("cuInit", 0)
    devices = []
    for index in range(number("cuDeviceGetCount")):
        device = number("cuDeviceGet", index)
        name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
        call("cuDeviceGetName", name, len(name), device)
        call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        major, minor, multiprocessors = (
            number("cuDeviceGetAttribute", attribute, device)
            for attribute in (_COMPUTE_MAJOR, _COMPUTE_MINOR, _MULTIPROCESSORS)
        )
        devices.append(
            {
                "name": name.value.decode(errors="replace"),
                "compute_capability": f"{major}.{minor}",
                "multiprocessors": multiprocessors,
                "memory_mib": memory.value // _MIB,
            }
        )
    version = number("cuDriverGetVersion")
    return {"cuda": f"{version // 1000}.{version % 1000 // 10}", "devices": devices}


def numpy() -> dict[str, Any]:
    """Return NumPy's version."""
    import numpy

    return {"version": numpy.__version__}


def opencv() -> dict[str, Any]:
    """Return OpenCV's version."""
    import cv2

    return {"version": cv2.__version__}


def onnxruntime() -> dict[str, Any]:
    """Return ONNX Runtime's version, the providers it was built with, and why CUDA's does not start."""
    import onnxruntime

    facts = {"version": onnxruntime.__version__, "providers": list(onnxruntime.get_available_providers())}
    if _CUDA in facts["providers"] and (problem := _cuda_problem()):
        facts["cuda_problem"] = problem
    return facts


def _cuda_problem() -> str:
    """Return why ONNX Runtime does not start on CUDA, as it prints it; empty if it does."""
    import onnxruntime

    from space_clip_ros.inference.onnx_cuda import preload_libraries

    preload_libraries()
    stderr = os.dup(2)
    with TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            session = onnxruntime.InferenceSession(_IDENTITY, providers=[_CUDA], enable_fallback=0)
        except Exception as error:  # the library's own errors share no base class
            return describe(error)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        if session.get_providers()[0] == _CUDA:
            return ""
        printed.seek(0)
        text = re.sub(r"\x1b\[[\d;]*m", "", printed.read().decode(errors="replace"))
    reason = re.search(r"with error: (.+)", text)
    return reason[1].strip() if reason else " ".join(text.split()) or "it does not say why"


def tensorrt() -> dict[str, Any]:
    """Return the version of TensorRT's Python package, which loads its libraries."""
    import tensorrt

    return {"version": tensorrt.__version__}


def cuda_python() -> dict[str, Any]:
    """Return what CUDA ``cuda-python``'s bindings are of, which TensorRT's backend uses where it can."""
    try:
        from cuda.bindings import runtime
    except ModuleNotFoundError:
        from cuda import cudart as runtime

    status, version = runtime.cudaRuntimeGetVersion()
    return {
        "module": runtime.__name__,
        "cuda": f"{version // 1000}.{version % 1000 // 10}" if not int(status) else None,
    }


def torch() -> dict[str, Any]:
    """Return PyTorch's version and what GPUs it was built for and sees."""
    import torch

    usable = torch.cuda.is_available()
    return {
        "version": torch.__version__,
        "built_for_cuda": torch.version.cuda,
        "sees_gpu": usable,
        "built_for_gpus": list(torch.cuda.get_arch_list()) if usable else [],
    }


def rclpy() -> dict[str, Any]:
    """Return the DDS implementation that rclpy loads."""
    from rclpy.utilities import get_rmw_implementation_identifier

    return {"rmw": get_rmw_implementation_identifier()}


PROBES: dict[str, Callable[[], dict[str, Any]]] = {
    probe.__name__: probe for probe in (cuda_driver, numpy, opencv, onnxruntime, tensorrt, cuda_python, torch, rclpy)
}


def main(name: str) -> int:
    """Print a library's facts, or ``missing``: a library that is not installed, or ``problem``: why it fails."""
    try:
        facts = PROBES[name]()
    except ModuleNotFoundError as error:
        facts = {"missing": str(error.name or error), "remedy": str(import_error(error))}
    except ImportError as error:
        facts = {"problem": str(import_error(error))}
    except Exception as error:  # whatever a broken library raises
        facts = {"problem": describe(error)}
    sys.stdout.write(f"\n{json.dumps(facts)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
