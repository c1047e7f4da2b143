"""A model that is loaded again after it failed, so that a failing device never ends the node."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from space_clip_ros.errors import InputError, describe
from space_clip_ros.inference.backend import ModelInfo, Prediction, Rgb
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.ros.common.throttled_log import ThrottledLog

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


class RecoveringModel:
    """Runs the model in the worker's thread.

    One failure costs its image only. From the second in a row on, the model is closed and loaded again after a pause
    of 0.5 s, which doubles with each failure up to 30 s. After ``retries`` attempts it counts as failed, which
    diagnostics report as an error; it is still tried every 30 s, because a device may come back.

    Args:
        load: loads the model.
        retries: returns the number of attempts before it counts as failed.
        log: where failures are logged.
        now: monotonic clock, seconds.

    Attributes:
        info: facts of the model loaded last, also while it is down.
        problem: why it does not run; empty while it does.
        failed: whether the attempts are used up.

    Raises:
        SpaceClipError: whatever ``load`` raises.
    """

    def __init__(
        self,
        load: Callable[[], Predictor],
        retries: Callable[[], int],
        log: ThrottledLog,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the model."""
        self._load = load
        self._retries = retries
        self._log = log
        self._now = now
        self._predictor: Predictor | None = load()
        self.info: ModelInfo = self._predictor.info
        self.batches: bool = self._predictor.batches
        self.reset()

    def reset(self) -> None:
        """Forget past failures, so that the next frame is tried at once."""
        self._failures = 0
        self._resume_at = 0.0
        self.problem = ""
        self.failed = False

    def resting(self) -> bool:
        """Return whether it waits before the next attempt; images that come meanwhile are lost."""
        return self._failures > 1 and self._now() < self._resume_at

    def warm_up(self, height: int, width: int, together: int) -> None:
        """Prepare for images of a size, which takes a second or so; a failure is left for those images to report."""
        if self._predictor is not None and self.info.fixed_size is None and not self._failures:
            with contextlib.suppress(Exception):
                self._predictor.warm_up(height, width, together)

    def run_batch(self, images: Sequence[Rgb]) -> list[Prediction]:
        """Estimate depth of images of one size.

        Raises:
            InputError: an image that the model does not take; this is no failure of the model.
            Exception: whatever a failing library raises; counted.
        """
        try:
            predictions = self._ready().run_batch(images)
        except InputError:
            raise
        except Exception as error:
            self._fail(error)
            raise
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
        if self._predictor is not None:
            self._predictor.close()
            self._predictor = None

    def _ready(self) -> Predictor:
        if self._failures > 1:
            # Frees the device first: the old model may hold the memory that the new one needs.
            self.close()
        if self._predictor is None:
            self._predictor = self._load()
            was, self.info = self.info, self._predictor.info
            if (was.backend, was.device) != (self.info.backend, self.info.device):
                # With ``auto``, the backend used before may not load any more, and the next best one is used.
                now = f"{self.info.backend}, {self.info.device}"
                self._log.warning("backend", f"the model now runs on {now}; it ran on {was.backend}, {was.device}")
        return self._predictor

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(self._failures - 2, 10), _LONGEST_PAUSE_S)
        self._resume_at = self._now() + pause_s
        times = "" if self._failures == 1 else f" {self._failures} times in a row"
        self.problem = f"the model failed{times}: {describe(error)}"
        self.failed = self._failures > self._retries()
        if self._failures > 1:
            self._log.error("model", f"{self.problem}; it is loaded again in {pause_s:g} s")
