"""Loads one library and prints what it reports about this machine, as one line of JSON; runs as its own process."""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from typing import Any

from space_clip_ros.errors import describe
from space_clip_ros.libraries import import_error

_COMPUTE_MAJOR, _COMPUTE_MINOR, _MULTIPROCESSORS = 75, 76, 16  # of CUdevice_attribute
_MIB = 1 << 20


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
    """Return ONNX Runtime's version and its providers."""
    import onnxruntime

    return {"version": onnxruntime.__version__, "providers": list(onnxruntime.get_available_providers())}


def tensorrt() -> dict[str, Any]:
    """Return the version of TensorRT's Python package, which loads its libraries."""
    import tensorrt

    return {"version": tensorrt.__version__}


def cuda_python() -> dict[str, Any]:
    """Return the version of ``cuda-python``'s bindings, which TensorRT's backend uses where it can."""
    from cuda.bindings import __version__, runtime

    status, version = runtime.cudaRuntimeGetVersion()
    return {"version": __version__, "cuda": f"{version // 1000}.{version % 1000 // 10}" if not int(status) else None}


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
