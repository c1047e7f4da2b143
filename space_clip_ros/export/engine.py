"""Builds a TensorRT engine of an exported file, if the cache has none, and keeps it if it passes the check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.interruptible import interruptible
from space_clip_ros.export.language_proof import LanguageDifference, LanguageSeen, language_problem, query_vectors
from space_clip_ros.export.static_graph import static_graph
from space_clip_ros.export.tensorrt import BuildOptions, Progress, build_plan, check_version
from space_clip_ros.export.trial_images import fit
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.gpu.cuda import Cuda
from space_clip_ros.inference.gpu.engine_cache import AGREEMENT, LANGUAGE, MODEL, CacheEntry, EngineCache
from space_clip_ros.inference.gpu.engine_key import TF32, EngineKey, engine_precisions
from space_clip_ros.inference.gpu.open_cuda import open_cuda
from space_clip_ros.inference.gpu.tensorrt_runtime import engine_key, make_runner
from space_clip_ros.inference.metadata import OUTPUT_NAME, OnnxMetadata
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.inference.predictor import check_image
from space_clip_ros.inference.self_check import Agreement, check_pictures, compare_runs
from space_clip_ros.model_config import LANGUAGE_OUTPUTS


@dataclass(frozen=True)
class EngineReport:
    """An engine that is ready.

    Attributes:
        path: its file in the cache.
        key: what it was built for.
        built: whether it was built now, rather than found in the cache.
        agreement: how much its depth differs from ONNX Runtime's.
        language: the same for its language features; None if it gives none.
    """

    path: Path
    key: EngineKey
    built: bool
    agreement: Agreement
    language: LanguageDifference | None = None


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
        precision: auto, or the file's own, which is checked. An fp32 file's engine may use TF32 with auto if it passes
            the check; with fp32 it does not.
        device: auto, cuda or cuda:N.
        images: real (H, W, 3) uint8 RGB images for the check, besides synthetic ones; resized to ``size``.
        force: build even if the cache has it.
        cache: where it is kept; the user's by default.
        progress: see :class:`space_clip_ros.export.tensorrt.BuildOptions`.
        say: called with a line of text for each step.

    Raises:
        InputError: the file is of another size or precision, or needs a size.
        ModelError: the file is not one of ours.
        BackendError: there is no GPU, or no library that opens it; or TensorRT cannot start, or is too old.
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
    check_version()
    cache = EngineCache() if cache is None else cache
    kinds = engine_precisions(metadata.precision, precision)
    pictures = [*check_pictures(*size), *(fit(image, size) for image in images)]
    with closing(open_cuda(device)) as cuda, closing(sessions):
        for kind in kinds:
            key = replace(engine_key(file, metadata, cuda.gpu).of_size(*size), precision=kind)
            found = None if force else cache.find(key)
            if found is not None:
                cache.load(found)
                return _report(found, built=False)
            if kind != kinds[-1] and not force and any(refusal.key == key for refusal in cache.refusals()):
                continue
            say(f"building for {key.gpu} (compute capability {key.compute_capability}) with TensorRT {key.tensorrt}")
            plan = _built(key, static_graph(file, metadata, size), cache, cuda, progress)
            say("comparing with ONNX Runtime")
            agreement, language = _compared(plan, device, sessions, pictures)
            problem = agreement.problem(key.precision)
            if not problem and language is not None:
                problem = language_problem(language, key.precision)
            if not problem:
                return _report(cache.store(key, plan, _facts(agreement, language, metadata)), built=True)
            cache.refuse(key, problem, agreement.to_dict())
            if kind != kinds[-1]:
                say(f"in {kind} {problem}; building again in {kinds[-1]}")
    raise ExportError(file, f"the engine is refused: {problem}")


def _built(key: EngineKey, graph: bytes, cache: EngineCache, cuda: Cuda, progress: Progress) -> bytes:
    """Return the plan of a new engine; Ctrl-C ends the build."""
    # Half of the free memory: a Jetson shares it with the system, and TensorRT's default is to take all of it.
    workspace = cuda.free_memory() // 2

    def build(cancelled: Callable[[], bool]) -> tuple[bytes, bytes]:
        # TensorRT builds the engine for the GPU that is current in this thread.
        cuda.use()
        options = BuildOptions(key.precision == TF32, workspace, cancelled, progress)
        return build_plan(graph, cache.timings(key), options)

    plan, timings = interruptible(build)
    if timings:
        cache.keep_timings(key, timings)
    return plan


def _facts(agreement: Agreement, language: LanguageDifference | None, metadata: OnnxMetadata) -> dict[str, object]:
    """Return what is kept with an engine: its check, and its file's metadata, which checkpoints are compared with."""
    judged = None if language is None else asdict(language)
    return {AGREEMENT: agreement.to_dict(), LANGUAGE: judged, MODEL: metadata.to_properties()}


def _check_precision(file: Path, asked: str, own: str) -> None:
    if asked not in ("auto", own):
        raise InputError(
            file,
            f"is an {own} graph, and an engine has its graph's precision",
            f"for {asked} export it with --precision {asked}",
        )


def _compared(
    plan: bytes, device: str, sessions: OnnxSessions, pictures: Sequence[Rgb]
) -> tuple[Agreement, LanguageDifference | None]:
    """Run an engine and ONNX Runtime on the same images, and compare depth and language features."""
    metadata = sessions.metadata
    names = [name for name in metadata.outputs if name in LANGUAGE_OUTPUTS]
    seen = LanguageSeen(query_vectors(metadata.config.language))
    expected: dict[str, Depth] = {}

    def reference(image: Rgb) -> Depth:
        expected.update(sessions.estimate(np.ascontiguousarray(image)[None]))
        return np.asarray(expected[OUTPUT_NAME][0], dtype=np.float32)

    def candidate(image: Rgb) -> Depth:
        # Called after the reference, on the same image.
        found = runner.run(image)
        for name in names:
            seen.add(name, getattr(found, name)[None], expected[name])
        return found.depth

    runner = make_runner(plan, open_cuda(device))
    try:
        agreement = compare_runs(candidate, reference, pictures)
    finally:
        runner.close()
    return agreement, seen.difference(len(pictures), "ONNX Runtime") if names else None


def _report(entry: CacheEntry, built: bool) -> EngineReport:
    judged = entry.facts.get(LANGUAGE)
    language = None if judged is None else LanguageDifference(**judged)
    return EngineReport(entry.path, entry.key, built, Agreement(**entry.facts[AGREEMENT]), language)
