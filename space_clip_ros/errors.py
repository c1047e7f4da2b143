"""One family of errors: every message says what is wrong, where, and what to do.

Command-line tools print the message as one line and exit with status 1; the node logs it. Each class also derives
from the built-in exception a Python caller would expect, so ``except ValueError`` keeps working.
"""


class SpaceClipError(Exception):
    """Base of every error this package raises on purpose."""


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


class ExportError(SpaceClipError, RuntimeError):
    """An export whose result does not agree with the model it was made from."""


class DownloadError(SpaceClipError):
    """A download that failed, did not match its checksum, or does not fit on the disk."""


def describe(error: BaseException) -> str:
    """Return any exception as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
