"""Every n-th pixel of an image, and the camera of those pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth

S = TypeVar("S", bound=np.generic)


@dataclass(frozen=True)
class PixelGrid:
    """Picks pixels instead of mixing them, so that no new depth appears between two surfaces.

    Each pixel picked is the middle one of its block of ``rows`` x ``columns``, the upper left of the middle ones where
    there are several.

    Args:
        rows: distance of two rows that are picked, pixels.
        columns: distance of two columns that are picked, pixels.

    Raises:
        InputError: a distance below 1.
    """

    rows: int = 1
    columns: int = 1

    def __post_init__(self) -> None:
        """Check the distances."""
        if self.rows < 1 or self.columns < 1:
            raise InputError(f"a pixel grid's distances must be at least 1, got {self.rows} and {self.columns}")

    def of(self, image: NDArray[S]) -> NDArray[S]:
        """Return the picked pixels of an (H, W) or (H, W, C) array, contiguous; the array itself where that is all."""
        if self == EVERY_PIXEL:
            return image
        rows, first = image[_first(self.rows) :: self.rows], _first(self.columns)
        if image.ndim == 2:
            return np.ascontiguousarray(rows[:, first :: self.columns])
        # Copies whole pixels; a slice would copy each of a pixel's values by itself, in twice the time.
        return rows.take(np.arange(first, image.shape[1], self.columns), axis=1)

    def at_least(self, step: int) -> PixelGrid:
        """Return the grid whose distances are at least ``step`` pixels, and these where they are larger."""
        return PixelGrid(max(self.rows, step), max(self.columns, step))

    def nearest(self, depth: Depth) -> Depth:
        """Return the least depth of each block's picked row, (h, w) float32, NaN where all of them are.

        This keeps things thinner than a block, such as a post, which could lie between two picked pixels. Rows are not
        searched, because the ground is nearer in each lower one.

        Args:
            depth: (H, W) float32 metres, NaN where invalid.
        """
        if self == EVERY_PIXEL:
            return depth
        rows, first = depth[_first(self.rows) :: self.rows], _first(self.columns)
        least = np.ascontiguousarray(rows[:, first :: self.columns])
        for column in range(self.columns):
            if column != first:
                others = rows[:, column :: self.columns][:, : least.shape[1]]
                beside = least[:, : others.shape[1]]
                np.fmin(beside, others, out=beside)
        return least

    def shares(self, height: int, width: int, stride: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the picked pixels lie in an image: their middles as shares of its height and of its width.

        Args:
            height: of the image, pixels.
            width: of the image, pixels.
            stride: take every n-th of the picked pixels, as a cloud does.
        """
        rows = np.arange(_first(self.rows), height, self.rows)[::stride]
        columns = np.arange(_first(self.columns), width, self.columns)[::stride]
        return (rows + 0.5) / height, (columns + 0.5) / width

    def camera(self, camera: PinholeCamera) -> PinholeCamera:
        """Return the camera whose pixels are the picked ones.

        Pixel u of it is pixel first + u * columns of the image, so that fx' = fx / columns and
        cx' = (cx - first) / columns, and the rays of picked pixels do not change. y likewise.

        Raises:
            InputError: no pixel of so small an image is picked.
        """
        left, top = _first(self.columns), _first(self.rows)
        return PinholeCamera(
            len(range(left, camera.width, self.columns)),
            len(range(top, camera.height, self.rows)),
            camera.fx / self.columns,
            camera.fy / self.rows,
            (camera.cx - left) / self.columns,
            (camera.cy - top) / self.rows,
        )


def _first(step: int) -> int:
    return (step - 1) // 2


EVERY_PIXEL = PixelGrid()
"""The whole image."""
