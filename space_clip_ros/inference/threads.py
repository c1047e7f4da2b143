"""The number of threads that a model uses."""

from __future__ import annotations

import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def thread_count(asked: int = 0) -> int:
    """Return ``asked``; if it is 0, one thread for each physical core that this process may use.

    A core's second hardware thread shares its arithmetic units and only slows matrix products down. A container's CPU
    quota limits the count.
    """
    if asked:
        return asked
    cores = len({_siblings(cpu) for cpu in _usable_cpus()})
    quota = _quota()
    return max(1, min(cores, quota) if quota else cores)


def _usable_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _siblings(cpu: int) -> str:
    """Return the hardware threads of a CPU's core, as text; the CPU alone if the system does not list them."""
    try:
        return (_CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    try:
        limit, period = _CGROUP_QUOTA.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(1, round(int(limit) / int(period)))
