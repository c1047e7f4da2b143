"""Builds a TensorRT engine of an exported file, if the cache has none, and keeps it if it passes the check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.static_graph import static_graph
from space_clip_ros.export.tensorrt import Progress, build_plan
from space_clip_ros.export.trial_images import fit
from space_clip_ros.inference.backend import Depth, Rgb
from space_clip_ros.inference.gpu.engine_cache import CacheEntry, EngineCache
from space_clip_ros.inference.gpu.engine_key import EngineKey
from space_clip_ros.inference.gpu.open_cuda import open_cuda
from space_clip_ros.inference.gpu.tensorrt_runtime import engine_key, make_runner
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.inference.predictor import check_image
from space_clip_ros.inference.self_check import Agreement, check_pictures, compare_runs


@dataclass(frozen=True)
class EngineReport:
    """An engine that is ready.

    Attributes:
        path: its file in the cache.
        key: what it was built for.
        built: whether it was built now, rather than found in the cache.
        agreement: how much its depth differs from ONNX Runtime's.
    """

    path: Path
    key: EngineKey
    built: bool
    agreement: Agreement


def build_engine(
    file: Path,
    size: tuple[int, int] | None = None,
    precision: str = "auto",
    device: str = "auto",
    *,
    images: Sequence[Rgb] = (),
    force: bool = False,
    cache: EngineCache | None = None,
    progress: Progress = lambda phase, done, total: None,
    say: Callable[[str], None] = lambda text: None,
) -> EngineReport:
    """Build, check and keep an engine, unless the cache has it.

    Args:
        file: written by ``space_clip export``.
        size: height and width of the images, pixels; needed if the file takes any size.
        precision: auto, or the file's own, which is checked.
        device: auto, cuda or cuda:N.
        images: real (H, W, 3) uint8 RGB images for the check, besides synthetic ones; resized to ``size``.
        force: build even if the cache has it.
        cache: where it is kept; the user's by default.
        progress: see :func:`space_clip_ros.export.tensorrt.build_plan`.
        say: called with a line of text for each step.

    Raises:
        InputError: the file is of another size or precision, or needs a size.
        ModelError: the file is not one of ours.
        BackendError: there is no GPU, or no library that opens it.
        ExportError: TensorRT cannot build it, or the engine was refused, with the numbers.
        DataError: the cache cannot be written to.
    """
    for image in images:
        check_image(image)
    sessions = OnnxSessions(file)
    metadata = sessions.metadata
    _check_precision(file, precision, metadata.precision)
    size = size or metadata.size
    if size is None:
        raise InputError(file, "takes images of any size, an engine of one", "give --height and --width")
    cache = EngineCache() if cache is None else cache
    with closing(open_cuda(device)) as cuda:
        key = engine_key(file, metadata, cuda.gpu).of_size(*size)
        found = None if force else cache.find(key)
        if found is not None:
            cache.load(found)
            return _report(found, built=False)
        say(f"building for {key.gpu} (compute capability {key.compute_capability}) with TensorRT {key.tensorrt}")
        graph = static_graph(file, metadata, size)
        # TensorRT builds the engine for the GPU that is current in this thread.
        cuda.use()
        plan, timings = build_plan(graph, metadata.precision, cache.timings(key), progress)
    if timings:
        cache.keep_timings(key, timings)
    say("comparing with ONNX Runtime")
    pictures = [*check_pictures(*size), *(fit(image, size) for image in images)]
    agreement = _agreement(plan, device, sessions, pictures)
    sessions.close()
    if problem := agreement.problem(key.precision):
        cache.refuse(key, problem, agreement.to_dict())
        raise ExportError(file, f"the engine is refused: {problem}")
    return _report(cache.store(key, plan, agreement.to_dict()), built=True)


def _check_precision(file: Path, asked: str, own: str) -> None:
    if asked not in ("auto", own):
        raise InputError(
            file,
            f"is a graph in {own}, and an engine is what its graph is",
            f"for {asked} export it with --precision {asked}",
        )


def _agreement(plan: bytes, device: str, sessions: OnnxSessions, pictures: Sequence[Rgb]) -> Agreement:
    def reference(image: Rgb) -> Depth:
        return np.asarray(sessions.run(np.ascontiguousarray(image)[None])[0], dtype=np.float32)

    runner = make_runner(plan, open_cuda(device))
    try:
        return compare_runs(lambda image: runner.run(image).depth, reference, pictures)
    finally:
        runner.close()


def _report(entry: CacheEntry, built: bool) -> EngineReport:
    return EngineReport(entry.path, entry.key, built, Agreement(**entry.facts))
