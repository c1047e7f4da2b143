"""The number of threads that a model uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def thread_count(threads: int = 0, root: Path = Path("/")) -> int:
    """Return ``threads``; if it is 0, one thread for each physical core that this process may use.

    A core's second hardware thread shares its arithmetic units and only slows matrix products down. A CPU quota, as
    containers and systemd units have, limits the count; at least one thread is left.

    Args:
        threads: the number that the user wants; 0 for none in particular.
        root: the folder that holds ``proc`` and ``sys``.
    """
    if threads:
        return threads
    cores = len({_siblings(cpu, root) for cpu in _usable_cpus()})
    return max(1, round(min([cores, *_quotas(root)])))


def _usable_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _siblings(cpu: int, root: Path) -> str:
    """Return the hardware threads of a CPU's core, as text; the CPU alone if the system does not list them."""
    try:
        file = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quotas, in cores, of this process's cgroups and of every one above them."""
    for folder in _cgroups(root):
        try:
            if (folder / "cpu.max").is_file():  # version 2
                limit, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            else:
                limit, period = (
                    (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
                )
            quota = float("inf") if limit == "max" else int(limit) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
        if quota > 0:  # version 1 says -1 for no quota
            yield quota


def _cgroups(root: Path) -> Iterator[Path]:
    """Yield the folders of the cgroups that may limit this process's CPU time; some of them may not exist.

    A container often sees its own cgroup as the mount's root while ``/proc/self/cgroup`` still has the host's path. The
    folders below the mount are then missing, and the walk up from them ends at the right one.
    """
    mounts = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        names = [name for name in path.split("/") if name not in ("", "..")]
        for mount in (mounts / controllers, mounts / "cpu") if controllers else (mounts, mounts / "unified"):
            for depth in range(len(names), -1, -1):
                yield mount.joinpath(*names[:depth])
