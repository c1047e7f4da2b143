"""Runs images of one number and size on PyTorch: buffers are made once, and a GPU run is one graph launch.

On a GPU the images are uploaded from page-locked memory in one copy, a CUDA graph does the computation, and each depth
map is downloaded in one copy into page-locked memory that the caller keeps. All of it is on a stream of its own: three
calls instead of hundreds of kernel launches. On a CPU the same steps are plain calls.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from threading import Lock
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from space_clip_ros.errors import first_line
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth

Compute = Callable[[Tensor], Tensor]

_LOG = logging.getLogger(__name__)
_WARM_UP_RUNS = 3
_MARKS_PER_RUN = 4


class Stream(Protocol):
    """Executes a run: on the CPU at once, or on a GPU in order and in the background.

    Attributes:
        device: where images and depth are during the run.
        page_locked: whether images belong into page-locked host memory.
    """

    device: torch.device
    page_locked: bool

    def prepare(self, compute: Compute, images: Tensor) -> Callable[[], Tensor]:
        """Return a function that computes the depth of what ``images`` holds when it is called, as fast as possible."""
        ...

    def download(self, depth: Tensor) -> list[Tensor]:
        """Copy what was computed to host memory, image by image; it is there once :meth:`finish` returns."""
        ...

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which PyTorch runs on this stream; it clears the marks."""
        ...

    def mark(self) -> None:
        """Record the time at which the work submitted so far is done."""
        ...

    def finish(self) -> list[float]:
        """Wait for all work, and return the milliseconds between marks."""
        ...


class HostStream:
    """Executes on the CPU, at once."""

    device = torch.device("cpu")
    page_locked = False

    def __init__(self) -> None:
        """Start without marks."""
        self._marks: list[float] = []

    def prepare(self, compute: Compute, images: Tensor) -> Callable[[], Tensor]:
        """See :class:`Stream`."""
        return lambda: compute(images)

    def download(self, depth: Tensor) -> list[Tensor]:
        """See :class:`Stream`."""
        return [one.clone() for one in depth]

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """See :class:`Stream`."""
        self._marks.clear()
        return contextlib.nullcontext()

    def mark(self) -> None:
        """See :class:`Stream`."""
        self._marks.append(perf_counter())

    def finish(self) -> list[float]:
        """See :class:`Stream`."""
        return [(end - start) * 1e3 for start, end in pairwise(self._marks)]


def _cudnn_flags() -> Any:
    """Make cuDNN keep the fastest algorithm of each shape, without TF32, which has 10 of float32's 23 mantissa bits."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)


class CudaStream:
    """Executes on a GPU, on a CUDA stream of its own."""

    page_locked = True

    def __init__(self, device: torch.device) -> None:
        """Make the stream."""
        self.device = device
        cuda: Any = torch.cuda
        self._stream = cuda.Stream(device)
        # Waiting for such an event sleeps; waiting for the stream would keep a processor core busy.
        self._events = [cuda.Event(enable_timing=True, blocking=True) for _ in range(_MARKS_PER_RUN)]
        self._marked = 0

    def prepare(self, compute: Compute, images: Tensor) -> Callable[[], Tensor]:
        """Capture a CUDA graph; if that fails, log it and run eagerly. See :class:`Stream`."""
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        # While warming up, cuDNN tries its algorithms and keeps the fastest for this shape; the graph records those.
        with self.scope(), _cudnn_flags():
            for _ in range(_WARM_UP_RUNS):
                compute(images)
            self._stream.synchronize()
            try:
                return self._capture(compute, images)
            except RuntimeError as error:
                _LOG.warning("%s: no CUDA graph, which makes every run slower (%s)", self.device, first_line(error))

        def kernel_by_kernel() -> Tensor:
            with _cudnn_flags():
                return compute(images)

        return kernel_by_kernel

    def download(self, depth: Tensor) -> list[Tensor]:
        """See :class:`Stream`."""
        # PyTorch reuses page-locked memory that was freed, so after a few runs nothing is allocated.
        targets = [torch.empty(one.shape, dtype=one.dtype, pin_memory=True) for one in depth]
        for target, one in zip(targets, depth, strict=True):
            target.copy_(one, non_blocking=True)
        return targets

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """See :class:`Stream`."""
        self._marked = 0
        stack = contextlib.ExitStack()
        stack.enter_context(torch.cuda.device(self.device))
        stack.enter_context(torch.cuda.stream(self._stream))
        return stack

    def mark(self) -> None:
        """See :class:`Stream`."""
        self._events[self._marked].record(self._stream)
        self._marked += 1

    def finish(self) -> list[float]:
        """See :class:`Stream`."""
        self._events[self._marked - 1].synchronize()
        return [float(start.elapsed_time(end)) for start, end in pairwise(self._events[: self._marked])]

    def _capture(self, compute: Compute, images: Tensor) -> Callable[[], Tensor]:
        graph: Any = torch.cuda.CUDAGraph()
        # Check only this thread's calls: others may use the GPU meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            depth = compute(images)

        def replay() -> Tensor:
            graph.replay()
            return depth

        return replay


class TorchRunner:
    """Runs one computation on images of one number and size. Safe to call from several threads; they take turns."""

    def __init__(self, compute: Compute, shape: tuple[int, int, int], stream: Stream) -> None:
        """Make the buffers and prepare the computation.

        Args:
            compute: maps (B, H, W, 3) uint8 RGB to (B, ...) float32, such as (B, H, W) metres, both on the stream's
                device, without waiting for the GPU.
            shape: B, H and W.
            stream: where it runs.
        """
        self._stream = stream
        self._lock = Lock()
        with torch.inference_mode():
            self._staged = torch.zeros((*shape, 3), dtype=torch.uint8, pin_memory=stream.page_locked)
            self._images = self._staged.to(stream.device)
            self._launch = stream.prepare(compute, self._images)

    def __call__(self, images: Sequence[Rgb]) -> tuple[list[Depth], dict[str, float]]:
        """Estimate depth.

        Args:
            images: B of (H, W, 3) uint8 RGB, of any memory layout.

        Returns:
            B of (...) float32, each the caller's own, and the milliseconds of ``copy_in``, ``inference`` and
            ``copy_out``.
        """
        stream = self._stream
        with self._lock, torch.inference_mode(), stream.scope():
            began = perf_counter()
            for target, image in zip(self._staged.numpy(), images, strict=True):
                np.copyto(target, image)
            staged = perf_counter()
            stream.mark()
            if self._images is not self._staged:
                self._images.copy_(self._staged, non_blocking=True)
            stream.mark()
            depth = self._launch()
            stream.mark()
            depths = stream.download(depth)
            stream.mark()
            upload, inference, download = stream.finish()
        stages_ms = {"copy_in": (staged - began) * 1e3 + upload, "inference": inference, "copy_out": download}
        return [one.numpy() for one in depths], stages_ms
