"""CUDA's errors as ours: those that a process recovers from, and those that end its use of the GPU."""

from __future__ import annotations

import re

from space_clip_ros.errors import BackendError, DeviceLostError

# These leave the process's CUDA context unusable: every later call returns the same error, and the context cannot be
# made anew (CUDA Runtime API, cudaError: "the process must be terminated and relaunched").
# 214 uncorrectable memory, 700 illegal address, 702 launch timeout, 710 assert, 714 to 719 faults inside a kernel.
_STICKY = frozenset((214, 700, 702, 710, *range(714, 720)))
_CODE_IN_TEXT = re.compile(r"\bCUDA (?:failure|error) (\d+)\b")
RESTART = "start the process again, because only a new one can use the GPU"


def cuda_error(what: object, reason: str, code: int, remedy: str = "") -> BackendError:
    """Return the error of a CUDA call.

    Args:
        what: what failed.
        reason: CUDA's own message.
        code: ``cudaError_t`` as a number.
        remedy: what to do about it if the process can go on.

    Returns:
        A :class:`~space_clip_ros.errors.DeviceLostError` for errors that no process recovers from.
    """
    if code in _STICKY:
        return DeviceLostError(what, f"{reason} (CUDA error {code})", RESTART)
    return BackendError(what, reason, remedy)


def cuda_error_in_text(what: object, text: str) -> BackendError:
    """Return the error that a library reports in words, such as ONNX Runtime's ``CUDA failure 700: ...``."""
    match = _CODE_IN_TEXT.search(text)
    return cuda_error(what, text, int(match.group(1)) if match else 0)
