"""Checkpoints on PyTorch, CPU or CUDA, through the very graph that is exported."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np
import torch

from space_clip_ros.errors import BackendError
from space_clip_ros.export.graph import RESIZE_BANDS, ImageToDepth
from space_clip_ros.inference.backend import Prediction, Rgb, model_info
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
        graph = self._graph((image.shape[0], image.shape[1]))
        try:
            with torch.inference_mode():
                return self._timed(graph, image)
        except RuntimeError as error:
            raise BackendError(f"{self.info.file}: PyTorch failed on {self._device}: {error}") from error

    def close(self) -> None:
        """Free the graphs."""
        with self._lock:
            self._graphs.clear()

    def _timed(self, graph: ImageToDepth, image: Rgb) -> Prediction:
        marks = [perf_counter()]
        # PyTorch takes neither read-only arrays nor negative strides
        contiguous = np.ascontiguousarray(image)
        writable = contiguous if contiguous.flags.writeable else contiguous.copy()
        images = torch.from_numpy(writable)[None].to(self._device)
        marks.append(self._now())
        depth = graph(images)[0]
        marks.append(self._now())
        result = depth.cpu().numpy()
        marks.append(perf_counter())
        stages = zip(("copy_in", "inference", "copy_out"), pairwise(marks), strict=True)
        return Prediction(result, {name: (end - start) * 1e3 for name, (start, end) in stages})

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
