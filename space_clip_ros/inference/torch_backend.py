"""Checkpoints on PyTorch, CPU or CUDA, through the very graph that is exported."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np
import torch

from space_clip_ros.errors import BackendError
from space_clip_ros.export.graph import RESIZE_BANDS, ImageToDepth
from space_clip_ros.inference.backend import Depth, Prediction, Rgb, model_info
from space_clip_ros.inference.threads import thread_count
from space_clip_ros.model import load_checkpoint

GRAPHS_KEPT = 4


class TorchBackend:
    """Runs a checkpoint in float32."""

    def __init__(self, file: Path, device: str = "auto", threads: int = 0) -> None:
        """Load ``file``.

        Args:
            file: a checkpoint, ours or the reference implementation's.
            device: auto (cuda where there is one), cpu, cuda or cuda:N.
            threads: CPU threads; 0 for one a physical core. PyTorch has one such setting for the whole process.

        Raises:
            ModelError: the file is not a checkpoint.
            BackendError: there is no such device.
        """
        self._device = _device(device)
        self._model = load_checkpoint(file).to(self._device)
        if self._device.type == "cpu":
            torch.set_num_threads(thread_count(threads))
        self._graphs: OrderedDict[tuple[int, int], ImageToDepth] = OrderedDict()
        self._lock = Lock()
        self.info = model_info(
            self._model.config, backend="torch", device=str(self._device), precision="fp32", fixed_size=None, file=file
        )

    def run(self, image: Rgb) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        # PyTorch takes neither read-only arrays nor negative strides
        contiguous = np.ascontiguousarray(image)
        depths, stages_ms = self._run((contiguous if contiguous.flags.writeable else contiguous.copy())[None])
        return Prediction(depths[0], stages_ms)

    def run_batch(self, images: Sequence[Rgb]) -> list[Prediction]:
        """Estimate depth for several images; see :class:`~space_clip_ros.inference.backend.BatchBackend`."""
        depths, stages_ms = self._run(np.stack(images))
        # copies, so that keeping one image's depth does not keep all
        return [Prediction(depth.copy(), dict(stages_ms)) for depth in depths]

    def device_memory(self) -> int | None:
        """Return the bytes PyTorch holds on the CUDA device; None on the CPU."""
        return torch.cuda.memory_reserved(self._device) if self._device.type == "cuda" else None

    def close(self) -> None:
        """Free the graphs."""
        with self._lock:
            self._graphs.clear()

    def _run(self, images: Rgb) -> tuple[Depth, dict[str, float]]:
        """Map writable (B, H, W, 3) uint8 to (B, H, W) float32 metres and the stages' milliseconds."""
        graph = self._graph((images.shape[1], images.shape[2]))
        try:
            with torch.inference_mode():
                return self._timed(graph, images)
        except RuntimeError as error:
            raise BackendError(f"{self.info.file}: PyTorch failed on {self._device}: {error}") from error

    def _timed(self, graph: ImageToDepth, images: Rgb) -> tuple[Depth, dict[str, float]]:
        marks = [perf_counter()]
        inputs = torch.from_numpy(images).to(self._device)
        marks.append(self._now())
        depth = graph(inputs)
        marks.append(self._now())
        result = depth.cpu().numpy()
        marks.append(perf_counter())
        stages = zip(("copy_in", "inference", "copy_out"), pairwise(marks), strict=True)
        return result, {name: (end - start) * 1e3 for name, (start, end) in stages}

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return perf_counter()

    def _graph(self, size: tuple[int, int]) -> ImageToDepth:
        with self._lock:
            if size not in self._graphs:
                bands = RESIZE_BANDS if self._device.type == "cpu" else 1
                self._graphs[size] = ImageToDepth(self._model, size, bands).eval()
                if len(self._graphs) > GRAPHS_KEPT:
                    self._graphs.popitem(last=False)
            self._graphs.move_to_end(size)
            return self._graphs[size]


def _device(asked: str) -> torch.device:
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return torch.device("cuda:0" if present else "cpu")
    device = torch.device("cuda:0" if asked == "cuda" else asked)
    if device.type == "cuda" and (device.index or 0) >= present:
        raise BackendError(f"device {asked}: PyTorch sees {present} CUDA devices here; give device cpu or auto")
    return device
