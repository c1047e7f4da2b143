"""Probes of the Python libraries: which are installed, and what those that run models report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from space_clip_ros.tools.doctor.facts import Fact, Probe
from space_clip_ros.tools.doctor.programs import ProbeError, facts_of
from space_clip_ros.tools.machine import installed_versions

_INSTALLED = (
    *("numpy", "opencv-python", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "PyYAML", "tqdm"),
    *("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "cuda-python", "cuda-bindings"),
    *("nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13"),
    *("torch", "torchvision", "open_clip_torch", "safetensors", "onnx", "rosbags", "tornado"),
)
_NEEDED = ("numpy", "opencv", "onnxruntime")
_SIGNS_OF_A_GPU = ("/proc/driver/nvidia/version", "/etc/nv_tegra_release")
_CUDA = "CUDAExecutionProvider"
_TWICE = (("onnxruntime", "onnxruntime-gpu"), ("opencv-python", "opencv-python-headless"))
"""Pairs of packages that install the same module and so break each other."""


def installed() -> Iterator[Fact]:
    """Find the versions that pip knows of; those of apt have no entry on some systems."""
    versions = installed_versions(_INSTALLED)
    doubled = [pair for pair in _TWICE if set(pair) <= versions.keys()]
    advice = "; ".join(
        f"{' and '.join(pair)} are both installed and share one module: uninstall both, and install the one you need"
        for pair in doubled
    )
    yield Fact("installed", versions, advice=advice)


def loaded(name: str, library: str) -> Probe:
    """Return the probe that loads a library in its own process.

    Args:
        name: of the fact.
        library: one of those in :mod:`~space_clip_ros.tools.doctor.library_facts`.
    """
    return partial(_loaded, name, library)


def _loaded(name: str, library: str) -> Iterator[Fact]:
    try:
        facts = facts_of("library_facts", library)
    except ProbeError as error:
        yield Fact(name, problem=str(error), advice=f"{name} does not load: {error}")
        return
    if "missing" in facts:
        advice = facts["remedy"] if library in _NEEDED else ""
        yield Fact(name, None, f"not installed ({facts['missing']})", advice=advice)
    else:
        yield Fact(name, facts, advice=_advice(library, facts))


def _advice(library: str, facts: dict[str, Any]) -> str:
    gpu = any(map(os.path.exists, _SIGNS_OF_A_GPU))
    if gpu and library == "torch" and not facts["sees_gpu"]:
        built = f"is built for CUDA {facts['built_for_cuda']}" if facts["built_for_cuda"] else "is built without CUDA"
        return f"this PyTorch {built} and sees no GPU, though there is one: install the build for this machine's CUDA"
    if gpu and library == "onnxruntime" and facts["providers"] and _CUDA not in facts["providers"]:
        return "this ONNX Runtime is built without CUDA: models run on the GPU through a TensorRT engine only"
    if gpu and library == "onnxruntime" and "cuda_problem" in facts:
        return f"ONNX Runtime does not start on CUDA: {facts['cuda_problem']}"
    return ""
