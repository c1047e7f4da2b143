"""PyTorch's errors on a GPU as ours."""

from __future__ import annotations

import torch

from space_clip_ros.errors import BackendError, DeviceLostError, first_line
from space_clip_ros.inference.gpu.cuda_errors import RESTART, is_lost


def torch_error(what: object, lead: str, error: RuntimeError, device: torch.device) -> BackendError:
    """Return the error of loading or running a model.

    PyTorch's error types and texts differ between versions and libraries, so the device is asked: after an error that
    no process recovers from, waiting for it fails too, with CUDA's own words.

    Args:
        what: what failed.
        lead: begins the reason.
        error: what PyTorch raised.
        device: where it ran.

    Returns:
        A :class:`~space_clip_ros.errors.DeviceLostError` if the process cannot use the GPU any more.
    """
    reason = f"{lead}{first_line(error)}"
    if device.type == "cuda":
        try:
            torch.cuda.synchronize(device)
        except RuntimeError as answer:
            if is_lost(str(answer)):
                return DeviceLostError(what, reason, RESTART)
    return BackendError(what, reason)
