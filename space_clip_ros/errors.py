"""One family of errors. Every error names the thing concerned, what is wrong with it, and what to do.

Command-line tools print an error as one line and exit with status 1; the node logs it. Each class also derives from
the built-in exception a Python caller would expect, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

from collections.abc import Sequence


class SpaceClipError(Exception):
    """Base of every error this package raises on purpose.

    Its text is ``what: reason; remedy``, without the parts that are empty.

    Attributes:
        what: the thing concerned: a file, a parameter, a topic, a device.
        reason: what is wrong with it.
        remedy: what to do about it; empty if the reason makes that clear.
    """

    def __init__(self, what: object, reason: str = "", remedy: str = "") -> None:
        """Keep the parts of the text."""
        self.what = str(what)
        self.reason = reason
        self.remedy = remedy
        super().__init__(self.what, reason, remedy)

    @property
    def problem(self) -> str:
        """The error's text without the remedy."""
        return f"{self.what}: {self.reason}" if self.reason else self.what

    def __str__(self) -> str:
        """Return the error's whole text."""
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


class InputError(SpaceClipError, ValueError):
    """An argument, array or message that does not fit: wrong shape, dtype, range or encoding."""


class ConfigError(SpaceClipError, ValueError):
    """Settings that cannot be used. The message lists every problem, one per line."""


class DataError(SpaceClipError):
    """A data set, drive, calibration or picture that is missing or broken."""


class ModelError(SpaceClipError):
    """A model file or checkpoint that is missing, damaged or does not match its configuration."""


class BackendError(SpaceClipError, RuntimeError):
    """An inference backend that is not installed, cannot run here, or failed while running."""


class DeviceLostError(BackendError):
    """A GPU error after which this process cannot use the GPU any more; only a new process can."""


class ExportError(SpaceClipError, RuntimeError):
    """An export whose result does not agree with the model it was made from."""


class DownloadError(SpaceClipError):
    """A download that failed, did not match its checksum, or does not fit on the disk."""


def one_line(error: BaseException) -> str:
    """Return an exception's text with line breaks as spaces; its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text; its type if it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def describe(error: BaseException) -> str:
    """Return any exception as one line: its type, and its text with line breaks as spaces."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names with commas between them: the first ``most``, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
