"""Checkpoints and packages on PyTorch, CPU or CUDA, through the same image-to-depth module that is exported."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from space_clip_ros.errors import BackendError
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.backend import Prediction, model_info, prediction
from space_clip_ros.inference.model_files import is_package
from space_clip_ros.inference.threads import thread_count
from space_clip_ros.inference.torch_device import torch_device
from space_clip_ros.inference.torch_errors import torch_error
from space_clip_ros.inference.torch_package import PackagedNetwork
from space_clip_ros.inference.torch_runner import Compute, CudaStream, HostStream, TorchRunner
from space_clip_ros.model import SpaceClip, load_checkpoint
from space_clip_ros.model.encoder import fix_input_size
from space_clip_ros.model.fused import fuse
from space_clip_ros.model.gpu_pipeline import HalfImageToEstimate, fold_normalisation
from space_clip_ros.model.half import fold_norms, fuse_quick_gelu, halve
from space_clip_ros.model.image_to_depth import ImageToEstimate

RUNNERS_KEPT = 4


class CheckpointNetwork:
    """A checkpoint's network: in float32 on the CPU, on CUDA in half precision where accuracy does not suffer.

    Attributes:
        device: where it runs.
        config: of the model.
        precision: fp32 or fp16.
        size: None, as it takes images of any size.
        batch: None, as it takes any number of them.
    """

    size = batch = None

    def __init__(self, file: Path, device: str, precision: str) -> None:
        """Load; see :class:`TorchBackend`."""
        self.device = torch_device(device)
        self._model = load_checkpoint(file)
        self.config = self._model.config
        cuda = self.device.type == "cuda"
        self.precision = "fp16" if cuda and precision in ("auto", "fp16") else "fp32"
        if cuda:
            try:
                prepare_for_gpu(self._model.to(self.device), self.precision == "fp16")
            except RuntimeError as error:
                raise torch_error(file, f"PyTorch failed on {self.device}: ", error, self.device) from error

    def computation(self, batch: int, height: int, width: int) -> Compute:
        """Return a function from (B, H, W, 3) uint8 RGB to each image's maps in one row, (B, numbers) float32."""
        graph = pipeline(self._model, (height, width))
        return lambda images: joined(graph(images))


class TorchBackend:
    """Runs a checkpoint, or a package compiled from one."""

    def __init__(self, file: Path, device: str = "auto", threads: int = 0, precision: str = "auto") -> None:
        """Load ``file``.

        Args:
            file: a checkpoint, ours or the reference implementation's; or a package by ``space_clip export``.
            device: auto (cuda if there is one; a package's own), cpu, cuda or cuda:N.
            threads: CPU threads; 0 for one per physical core. PyTorch has one such setting for the whole process.
            precision: of a checkpoint: auto or fp16 (fp16 on CUDA, see :mod:`space_clip_ros.model.half`; fp32 on the
                CPU), else fp32. A package has its own.

        Raises:
            ModelError: the file is neither.
            BackendError: there is no such device, or not enough memory on it; or the package does not fit this machine.
        """
        network = PackagedNetwork(file, device) if is_package(file) else CheckpointNetwork(file, device, precision)
        self._network, self._device = network, network.device
        if self._device.type == "cpu":
            torch.set_num_threads(thread_count(threads))
        self._runners: OrderedDict[tuple[int, int, int], TorchRunner] = OrderedDict()
        self._lock = Lock()
        self.info = model_info(
            network.config,
            backend="torch",
            device=str(self._device),
            precision=network.precision,
            fixed_size=network.size,
            file=file,
            fixed_batch=network.batch,
        )

    def run(self, image: Rgb, language: bool = True) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        return self.run_batch([image])[0]

    def run_batch(self, images: Sequence[Rgb], language: bool = True) -> list[Prediction]:
        """Estimate depth for several images; see :class:`~space_clip_ros.inference.backend.BatchBackend`."""
        found, stages_ms = self.estimate(images)
        return [prediction(maps, dict(stages_ms)) for maps in found]

    def estimate(self, images: Sequence[Rgb]) -> tuple[list[dict[str, Depth]], dict[str, float]]:
        """Return what the model gives for each image, by name, and the milliseconds of the whole run's stages.

        Raises:
            InputError: a package takes another size or number of images.
            BackendError: the run failed.
        """
        height, width = images[0].shape[:2]
        try:
            found, stages_ms = self._runner((len(images), height, width))(images)
        except RuntimeError as error:
            raise torch_error(self.info.file, f"PyTorch failed on {self._device}: ", error, self._device) from error
        shapes = {name: shape or (height, width) for name, shape in self._network.config.outputs.items()}
        return [_split(self._finite(numbers), shapes) for numbers in found], stages_ms

    def device_memory(self) -> int | None:
        """Return the bytes PyTorch holds on the CUDA device, a package's weights left out; None on the CPU."""
        return torch.cuda.memory_reserved(self._device) if self._device.type == "cuda" else None

    def close(self) -> None:
        """Free the buffers and graphs."""
        with self._lock:
            self._runners.clear()

    def _finite(self, numbers: Depth) -> Depth:
        """Reject numbers that overflowed in half precision; float32 does not overflow."""
        if self.info.precision == "fp16" and not np.isfinite(numbers.sum()):
            raise BackendError(self.info.file, "depth leaves the range of fp16", "give precision fp32")
        return numbers

    def _runner(self, shape: tuple[int, int, int]) -> TorchRunner:
        with self._lock:
            if shape not in self._runners:
                stream = CudaStream(self._device) if self._device.type == "cuda" else HostStream()
                self._runners[shape] = TorchRunner(self._network.computation(*shape), shape, stream)
                if len(self._runners) > RUNNERS_KEPT:
                    self._runners.popitem(last=False)
            self._runners.move_to_end(shape)
            return self._runners[shape]


def prepare_for_gpu(model: SpaceClip, half: bool) -> None:
    """Make a model ready to run on a GPU, in place; it can no longer be trained or saved.

    Args:
        model: in evaluation mode.
        half: whether its products run in half precision.
    """
    fix_input_size(model.encoder, model.config.input_size)
    fold_norms(model)
    fuse_quick_gelu(model)
    fuse(model)
    if half:
        fold_normalisation(model)
    # Half-precision convolutions are fastest in channels-last layout, which the encoder's tokens have already.
    for weight in model.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    if half:
        halve(model)


def pipeline(model: SpaceClip, size: tuple[int, int]) -> ImageToEstimate:
    """Return the pipeline for images of one size, height and width.

    Args:
        model: on the CPU; or on a GPU, after :func:`prepare_for_gpu`.
        size: height and width of the images, pixels.
    """
    on_gpu = next(model.parameters()).is_cuda
    return gpu_graph(model, size) if on_gpu else ImageToEstimate(model, size).eval()


def gpu_graph(model: SpaceClip, size: tuple[int, int]) -> ImageToEstimate:
    """Return the pipeline for images of one size, height and width, of a model after :func:`prepare_for_gpu`."""
    half = next(iter(model.decoder.semantic_blocks.parameters())).dtype == torch.float16
    return (HalfImageToEstimate(model, size) if half else ImageToEstimate(model, size, bands=1)).eval()


def joined(maps: Sequence[Tensor]) -> Tensor:
    """Return (B, numbers), so that all maps of an image are downloaded in one copy."""
    return maps[0].flatten(1) if len(maps) == 1 else torch.cat([one.flatten(1) for one in maps], dim=1)


def _split(numbers: Depth, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Depth]:
    """Return the maps that :func:`joined` joined, of these names and shapes."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
    parts = np.split(numbers.reshape(-1), ends)
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
