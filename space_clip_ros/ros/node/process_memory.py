"""Memory of a process."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(process: int | str = "self") -> int | None:
    """Return the resident memory of a process in bytes; None on systems without /proc, see proc(5).

    Args:
        process: its id, or ``self``.
    """
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
