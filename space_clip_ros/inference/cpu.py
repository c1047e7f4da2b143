"""The features of this machine's processor."""

from __future__ import annotations

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_VNNI = {"avx512_vnni", "avx_vnni"}


def has_vnni() -> bool:
    """Return whether an x86 processor has VNNI, which multiplies int8 four times as fast as float32.

    False if the system does not list the processor's features.
    """
    return not _VNNI.isdisjoint(features())


def features() -> frozenset[str]:
    """Return the processor's features as Linux names them, such as ``avx2``; empty if the system does not list them."""
    try:
        lines = _CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    # "flags" on x86, "Features" on ARM
    named = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset(named.split())
