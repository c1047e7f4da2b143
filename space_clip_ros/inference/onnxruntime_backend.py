"""Exported graphs on ONNX Runtime: the CPU, or a GPU if an ONNX Runtime for it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from space_clip_ros.errors import BackendError, ModelError
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.backend import Prediction, model_info, prediction
from space_clip_ros.inference.onnx_sessions import OnnxSessions

_MAX_BATCH = 8


class OnnxRuntimeBackend:
    """Runs an exported file."""

    def __init__(
        self,
        file: Path,
        device: str = "cpu",
        threads: int = 0,
        tensorrt: bool = False,
        thread_spinning: bool = False,
        other_device: bool = False,
    ) -> None:
        """Open ``file``.

        Args:
            file: written by ``space_clip export``.
            device: cpu, cuda or cuda:N.
            threads: CPU threads; 0 for one per physical core.
            tensorrt: on a GPU, prefer ONNX Runtime's TensorRT provider.
            thread_spinning: during a run, threads without work spin instead of sleeping.
            other_device: whether the file may as well run elsewhere: then int8 is left to the CPU.

        Raises:
            ModelError: the file is not one of ours, or takes more than one image at once.
            BackendError: this ONNX Runtime has no provider for the device, cannot start it or run on it, or would leave
                more than a tenth of the operators to the CPU.
            DeviceLostError: only a new process can use the GPU.
        """
        self._sessions = OnnxSessions(file, threads, device, tensorrt, thread_spinning)
        metadata = self._sessions.metadata
        if metadata.batch not in (None, 1):
            raise ModelError(
                file,
                f"takes {metadata.batch} images at once, live use takes one",
                "make it again for one image, with --batch 1",
            )
        self.info = model_info(
            metadata.config,
            backend="onnxruntime",
            device="cuda:0" if device == "cuda" else device,
            precision=metadata.precision,
            fixed_size=metadata.size,
            file=file,
            fixed_batch=metadata.batch,
            error_change=metadata.error_change,
        )
        if device != "cpu":
            if metadata.precision == "int8" and not tensorrt and other_device:
                raise BackendError(file, "in int8 is for CPUs and TensorRT; ONNX Runtime has no int8 products on CUDA")
            self._sessions.check_gpu()

    def run(self, image: Rgb, language: bool = True) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        start = perf_counter()
        images = np.ascontiguousarray(image)[None]
        copied = perf_counter()
        maps = self._sessions.estimate(images, language)
        done = perf_counter()
        stages_ms = {"copy_in": (copied - start) * 1e3, "inference": (done - copied) * 1e3}
        return prediction({name: batch[0] for name, batch in maps.items()}, stages_ms)

    def run_batch(self, images: Sequence[Rgb], language: bool = True) -> list[Prediction]:
        """Estimate depth for several images; see :class:`~space_clip_ros.inference.backend.BatchBackend`.

        They run in batches of 8, 4, 2 and 1: few sizes, so that few sessions are made and kept.
        """
        estimates: list[dict[str, Depth]] = []
        copy_in = inference = 0.0
        for batch in _powers_of_two(images):
            start = perf_counter()
            stacked = np.stack(batch)
            copied = perf_counter()
            maps = self._sessions.estimate(stacked, language)
            # copied, so that one image's depth does not keep the whole batch in memory
            estimates += [{name: values[index].copy() for name, values in maps.items()} for index in range(len(batch))]
            copy_in += (copied - start) * 1e3
            inference += (perf_counter() - copied) * 1e3
        return [prediction(estimate, {"copy_in": copy_in, "inference": inference}) for estimate in estimates]

    def close(self) -> None:
        """Free every session."""
        self._sessions.close()


def _powers_of_two(images: Sequence[Rgb]) -> Iterator[Sequence[Rgb]]:
    """Cut a sequence into batches of 8, 4, 2 and 1, the largest first."""
    begin = 0
    while rest := len(images) - begin:
        count = min(1 << (rest.bit_length() - 1), _MAX_BATCH)
        yield images[begin : begin + count]
        begin += count
