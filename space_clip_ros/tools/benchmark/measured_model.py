"""The model that is measured: one file on one backend, run as its users run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np

from space_clip_ros.errors import BackendError, InputError
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference import load_predictor, model_files
from space_clip_ros.inference.backend import ModelInfo, model_info
from space_clip_ros.inference.integrity import read_properties
from space_clip_ros.inference.metadata import OnnxMetadata, StageCost
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.model_config import AdoptedConfig, ModelConfig
from space_clip_ros.tools.benchmark.attribution import attribute


class MeasuredModel(Protocol):
    """A loaded model.

    Attributes:
        info: what it is and what runs it.
        config: its configuration.
        cost: of its encoder and decoder for one image; empty if its file does not say.
        separated_by: how :meth:`separate` separates the stages; empty if it cannot on this backend.
    """

    info: ModelInfo
    config: ModelConfig | AdoptedConfig
    cost: Mapping[str, StageCost]
    separated_by: str

    def run(self, images: Rgb) -> tuple[Depth, Mapping[str, float]]:
        """Map contiguous (B, H, W, 3) uint8 RGB to (B, H, W) float32 metres and stages in milliseconds."""
        ...

    def separate(self, images: Rgb, runs: int) -> list[dict[str, float]]:
        """Return the stages' milliseconds of each of ``runs`` more runs, which may be slower than :meth:`run`."""
        ...

    def run_only(self, images: Rgb, outputs: Sequence[str]) -> bool:
        """Compute some outputs alone; False if this backend always computes all."""
        ...

    def device_memory(self) -> int | None:
        """Return the bytes held on a GPU; None on the CPU."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


def open_model(
    model: str | Path, backend: str, device: str, precision: str, threads: int, thread_spinning: bool = False
) -> MeasuredModel:
    """Load a model; see :func:`space_clip_ros.inference.load_predictor` for the arguments.

    Raises:
        SpaceClipError: as there.
    """
    if model_files.is_graph(model_files.resolve(model, precision)):
        return ExportedModel(model, backend, device, precision, threads, thread_spinning)
    return CheckpointModel(model_files.resolve(model, precision), backend, device, precision, threads)


class ExportedModel:
    """An exported file: a predictor, or ONNX Runtime directly if the file takes several images per run."""

    def __init__(
        self, model: str | Path, backend: str, device: str, precision: str, threads: int, thread_spinning: bool
    ) -> None:
        """Load; see :func:`open_model`.

        Raises:
            BackendError: the file takes several images per run, and a backend, device or precision other than its own
                on ONNX Runtime's CPU is asked for.
        """
        file = model_files.resolve(model, precision)
        metadata = OnnxMetadata.from_properties(read_properties(file), file)
        self._predictor: Predictor | None = None
        if metadata.batch in (None, 1):
            # By its name, which leaves the choice of the file open as everywhere else.
            self._predictor = load_predictor(model, backend, device, precision, threads, thread_spinning)
            self.info = self._predictor.info
            file = self.info.file
        elif backend in ("auto", "onnxruntime") and device in ("auto", "cpu"):
            if precision not in ("auto", metadata.precision):
                raise BackendError(
                    f"precision {precision}", f"{file} runs in {metadata.precision}", "give precision auto"
                )
            self.info = model_info(
                metadata.config,
                backend="onnxruntime",
                device="cpu",
                precision=metadata.precision,
                fixed_size=metadata.size,
                file=file,
                fixed_batch=metadata.batch,
            )
        else:
            raise BackendError(
                file,
                f"takes {metadata.batch} images at once, which is measured only on ONNX Runtime's CPU, not on backend "
                f"{backend}, device {device}",
                "export it again without --batch",
            )
        self._sessions = OnnxSessions(file, threads, thread_spinning=thread_spinning)
        self.config, self.cost = self._sessions.metadata.config, self._sessions.metadata.cost
        on_cpu = (self.info.backend, self.info.device) == ("onnxruntime", "cpu")
        self.separated_by = "ONNX Runtime's profiler, in a run of its own" if on_cpu else ""

    def run(self, images: Rgb) -> tuple[Depth, Mapping[str, float]]:
        """Run once; see :class:`MeasuredModel`."""
        if self._predictor is not None and (len(images) == 1 or self._predictor.batches):
            return _predict(self._predictor, images)
        if self.info.backend == "tensorrt":
            # The sessions below are ONNX Runtime's.
            raise InputError(self.info.file, f"TensorRT runs one image at a time, got {len(images)}", "give --batch 1")
        start = perf_counter()
        depth = self._sessions.run(images)
        return depth, {"inference": (perf_counter() - start) * 1e3}

    def separate(self, images: Rgb, runs: int) -> list[dict[str, float]]:
        """Return the operators' times by stage; see :class:`MeasuredModel`."""
        return attribute(self._sessions.profile(images, runs)) if self.separated_by else []

    def run_only(self, images: Rgb, outputs: Sequence[str]) -> bool:
        """See :class:`MeasuredModel`."""
        if self.separated_by:
            self._sessions.run_only(images, outputs)
        return bool(self.separated_by)

    def device_memory(self) -> int | None:
        """See :class:`MeasuredModel`."""
        return None if self._predictor is None else self._predictor.device_memory()

    def close(self) -> None:
        """Free the model."""
        self._sessions.close()
        if self._predictor is not None:
            self._predictor.close()


