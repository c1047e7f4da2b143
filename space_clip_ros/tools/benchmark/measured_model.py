"""What is measured: a model on one backend, run as its users run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np

from space_clip_ros.config import ModelConfig
from space_clip_ros.errors import BackendError, InputError
from space_clip_ros.inference import load_predictor, model_files
from space_clip_ros.inference.backend import Depth, ModelInfo, Rgb, model_info
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.tools.benchmark.attribution import attribute


class Subject(Protocol):
    """A loaded model.

    Attributes:
        info: what it is and what runs it.
        config: its configuration, from which its work is counted.
        separated_by: how :meth:`separate` tells stages apart; empty where this backend cannot.
    """

    info: ModelInfo
    config: ModelConfig
    separated_by: str

    def run(self, images: Rgb) -> tuple[Depth, Mapping[str, float]]:
        """Map contiguous (B, H, W, 3) uint8 RGB to (B, H, W) float32 metres and stages in milliseconds."""
        ...

    def separate(self, images: Rgb, runs: int) -> list[dict[str, float]]:
        """Return the stages' milliseconds of each of ``runs`` further runs, which may be slower than :meth:`run`."""
        ...

    def device_memory(self) -> int | None:
        """Return the bytes held on a GPU; None where there is none."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


def open_subject(
    model: str | Path, backend: str, device: str, precision: str, threads: int, thread_spinning: bool = False
) -> Subject:
    """Load a model; see :func:`space_clip_ros.inference.load_predictor` for the arguments.

    Raises:
        SpaceClipError: as there.
    """
    file = model_files.resolve(model, precision)
    if model_files.is_graph(file):
        return GraphSubject(file, backend, device, precision, threads, thread_spinning)
    return CheckpointSubject(file, backend, device, precision, threads)


class GraphSubject:
    """An exported file: a predictor, or ONNX Runtime directly where the file takes several images at once."""

    def __init__(
        self, file: Path, backend: str, device: str, precision: str, threads: int, thread_spinning: bool
    ) -> None:
        """Load; see :func:`open_subject`.

        Raises:
            BackendError: of a file that takes several images at once, another backend, device or precision is asked
                than ONNX Runtime's on the CPU.
        """
        self._sessions = OnnxSessions(file, threads, thread_spinning=thread_spinning)
        metadata = self._sessions.metadata
        self.config = metadata.config
        self._predictor: Predictor | None = None
        if metadata.batch in (None, 1):
            self._predictor = load_predictor(file, backend, device, precision, threads, thread_spinning)
            self.info = self._predictor.info
        elif backend in ("auto", "onnxruntime") and device in ("auto", "cpu"):
            if precision not in ("auto", metadata.precision):
                raise BackendError(f"precision {precision}: {file} runs in {metadata.precision}; give precision auto")
            self.info = model_info(
                self.config,
                backend="onnxruntime",
                device="cpu",
                precision=metadata.precision,
                fixed_size=metadata.size,
                file=file,
            )
        else:
            raise BackendError(
                f"{file}: takes {metadata.batch} images at once, which is measured on ONNX Runtime's CPU alone, not on "
                f"backend {backend}, device {device}; export it again without --batch"
            )
        on_cpu = (self.info.backend, self.info.device) == ("onnxruntime", "cpu")
        self.separated_by = "ONNX Runtime's profiler, in a run of its own" if on_cpu else ""

    def run(self, images: Rgb) -> tuple[Depth, Mapping[str, float]]:
        """Run once; see :class:`Subject`."""
        if self._predictor is not None and len(images) == 1:
            prediction = self._predictor.run(images[0])
            return prediction.depth[None], prediction.stages_ms
        if self._predictor is not None and self._predictor.batches:
            predictions = self._predictor.run_batch(list(images))
            return np.stack([prediction.depth for prediction in predictions]), predictions[0].stages_ms
        if self.info.backend == "tensorrt":
            # the sessions below are ONNX Runtime's
            raise InputError(f"{self.info.file}: TensorRT runs one image at a time, got {len(images)}; give --batch 1")
        start = perf_counter()
        depth = self._sessions.run(images)
        return depth, {"inference": (perf_counter() - start) * 1e3}

    def separate(self, images: Rgb, runs: int) -> list[dict[str, float]]:
        """Return operator times by stage; see :class:`Subject`."""
        return attribute(self._sessions.profile(images, runs)) if self.separated_by else []

    def device_memory(self) -> int | None:
        """See :class:`Subject`."""
        return None if self._predictor is None else self._predictor.device_memory()

    def close(self) -> None:
        """Free the model."""
        self._sessions.close()
        if self._predictor is not None:
            self._predictor.close()


class CheckpointSubject:
    """A checkpoint on PyTorch; its stages are those of a plain eager run."""

    separated_by = "an eager run that waits after each stage"

    def __init__(self, file: Path, backend: str, device: str, precision: str, threads: int) -> None:
        """Load; see :func:`open_subject`."""
        self._predictor = load_predictor(file, backend, device, precision, threads)
        self.info = self._predictor.info
        self._threads = threads
        # Only here: who measures an exported file needs no PyTorch.
        from space_clip_ros.tools.benchmark.eager import checkpoint_config

        self.config = checkpoint_config(file)

    def run(self, images: Rgb) -> tuple[Depth, Mapping[str, float]]:
        """Run once; see :class:`Subject`."""
        if len(images) == 1:
            prediction = self._predictor.run(images[0])
            return prediction.depth[None], prediction.stages_ms
        predictions = self._predictor.run_batch(list(images))
        return np.stack([prediction.depth for prediction in predictions]), predictions[0].stages_ms

    def separate(self, images: Rgb, runs: int) -> list[dict[str, float]]:
        """Return an eager run's stages; see :class:`Subject`."""
        # Only now: a second set of weights is not the model's memory.
        from space_clip_ros.tools.benchmark.eager import EagerModel

        eager = EagerModel(self.info.file, self.info.device, self._threads)
        eager.run(images)
        return [eager.separate(images) for _ in range(runs)]

    def device_memory(self) -> int | None:
        """See :class:`Subject`."""
        return self._predictor.device_memory()

    def close(self) -> None:
        """Free the model."""
        self._predictor.close()


def check_size(info: ModelInfo, height: int, width: int) -> None:
    """Refuse sizes that a file was not exported for.

    Raises:
        InputError: the file takes another size only.
    """
    fixed = info.fixed_size
    if fixed is not None and fixed != (height, width):
        raise InputError(f"{info.file}: takes only images of {fixed[1]} x {fixed[0]} pixels, not {width} x {height}")
