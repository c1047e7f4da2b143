"""What training asks of the console that shows its progress."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Bar(Protocol):
    """Shows how far something is."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps as done."""
        ...


class Console(Protocol):
    """Where a run tells people about itself."""

    def say(self, text: str) -> None:
        """Show one line."""
        ...

    def bar(self, total: int, label: str) -> AbstractContextManager[Bar]:
        """Show progress while the block runs."""
        ...
