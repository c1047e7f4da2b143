"""A frame, and what every collection of frames offers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Frame(NamedTuple):
    """One image with its depth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres, NaN where unknown.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]


class FrameSource(Protocol):
    """A collection of frames, in a fixed order.

    Attributes:
        weight: how often an epoch shows each frame, on average.
    """

    weight: float

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def label(self, index: int) -> str:
        """Return a name by which a person finds the frame, and where it was listed."""
        ...

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the files that :meth:`frame` reads."""
        ...

    def frame(self, index: int) -> Frame:
        """Read one frame.

        Raises:
            DataError: a file is missing or broken; the message names it.
        """
        ...
