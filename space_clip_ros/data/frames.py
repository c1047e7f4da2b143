"""An image with its true depth, and the interface of the sources that such frames come from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import DataError
from space_clip_ros.geometry.camera import PinholeCamera


class RgbdFrame(NamedTuple):
    """One image with its true depth, to train or evaluate on.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres, NaN where unknown.
        camera: the camera that took the image, in pixels of the image; None where it is not known.
        labels: (H, W) uint8 class of each pixel, :data:`~space_clip_ros.model_config.UNLABELLED` where unknown; None
            if the source has none or the settings ask for none.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: PinholeCamera | None = None
    labels: NDArray[np.uint8] | None = None


class SkippedFrameError(DataError):
    """A frame that cannot be read, where the settings ask to do without it (``data.skip_broken``)."""


class FrameSource(Protocol):
    """Frames of one origin, such as a drive or a file list, in a fixed order.

    Attributes:
        weight: how often an epoch shows each frame, on average.
    """

    weight: float

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def label(self, index: int) -> str:
        """Return a name that tells a person which frame it is and where it was listed."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the frames' labels, by their numbers; empty if they have none."""
        ...

    def scene(self, index: int) -> str:
        """Return the name of the place that a frame shows, or of the drive or folder that it is from."""
        ...

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the files that :meth:`frame` reads."""
        ...

    def frame(self, index: int) -> RgbdFrame:
        """Read one frame.

        Raises:
            DataError: a file is missing or broken; the error names it.
        """
        ...
