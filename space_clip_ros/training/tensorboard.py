"""Writes TensorBoard files if the tensorboard package is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TensorBoardWriter:
    """Writes scalars and pictures for TensorBoard; writes nothing if not wanted or without the package.

    Args:
        path: folder of the event files.
        wanted: whether to write at all.
        step: first step of this session; TensorBoard hides later steps of earlier sessions.
    """

    def __init__(self, path: Path, wanted: bool, step: int) -> None:
        """Open the event file."""
        self._writer: Any = _open(path, step) if wanted else None

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def pictures(self, name: str, pictures: Sequence[NDArray[np.uint8]], step: int) -> None:
        """Write (H, W, 3) uint8 RGB pictures."""
        if self._writer is not None:
            for index, picture in enumerate(pictures):
                self._writer.add_image(f"{name}/{index}", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Write buffered events."""
        if self._writer is not None:
            self._writer.close()


def _open(path: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(path), purge_step=step)
