"""CUDA's errors as ours: those that a process recovers from, and those that end its use of the GPU."""

from __future__ import annotations

import ctypes
import re

from space_clip_ros.errors import BackendError, DeviceLostError

# These leave the process's CUDA context unusable: every later call returns the same error, and the context cannot be
# made anew (CUDA Runtime API, cudaError_t: "the process must be terminated and relaunched"). 214 and 220 are broken
# memory and links, of which CUDA says only that they cannot be corrected.
STICKY = {
    214: "uncorrectable ECC error encountered",
    220: "uncorrectable NVLink error detected during the execution",
    226: "Invalid access of peer GPU memory over nvlink or a hardware error",
    700: "an illegal memory access was encountered",
    702: "the launch timed out and was terminated",
    710: "device-side assert triggered",
    714: "hardware stack error",
    715: "an illegal instruction was encountered",
    716: "misaligned address",
    717: "operation not supported on global/shared address space",
    718: "invalid program counter",
    719: "unspecified launch failure",
    721: "tensor memory not completely freed",
    810: "the MPS client has been terminated by the server",
    911: "an async error has occured in external entity outside of CUDA",
}
"""CUDA's codes and words for them."""
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
    if code in STICKY:
        return DeviceLostError(what, f"{reason} (CUDA error {code})", RESTART)
    return BackendError(what, reason, remedy)


def cuda_error_in_text(what: object, text: str) -> BackendError:
    """Return the error that a library reports in words, such as ONNX Runtime's ``CUDA failure 700: ...``."""
    return cuda_error(what, text, _code_in(text))


def is_lost(text: str) -> bool:
    """Return whether a library's words are those of an error that no process recovers from."""
    return _code_in(text) in STICKY


def never_free(thing: object) -> None:
    """Keep a backend, or an error whose traceback holds one, until the process is gone.

    On a lost GPU ONNX Runtime cannot free its CUDA graphs, and ends the process with SIGABRT when it is asked to. That
    includes the end of the interpreter, so a reference in a module would not do.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _code_in(text: str) -> int:
    match = _CODE_IN_TEXT.search(text)
    return int(match.group(1)) if match else next((code for code, words in STICKY.items() if words in text), 0)
