"""A request for depth of one image, and the frame that all its outputs are made from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.depth import invalidate
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid
from space_clip_ros.perception.calibration import RectifiedView
from space_clip_ros.perception.stopwatch import Stopwatch

Allocate: TypeAlias = Callable[[str, tuple[int, ...], DTypeLike], NDArray[Any]]
"""Returns the memory for an output: its name, shape and dtype. It may be what the previous image used."""

MakeProjector: TypeAlias = Callable[[PinholeCamera, int], Projector]
"""Returns the projector of a camera and a stride."""


def new_array(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return new memory for an output."""
    return np.empty(shape, dtype)


@dataclass(frozen=True)
class DepthRequest:
    """An image and the outputs wanted of it.

    Attributes:
        rgb: (H, W, 3) uint8, as the camera delivered it.
        view: what is known about its camera.
        settings: the parameters, the same for the whole image.
        outputs: names of :data:`~space_clip_ros.perception.outputs.OUTPUTS`; those that need a camera are left out
            where it is unknown.
        allocate: gives each output its memory, so that a caller can have arrays written where it needs them.
        watch: times the image's stages.
    """

    rgb: NDArray[np.uint8]
    view: RectifiedView
    settings: NodeConfig
    outputs: tuple[str, ...]
    allocate: Allocate = new_array
    watch: Stopwatch = field(default_factory=Stopwatch)


class DepthFrame:
    """Metric depth of one image.

    Args:
        request: the image and the outputs wanted of it.
        image: (H, W, 3) uint8, rectified where that applies.
        metres: (h, w) float32 scaled depth of the grid's pixels, not yet cut to the range.
        scale: the factor that is in ``metres``.
        projector: makes the projector of the frame's camera.
        grid: the image's pixels that have depth.

    Attributes:
        request: as given.
        scale: as given.
        note: a remark about this depth, such as why it is not scaled; empty if there is none.
    """

    def __init__(
        self,
        request: DepthRequest,
        image: NDArray[np.uint8],
        metres: NDArray[np.float32],
        scale: float,
        projector: MakeProjector,
        note: str = "",
        grid: PixelGrid = EVERY_PIXEL,
    ) -> None:
        """Keep the arguments."""
        self.request = request
        self._image = image
        self._grid = grid
        self.scale = scale
        self.note = note
        self._metres = metres
        self._projector = projector

    @functools.cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8, the image's pixels that have depth."""
        return self._grid.of(self._image)

    @functools.cached_property
    def camera(self) -> PinholeCamera | None:
        """Camera of :attr:`depth` and :attr:`rgb`; None where unknown."""
        return None if self.request.view.camera is None else self._grid.camera(self.request.view.camera)

    @property
    def settings(self) -> NodeConfig:
        """The parameters."""
        return self.request.settings

    @functools.cached_property
    def depth(self) -> NDArray[np.float32]:
        """(h, w) float32 metres, NaN outside ``min_depth`` to ``max_depth`` and where the camera did not see."""
        out = self.request.allocate("depth", self._metres.shape, np.float32)
        return self._cut(self.settings.max_depth, out)

    def unbounded_depth(self) -> NDArray[np.float32]:
        """Return :attr:`depth` without its upper limit: what lies beyond the range is known to be far, not unknown."""
        return self._cut(math.inf)

    def projector(self, stride: int) -> Projector | None:
        """Return the projector of every ``stride``-th pixel; None where the camera is unknown."""
        return None if self.camera is None else self._projector(self.camera, stride)

    def _cut(self, max_depth: float, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        depth = invalidate(self._metres, self.settings.min_depth, max_depth, out=out)
        rectifier = self.request.view.rectifier
        if rectifier is not None and rectifier.outside is not None:
            np.copyto(depth, np.nan, where=self._grid.of(rectifier.outside))
        return depth
