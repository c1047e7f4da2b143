"""Peak memory of this process."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_PEAK_KEY = "VmHWM:"
_RESET_PEAK = "5"


def reset_peak() -> None:
    """Restart the peak from what is held now, if the system (Linux) can."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")


def peak_mb() -> float:
    """Return the largest resident set since the last :func:`reset_peak`, 10^6 bytes, libraries included."""
    with contextlib.suppress(OSError, StopIteration):
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith(_PEAK_KEY)).split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) / 1e6
