"""Memory of a process."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(process: int | str = "self") -> int | None:
    """Return the resident memory of a process in bytes; None on systems without /proc.

    Args:
        process: its id, or ``self``.
    """
    pages = _pages(process)
    return None if pages is None else pages[1] * os.sysconf("SC_PAGE_SIZE")


def private_bytes(process: int | str = "self") -> int | None:
    """Return resident memory without shared pages: files, and DDS's shared memory, which fills up over time."""
    pages = _pages(process)
    return None if pages is None else (pages[1] - pages[2]) * os.sysconf("SC_PAGE_SIZE")


def _pages(process: int | str) -> list[int] | None:
    """Return total, resident and shared pages, see proc(5)."""
    try:
        numbers = [int(number) for number in Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[:3]]
    except (OSError, ValueError):
        return None
    return numbers if len(numbers) == 3 else None