class CheckpointModel:
    """A checkpoint on PyTorch, whose stages are those of a plain eager run; or a package, whose stages are unknown."""

    def __init__(self, file: Path, backend: str, device: str, precision: str, threads: int) -> None:
        """Load; see :func:`open_model`."""
        self._predictor = load_predictor(file, backend, device, precision, threads)
        self.info = self._predictor.info
        self._threads = threads
        # Imported here because measuring an exported file needs no PyTorch.
        from space_clip_ros.export.cost import network_cost
        from space_clip_ros.inference.torch_package import read_package
        from space_clip_ros.tools.benchmark.eager import checkpoint_config

        self.config: ModelConfig | AdoptedConfig
        self.cost: Mapping[str, StageCost]
        if model_files.is_package(file):
            metadata, _ = read_package(file)
            self.config, self.cost, self.separated_by = metadata.config, metadata.cost, ""
        else:
            self.config = checkpoint_config(file)
            self.cost = network_cost(self.config)
            self.separated_by = "an eager run that waits after each stage"

    def run(self, images: Rgb) -> tuple[Depth, Mapping[str, float]]:
        """Run once; see :class:`MeasuredModel`."""
        if self.info.fixed_batch is not None and len(images) > 1:
            raise InputError(self.info.file, f"a package runs one image at a time, got {len(images)}", "give --batch 1")
        return _predict(self._predictor, images)

    def separate(self, images: Rgb, runs: int) -> list[dict[str, float]]:
        """Return an eager run's stages; see :class:`MeasuredModel`."""
        if not self.separated_by:
            return []
        # Imported and loaded only now, since a second set of weights is not the model's memory.
        from space_clip_ros.tools.benchmark.eager import EagerModel

        eager = EagerModel(self.info.file, self.info.device, self._threads)
        eager.run(images)
        return [eager.separate(images) for _ in range(runs)]

    def run_only(self, images: Rgb, outputs: Sequence[str]) -> bool:
        """See :class:`MeasuredModel`."""
        return False

    def device_memory(self) -> int | None:
        """See :class:`MeasuredModel`."""
        return self._predictor.device_memory()

    def close(self) -> None:
        """Free the model."""
        self._predictor.close()


def check_images(info: ModelInfo, batch: int, height: int, width: int) -> None:
    """Refuse images that a file was not exported for.

    Raises:
        InputError: the file takes another size or number of images only.
    """
    if info.fixed_batch not in (None, batch):
        number = info.fixed_batch
        raise InputError(info.file, f"takes only {number} images at once, not {batch}", f"give --batch {number}")
    fixed = info.fixed_size
    if fixed is not None and fixed != (height, width):
        raise InputError(info.file, f"takes only images of {fixed[1]} x {fixed[0]} pixels, not {width} x {height}")


def _predict(predictor: Predictor, images: Rgb) -> tuple[Depth, Mapping[str, float]]:
    if len(images) == 1:
        prediction = predictor.run(images[0])
        return prediction.depth[None], prediction.stages_ms
    predictions = predictor.run_batch(list(images))
    return np.stack([prediction.depth for prediction in predictions]), predictions[0].stages_ms
