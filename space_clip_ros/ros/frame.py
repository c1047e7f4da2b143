"""One image on its way through the node: what every output reads."""

from __future__ import annotations

import array
import functools
import math
import time
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import invalidate


class MessageBuffer:
    """Memory that arrays are computed into and messages are published from, without a copy between the two.

    Publishing serialises before it returns, so one buffer serves all frames of a thread.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.data: array.array[int] = array.array("B")

    def view(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return the memory as an array; a new size takes new memory and leaves older views alone."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if len(self.data) != size:
            self.data = array.array("B", bytes(size))
        return np.frombuffer(self.data, dtype).reshape(shape)


class Frame:
    """Depth of one image and what belongs to it.

    Args:
        header: the image's header, which every output carries unchanged.
        rgb: (H, W, 3) uint8, the image that the depth is for, rectified where that applies.
        metres: (H, W) float32 scaled depth, not yet cut to the range.
        outside: (H, W) bool, pixels that the camera did not see, or None.
        camera: camera of ``rgb``, or None where unknown.
        settings: the node's parameters, the same for the whole frame.
        buffer: what ``depth`` is written to.
    """

    def __init__(
        self,
        header: Any,
        rgb: NDArray[np.uint8],
        metres: NDArray[np.float32],
        outside: NDArray[np.bool_] | None,
        camera: PinholeCamera | None,
        settings: NodeConfig,
        buffer: MessageBuffer,
    ) -> None:
        """Keep the arguments."""
        self.header = header
        self.rgb = rgb
        self.camera = camera
        self.settings = settings
        self.buffer = buffer
        self._metres = metres
        self._outside = outside

    @functools.cached_property
    def depth(self) -> NDArray[np.float32]:
        """(H, W) float32 metres, NaN outside ``min_depth`` to ``max_depth`` and where the camera did not see."""
        depth = self.buffer.view(self._metres.shape, np.float32)
        np.copyto(depth, self._metres)
        return self._cut(depth, self.settings.max_depth)

    def unbounded_depth(self) -> NDArray[np.float32]:
        """Return :attr:`depth` without its upper limit: what lies beyond the range is known to be far, not unknown."""
        return self._cut(self._metres.copy(), math.inf)

    def _cut(self, depth: NDArray[np.float32], max_depth: float) -> NDArray[np.float32]:
        invalidate(depth, self.settings.min_depth, max_depth, in_place=True)
        if self._outside is not None:
            np.copyto(depth, np.nan, where=self._outside)
        return depth


class Stopwatch:
    """Times the stages of one frame, in milliseconds."""

    def __init__(self) -> None:
        """Start."""
        self._last = time.perf_counter()
        self.stages_ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage; it began where the one before ended."""
        now = time.perf_counter()
        self.stages_ms[stage] = (now - self._last) * 1e3
        self._last = now
