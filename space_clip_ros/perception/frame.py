"""One image on its way to its outputs: what every output reads."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import invalidate
from space_clip_ros.perception.messages import MessageMaker, memory


class DepthMessage:
    """One 32FC1 message used for every frame: depth is computed into its own memory and published without a copy.

    Publishing serialises before it returns, so one message serves all frames of a thread.

    Args:
        make: makes the message.
    """

    def __init__(self, make: MessageMaker) -> None:
        """Start without a size."""
        self._make = make
        self.message: Any = None
        self._metres: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def metres(self, shape: tuple[int, int], header: Any) -> NDArray[np.float32]:
        """Return the message's pixels, (H, W) float32, to be written to; a new size makes a new message."""
        if self._metres.shape != shape:
            self.message = self._make.image(np.zeros(shape, np.float32), "32FC1", header)
            self._metres = memory(self.message, shape)
        return self._metres


class Frame:
    """Depth of one image and what belongs to it.

    Args:
        header: the image's header, which every output carries unchanged.
        rgb: (H, W, 3) uint8, the image that the depth is for, rectified where that applies.
        metres: (H, W) float32 scaled depth, not yet cut to the range.
        outside: (H, W) bool, pixels that the camera did not see, or None.
        camera: camera of ``rgb``, or None where unknown.
        settings: the parameters, the same for the whole frame.
        buffer: the message that ``depth`` is written to.
    """

    def __init__(
        self,
        header: Any,
        rgb: NDArray[np.uint8],
        metres: NDArray[np.float32],
        outside: NDArray[np.bool_] | None,
        camera: PinholeCamera | None,
        settings: NodeConfig,
        buffer: DepthMessage,
    ) -> None:
        """Keep the arguments."""
        self.header = header
        self.rgb = rgb
        self.camera = camera
        self.settings = settings
        self._buffer = buffer
        self._metres = metres
        self._outside = outside

    @functools.cached_property
    def depth(self) -> NDArray[np.float32]:
        """(H, W) float32 metres, NaN outside ``min_depth`` to ``max_depth`` and where the camera did not see."""
        height, width = self._metres.shape
        return self._cut(self.settings.max_depth, self._buffer.metres((height, width), self.header))

    def depth_message(self) -> Any:
        """Return :attr:`depth` as a message; it is overwritten by the next frame."""
        _ = self.depth
        self._buffer.message.header = self.header
        return self._buffer.message

    def unbounded_depth(self) -> NDArray[np.float32]:
        """Return :attr:`depth` without its upper limit: what lies beyond the range is known to be far, not unknown."""
        return self._cut(math.inf)

    def _cut(self, max_depth: float, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        depth = invalidate(self._metres, self.settings.min_depth, max_depth, out=out)
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
