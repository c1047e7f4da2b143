"""The run that speeds are compared with: plain eager PyTorch in float32."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch

from space_clip_ros.inference.threads import thread_count
from space_clip_ros.model import load_checkpoint
from space_clip_ros.model.blocks import resize_bilinear
from space_clip_ros.model.image_to_depth import RESIZE_BANDS, ImageToDepth
from space_clip_ros.model_config import ModelConfig
from space_clip_ros.tools.benchmark.device_roofline import wait
from space_clip_ros.tools.benchmark.floor import STAGES

_STAGES = ("copy_in", *STAGES, "copy_out")


class EagerModel:
    """A checkpoint without any optimization: float32, not compiled, default memory layout.

    Attributes:
        config: the model's configuration.
    """

    def __init__(self, file: Path, device: str, threads: int = 0) -> None:
        """Load ``file``.

        Args:
            file: a checkpoint, ours or the reference implementation's.
            device: cpu, cuda or cuda:N.
            threads: CPU threads; 0 for one per physical core.

        Raises:
            ModelError: the file is not a checkpoint.
        """
        self._device = torch.device(device)
        self._model = load_checkpoint(file).to(self._device).float().eval()
        if self._device.type == "cpu":
            torch.set_num_threads(thread_count(threads))
        self._graph: tuple[tuple[int, int], ImageToDepth] | None = None
        self.config: ModelConfig = self._model.config

    def run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Map contiguous, writable (B, H, W, 3) uint8 RGB to (B, H, W) float32 metres."""
        with torch.inference_mode():
            depth = self._graph_for(images)(torch.from_numpy(images).to(self._device))
            return np.asarray(depth.cpu().numpy(), np.float32)

    def separate(self, images: npt.NDArray[np.uint8]) -> dict[str, float]:
        """Run stage by stage, waiting for each to finish, and return their milliseconds."""
        size = (images.shape[1], images.shape[2])
        graph, model = self._graph_for(images), self._model
        with torch.inference_mode():
            marks = [perf_counter()]
            copied = torch.from_numpy(images).to(self._device)
            marks.append(self._now())
            inputs = graph.preprocess(copied)
            marks.append(self._now())
            encoded = model.encoder(inputs)
            marks.append(self._now())
            depth = model.depth_head(model.decoder(encoded).semantic_decoder[-1])
            marks.append(self._now())
            resized = resize_bilinear(depth, size)
            marks.append(self._now())
            resized.cpu()
            marks.append(perf_counter())
        return {stage: (end - start) * 1e3 for stage, (start, end) in zip(_STAGES, pairwise(marks), strict=True)}

    def _graph_for(self, images: npt.NDArray[np.uint8]) -> ImageToDepth:
        size = (images.shape[1], images.shape[2])
        if self._graph is None or self._graph[0] != size:
            bands = RESIZE_BANDS if self._device.type == "cpu" else 1
            self._graph = (size, ImageToDepth(self._model, size, bands).eval())
        return self._graph[1]

    def _now(self) -> float:
        wait(self._device)
        return perf_counter()


def checkpoint_config(file: Path) -> ModelConfig:
    """Return a checkpoint's configuration; its weights are not kept.

    Raises:
        ModelError: the file is not a checkpoint.
    """
    return load_checkpoint(file).config
