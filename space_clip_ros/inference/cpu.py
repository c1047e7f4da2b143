"""What this machine's processor can do."""

from __future__ import annotations

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_VNNI = {"avx512_vnni", "avx_vnni"}


def has_vnni() -> bool:
    """Tell whether an x86 processor multiplies int8 four times as fast as float32; False where the system is silent."""
    try:
        lines = _CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return not _VNNI.isdisjoint(flags.split())
