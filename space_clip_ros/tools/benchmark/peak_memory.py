"""The most memory this process held at once."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"


def reset_peak() -> None:
    """Let the peak start anew from what is held now, where the system (Linux) can."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")


def peak_mb() -> float:
    """Return the largest resident set since the last :func:`reset_peak`, 10^6 bytes; libraries and all."""
    return (_from_status("VmHWM") or _from_rusage()) / 1e6


def resident_mb() -> float:
    """Return the resident set of this moment, 10^6 bytes; the peak where the system does not say."""
    return (_from_status("VmRSS") or _from_rusage()) / 1e6


def _from_status(key: str) -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)


def _from_rusage() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
