"""Describes the machine and the libraries that something was measured with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from space_clip_ros import __version__

_LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "torch", "tensorrt")


def describe_machine() -> dict[str, str]:
    """Return what a reader needs to judge a run time: processor, cores, memory, system, load and versions."""
    return {
        "processor": processor(),
        "cores": f"{usable_cores()} usable of {os.cpu_count()}",
        "memory": _memory(),
        "system": f"{system()}, {platform.system()} {platform.release()}",
        "load": f"{os.getloadavg()[0]:.1f} (mean of the minute before)" if hasattr(os, "getloadavg") else "unknown",
        "python": platform.python_version(),
        "space_clip_ros": __version__,
        **installed_versions(_LIBRARIES),
    }


def processor() -> str:
    """Return the processor's name, or at least its architecture."""
    return _first_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return how many hardware threads this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def system() -> str:
    """Return the operating system's name and version."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that pip knows of; those of apt have no entry on some systems."""
    distributions = {name: next(iter(importlib.metadata.distributions(name=name)), None) for name in names}
    return {name: distribution.version for name, distribution in distributions.items() if distribution is not None}


def _memory() -> str:
    kilobytes = _first_value("/proc/meminfo", "MemTotal").partition(" ")[0]
    return f"{int(kilobytes) / (1 << 20):.1f} GiB" if kilobytes.isdigit() else "unknown"


def _first_value(file: str, key: str) -> str:
    """Return the value of the first ``key`` line of a system file; empty if there is none."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError:
        return ""
    for line in text.splitlines():
        name, separated, value = line.partition(":")
        if separated and name.strip() == key:
            return value.strip()
    return ""
