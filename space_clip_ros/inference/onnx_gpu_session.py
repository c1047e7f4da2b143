"""A session of ONNX Runtime on a GPU: image and outputs stay at one place on the device, as CUDA graphs need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from space_clip_ros.inference.metadata import INPUT_NAME

GPU_TURN = RLock()
"""Held by whoever uses CUDA through ONNX Runtime.

While one thread of the process records a graph (``cudaStreamCaptureModeGlobal``), the copies, waits and allocations of
any other fail, and the recording with them.
"""
_WARM_UP_RUNS = 3


class OnnxGpuSession:
    """Runs a session with bound inputs and outputs, in one thread of its own. Safe to call from several threads.

    A session with a CUDA graph needs both: the graph reads and writes the same addresses in every run, and ONNX Runtime
    keeps one graph for each thread. A graph that one thread has recorded is not used by another.
    """

    def __init__(
        self,
        open_session: Callable[[], onnxruntime.InferenceSession],
        shape: tuple[int, int, int],
        outputs: Mapping[str, Sequence[int] | None],
        device: str,
        graph: bool,
    ) -> None:
        """Open the session, reserve the memory, and run until the graph is recorded.

        Args:
            open_session: opens one that takes (B, H, W, 3) uint8 and gives float32.
            shape: B, H and W.
            outputs: names of everything that it gives, and the shape for one image; None for (H, W).
            device: cuda, cuda:N, or cpu, which tests use.
            graph: whether the session records its work as a CUDA graph.

        Raises:
            Exception: the library's own, if it cannot.
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime_gpu")
        self._in_thread(self._open, open_session, shape, outputs, device)
        for _ in range(_WARM_UP_RUNS if graph else 0):
            self.run([], {INPUT_NAME: np.zeros((*shape, 3), np.uint8)})

    def run(self, names: Sequence[str], feeds: Mapping[str, npt.NDArray[np.uint8]]) -> list[Any]:
        """Run as ``InferenceSession.run`` does, for some outputs and the one input of our graphs."""
        result: list[Any] = self._in_thread(self._run, names, feeds)
        return result

    def __del__(self) -> None:
        """Free the device's memory, which must wait for a recording, too."""
        with GPU_TURN:
            vars(self).clear()

    def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return self._thread.submit(work, *arguments).result()

    def _open(
        self,
        open_session: Callable[[], onnxruntime.InferenceSession],
        shape: tuple[int, int, int],
        outputs: Mapping[str, Sequence[int] | None],
        device: str,
    ) -> None:
        kind, _, index = device.partition(":")
        place = (kind, int(index or 0))
        value = onnxruntime.OrtValue
        with GPU_TURN:
            self._session = open_session()
            self._image = value.ortvalue_from_shape_and_type([*shape, 3], np.uint8, *place)
            self._outputs = {
                name: value.ortvalue_from_shape_and_type([shape[0], *(fixed_shape or shape[1:])], np.float32, *place)
                for name, fixed_shape in outputs.items()
            }
            self._binding = self._session.io_binding()
            self._binding.bind_ortvalue_input(INPUT_NAME, self._image)
            for name, output in self._outputs.items():
                self._binding.bind_ortvalue_output(name, output)

    def _run(self, names: Sequence[str], feeds: Mapping[str, npt.NDArray[np.uint8]]) -> list[Any]:
        with GPU_TURN:
            self._image.update_inplace(feeds[INPUT_NAME])
            self._session.run_with_iobinding(self._binding)
            # a copy, also where the device is the CPU
            return [np.array(self._outputs[name].numpy()) for name in names]
