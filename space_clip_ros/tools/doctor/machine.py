"""Probes of the system, the processor and the memory."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from space_clip_ros.tools import machine
from space_clip_ros.tools.doctor.facts import Fact, size

_SPEED_FEATURES = (
    *("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "sve"),
)
"""Processor features that affect a network's speed, as Linux names them on x86 and ARM."""
_UNLIMITED = 1 << 60
_SHM_USED = 0.9


def system(root: Path = Path("/")) -> Iterator[Fact]:
    """Find the operating system, Python, and whether this is a container."""
    yield Fact("system", machine.system())
    yield Fact("kernel", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield Fact("python", platform.python_version(), f"{platform.python_version()}, {_environment()}")
    yield Fact("container", _container(root))


def cpu(root: Path = Path("/")) -> Iterator[Fact]:
    """Find the processor, its features, and how many threads a model gets."""
    yield Fact("model", machine.processor())
    cores = machine.usable_cores()
    yield Fact("hardware_threads", cores, f"{cores} usable of {os.cpu_count()}")
    if hasattr(os, "getloadavg"):
        yield Fact("load", round(os.getloadavg()[0], 2), f"{os.getloadavg()[0]:.1f} (mean of the minute before)")
    governor = root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    if governor.is_file():
        yield Fact("governor", governor.read_text(encoding="ascii").strip())
    # This import needs NumPy, which may be broken, so it comes last.
    from space_clip_ros.inference.cpu import features, has_vnni
    from space_clip_ros.inference.threads import thread_count

    yield Fact("features", [name for name in _SPEED_FEATURES if name in features()])
    yield Fact("vnni", has_vnni(), "" if not has_vnni() else "yes (precision int8 is quicker on the CPU)")
    yield Fact("model_threads", thread_count(), f"{thread_count()} with threads 0: one a core, within the CPU quota")


def memory(root: Path = Path("/")) -> Iterator[Fact]:
    """Find the memory, how much of it is free, and a container's limit."""
    lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    held = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    yield Fact("total", held["MemTotal"], size(held["MemTotal"]))
    yield Fact("available", held["MemAvailable"], size(held["MemAvailable"]))
    yield Fact("swap", held["SwapTotal"], f"{size(held['SwapTotal'])}, {size(held['SwapFree'])} free")
    limit = _memory_limit(root)
    yield Fact("container_limit", limit, "none" if limit is None else size(limit))


def shared_memory(root: Path = Path("/")) -> Iterator[Fact]:
    """Find the size and use of ``/dev/shm``, through which DDS hands images to programs on the same machine."""
    folder = root / "dev/shm"
    usage = shutil.disk_usage(folder)
    full = usage.used > _SHM_USED * usage.total
    yield Fact(
        "shm",
        {"total": usage.total, "free": usage.free},
        f"{size(usage.total)}, {size(usage.free)} free",
        advice="/dev/shm is full: end the programs that fill it, or delete fastrtps_* files there that nobody uses"
        if full
        else "",
    )
    segments = [file.stat().st_size for file in folder.glob("fastrtps_*") if file.is_file()]
    yield Fact("shm_of_fast_dds", sum(segments), f"{size(sum(segments))} in {len(segments)} files")


def _environment() -> str:
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return "of conda"
    if sys.prefix == sys.base_prefix:
        return "the system's own"
    settings = Path(sys.prefix) / "pyvenv.cfg"
    shared = settings.is_file() and "include-system-site-packages = true" in settings.read_text(encoding="utf-8")
    return f"in a virtual environment with{'' if shared else 'out'} the system's packages"


def _container(root: Path) -> str:
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    return "none found"


def _memory_limit(root: Path) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        file = root / "sys/fs/cgroup" / name
        if file.is_file():
            text = file.read_text(encoding="ascii").strip()
            return int(text) if text != "max" and int(text) < _UNLIMITED else None
    return None
