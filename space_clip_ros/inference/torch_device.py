"""PyTorch's device of a user's ``device``."""

from __future__ import annotations

import torch

from space_clip_ros.errors import BackendError


def torch_device(asked: str) -> torch.device:
    """Return the device: auto (cuda if there is one), cpu, cuda or cuda:N.

    Raises:
        BackendError: there is no such device.
    """
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return torch.device("cuda:0" if present else "cpu")
    device = torch.device("cuda:0" if asked == "cuda" else asked)
    if device.type == "cuda" and (device.index or 0) >= present:
        raise BackendError(f"device {asked}", f"PyTorch sees {present} CUDA devices here", "give device cpu or auto")
    return device
