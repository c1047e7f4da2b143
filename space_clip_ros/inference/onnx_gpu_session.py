"""A session of ONNX Runtime on a GPU: image and outputs stay at one place on the device, as CUDA graphs need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from space_clip_ros.inference.metadata import INPUT_NAME

_WARM_UP_RUNS = 3


class OnnxGpuSession:
    """Runs a session with bound inputs and outputs. Safe to call from several threads; they take turns.

    A session with a CUDA graph needs this: the graph reads and writes the same addresses in every run.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        shape: tuple[int, int, int],
        outputs: Mapping[str, Sequence[int] | None],
        device: str,
        graph: bool,
    ) -> None:
        """Reserve the memory, and run until the graph is recorded.

        Args:
            session: takes (B, H, W, 3) uint8 and gives float32.
            shape: B, H and W.
            outputs: names of everything that it gives, and the shape for one image; None for (H, W).
            device: cuda, cuda:N, or cpu, which tests use.
            graph: whether the session records its work as a CUDA graph.

        Raises:
            Exception: the library's own, if it cannot.
        """
        kind, _, index = device.partition(":")
        place = (kind, int(index or 0))
        value = onnxruntime.OrtValue
        self._lock = Lock()
        self._session = session
        self._image = value.ortvalue_from_shape_and_type([*shape, 3], np.uint8, *place)
        self._outputs = {
            name: value.ortvalue_from_shape_and_type([shape[0], *(fixed_shape or shape[1:])], np.float32, *place)
            for name, fixed_shape in outputs.items()
        }
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(INPUT_NAME, self._image)
        for name, output in self._outputs.items():
            self._binding.bind_ortvalue_output(name, output)
        for _ in range(_WARM_UP_RUNS if graph else 0):
            self.run([], {INPUT_NAME: np.zeros((*shape, 3), np.uint8)})

    def run(self, names: Sequence[str], feeds: Mapping[str, npt.NDArray[np.uint8]]) -> list[Any]:
        """Run as ``InferenceSession.run`` does, for some outputs and the one input of our graphs."""
        with self._lock:
            self._image.update_inplace(feeds[INPUT_NAME])
            self._session.run_with_iobinding(self._binding)
            # a copy, also where the device is the CPU
            return [np.array(self._outputs[name].numpy()) for name in names]
