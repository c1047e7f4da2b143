"""A model that is loaded again after it failed, so that a failing device ends the node only if nothing else helps."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from space_clip_ros.errors import DeviceLostError, InputError, describe
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.inference.backend import ModelInfo, Prediction
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.ros.common.throttled_log import ThrottledLog

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SIZES_KEPT = 8
# Libraries hold the interpreter's lock while they prepare, so images of that time arrive only afterwards.
_LATE_S = 1.0


class RecoveringModel:
    """Runs the model in the worker's thread.

    One failure costs its image only. From the second in a row on, the model is closed and loaded again after a pause
    of 0.5 s, which doubles with each failure up to 30 s. After ``retries`` attempts it counts as failed, which
    diagnostics report as an error; it is still tried every 30 s, because a device may come back. A GPU error that no
    process recovers from is different: the model stays down, and ``end`` is called, so that a new process can start.

    Args:
        load: loads the model.
        retries: returns the number of attempts before it counts as failed.
        log: where failures are logged.
        now: monotonic clock, seconds.
        end: called with the error after which only a new process can use the GPU.

    Attributes:
        problem: why it does not run; empty while it does.
        failed: whether the attempts are used up.
        lost: whether only a new process can use the GPU.

    Raises:
        SpaceClipError: whatever ``load`` raises.
    """

    def __init__(
        self,
        load: Callable[[], Predictor],
        retries: Callable[[], int],
        log: ThrottledLog,
        now: Callable[[], float] = time.monotonic,
        end: Callable[[DeviceLostError], None] = lambda error: None,
    ) -> None:
        """Load the model."""
        self._load = load
        self._retries = retries
        self._log = log
        self._now = now
        self._end = end
        self.lost = False
        self._sizes: deque[tuple[int, ...]] = deque(maxlen=_SIZES_KEPT)
        self._preparing: tuple[int, int] | None = None
        self._prepared_at = -math.inf
        self._predictor: Predictor | None = load()
        self._info = self._predictor.info
        self.batches: bool = self._predictor.batches
        self.reset()

    @property
    def info(self) -> ModelInfo:
        """Facts of the model as it runs now; of the model loaded last while it is down."""
        predictor = self._predictor
        return self._info if predictor is None else predictor.info

    @property
    def preparing(self) -> tuple[int, int] | None:
        """Height and width of the new images that it is being prepared for, until a second after that; else None."""
        return self._preparing if self._now() < self._prepared_at + _LATE_S else None

    def reset(self) -> None:
        """Forget past failures, so that the next frame is tried at once."""
        self._failures = 0
        self._resume_at = 0.0
        self.problem = ""
        self.failed = False

    def resting(self) -> bool:
        """Return whether it waits before the next attempt; images that come meanwhile are lost."""
        return self.lost or (self._failures > 1 and self._now() < self._resume_at)

    def warm_up(self, height: int, width: int, together: int) -> None:
        """Prepare for images of a size, which takes a second or so; a failure is left for those images to report."""
        if self._predictor is not None and self.info.fixed_size is None and not self._failures:
            with contextlib.suppress(Exception), self._prepared((1, height, width, False)):
                self._predictor.warm_up(height, width, together)

    def run_batch(self, images: Sequence[Rgb], language: bool = True) -> list[Prediction]:
        """Estimate depth of images of one size, with language features unless nobody wants them.

        Raises:
            InputError: the model does not take this image; that does not count as a failure of the model.
            DeviceLostError: only a new process can use the GPU; ``end`` was called.
            Exception: whatever a failing library raises; counted.
        """
        try:
            predictor = self._ready()
            with self._prepared((len(images), *images[0].shape[:2], language)):
                predictions = predictor.run_batch(images, language)
        except InputError:
            raise
        except DeviceLostError as error:
            self._lose(error)
            raise
        except Exception as error:
            self._fail(error)
            raise
        self._report_backend()
        if self._failures > 1:
            self._log.warning("model back", f"the model runs again after {self._failures} failures")
        if self._failures:
            self.reset()
        return predictions

    def device_memory(self) -> int | None:
        """Return the bytes of device memory held; None where there is none, or while the model is down."""
        predictor = self._predictor
        return None if predictor is None else predictor.device_memory()

    def close(self) -> None:
        """Free the model; the worker must be stopped."""
        # After such an error nothing can be freed, and libraries may abort the process if they are asked to.
        if self._predictor is not None and not self.lost:
            self._info = self._predictor.info
            self._predictor.close()
            self._predictor = None
            self._sizes.clear()

    def _ready(self) -> Predictor:
        if self._failures > 1:
            # Frees the device first: the old model may hold the memory that the new one needs.
            self.close()
        if self._predictor is None:
            self._predictor = self._load()
            self.batches = self._predictor.batches
            self._report_backend()
        return self._predictor

    @contextlib.contextmanager
    def _prepared(self, size: tuple[int, ...]) -> Iterator[None]:
        """Set :attr:`preparing` while the model runs images for the first time.

        Args:
            size: their number, height, width, and whether language features are made.
        """
        if size in self._sizes:
            yield
            return
        self._preparing, self._prepared_at = (size[1], size[2]), math.inf
        try:
            yield
        except BaseException:
            self._prepared_at = -math.inf
            raise
        self._sizes.append(size)
        self._prepared_at = self._now()

    def _report_backend(self) -> None:
        """Log if another backend runs images than before.

        With ``auto``, the backend used before may not load any more, or not have an engine for the images' size.
        """
        was, self._info = self._info, self.info
        if (was.backend, was.device) != (self._info.backend, self._info.device):
            reasons = f" ({', '.join(self._info.passed_over)})" if self._info.passed_over else ""
            self._log.warning(
                "backend",
                f"the model now runs on {self._info.backend}, {self._info.device}; it ran on {was.backend}, "
                f"{was.device}{reasons}",
            )

    def _lose(self, error: DeviceLostError) -> None:
        self.lost = self.failed = True
        self.problem = f"the model failed for good: {describe(error)}"
        self._end(error)

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(self._failures - 2, 10), _LONGEST_PAUSE_S)
        self._resume_at = self._now() + pause_s
        times = "" if self._failures == 1 else f" {self._failures} times in a row"
        self.problem = f"the model failed{times}: {describe(error)}"
        self.failed = self._failures > self._retries()
        if self._failures > 1:
            self._log.error("model", f"{self.problem}; it is loaded again in {pause_s:g} s")
