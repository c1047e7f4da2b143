"""The interface through which training shows its progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """A progress bar."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps as done and show ``note`` beside the bar."""
        ...


class Console(Protocol):
    """Shows messages and progress to the user."""

    def say(self, text: str) -> None:
        """Show one line."""
        ...

    def bar(self, total: int, label: str) -> AbstractContextManager[Bar]:
        """Show a progress bar of ``total`` steps while the block runs."""
        ...


class SilentConsole:
    """Shows nothing; the console of all processes but the first."""

    def say(self, text: str) -> None:
        """Drop the line."""

    @contextmanager
    def bar(self, total: int, label: str) -> Iterator[Bar]:
        """Give a bar that shows nothing."""
        yield _SilentBar()


class _SilentBar:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass
