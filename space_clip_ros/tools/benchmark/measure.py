"""One case measured: a model, an image size and a batch, next to its floor and to the eager run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.tools.benchmark.measured_model import Subject, check_size
from space_clip_ros.tools.benchmark.operations import count_work, floor
from space_clip_ros.tools.benchmark.peak_memory import peak_mb, reset_peak
from space_clip_ros.tools.benchmark.percentiles import summarize, summarize_stages
from space_clip_ros.tools.benchmark.roofline import Roof

_WARM_UP = 3
_ROUNDS = 5
_SEPARATED_RUNS = 20
_CLOUD_RUNS = 30
_FOCAL_PER_WIDTH = 0.58
_SEED = 1

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """What to measure.

    Attributes:
        width: of the images, pixels.
        height: of the images, pixels.
        batch: images a run.
        frames: images in all, at least ``batch``.
    """

    width: int
    height: int
    batch: int
    frames: int

    @property
    def runs(self) -> int:
        """Runs that ``frames`` images take."""
        return max(-(-self.frames // self.batch), 1)


class Baseline(Protocol):
    """The plain run to compare with."""

    def run(self, images: Rgb) -> npt.NDArray[np.float32]:
        """Map (B, H, W, 3) uint8 to (B, H, W) metres."""
        ...


def peak_memory(subject: Subject, case: Case) -> dict[str, float | None]:
    """Warm up, and return the most memory held meanwhile, 10^6 bytes: ``resident`` and, on a GPU, ``device``.

    ``resident`` is the whole process with its libraries, and whatever else it has loaded before.

    Raises:
        InputError: the model does not take such images.
        BackendError: a run failed.
    """
    check_size(subject.info, case.height, case.width)
    images = made_up_images(case)
    reset_peak()
    for _ in range(_WARM_UP):
        subject.run(images)
    held = subject.device_memory()
    return {"resident": round(peak_mb(), 1), "device": None if held is None else round(held / 1e6, 1)}


def steps(case: Case, compared: bool) -> int:
    """Return how often :func:`measure` calls ``advance``."""
    return case.runs * (2 if compared else 1)


def measure(
    subject: Subject,
    eager: Baseline | None,
    roof: Roof | None,
    case: Case,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measure a case that :func:`peak_memory` has warmed up; plain values, as they go into the JSON file.

    The model and the eager run take turns in short rounds, so that a machine that slows down slows both.

    Raises:
        InputError: the model does not take such images.
        BackendError: a run failed.
    """
    check_size(subject.info, case.height, case.width)
    images = made_up_images(case)
    subject.run(images)
    runs, plain, stages = _take_turns(subject, eager, images, case.runs, advance)
    total = summarize(runs)
    depth, _ = subject.run(images)
    return {
        "size": [case.width, case.height],
        "batch": case.batch,
        "runs": case.runs,
        "total_ms": total,
        "throughput_hz": round(1e3 * case.batch * len(runs) / sum(runs), 3),
        "stages_ms": summarize_stages(stages),
        "separated_ms": summarize_stages(subject.separate(images, min(case.runs, _SEPARATED_RUNS))),
        "separated_by": subject.separated_by,
        "cloud_ms": summarize(_cloud_times(depth[0], images[0])),
        "floor": None if roof is None else _floor(subject, roof, case, total["p50"]),
        "eager": None if not plain else {"total_ms": summarize(plain), "times_faster": _ratio(plain, runs)},
    }


def made_up_images(case: Case) -> Rgb:
    """Return a batch of smooth pictures with noise, (B, H, W, 3) uint8; times do not depend on what they show."""
    generator = np.random.default_rng(_SEED)
    ramp = np.linspace(40, 200, case.width)[None, None, :, None]
    noise = generator.normal(0, 20, (case.batch, case.height, case.width, 3))
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


def _take_turns(
    subject: Subject, eager: Baseline | None, images: Rgb, runs: int, advance: Callable[[], None]
) -> tuple[list[float], list[float], list[dict[str, float]]]:
    """Return the times of the model's and of the eager runs, and the stages of the model's, milliseconds."""
    ours: list[float] = []
    plain: list[float] = []
    stages: list[dict[str, float]] = []
    if eager is not None:
        eager.run(images)
    for part in np.array_split(np.arange(runs), min(_ROUNDS, runs)):
        for _ in part:
            start = perf_counter()
            _, told = subject.run(images)
            ours.append((perf_counter() - start) * 1e3)
            stages.append(dict(told))
            advance()
        if eager is not None:
            for _ in part:
                start = perf_counter()
                eager.run(images)
                plain.append((perf_counter() - start) * 1e3)
                advance()
    return ours, plain, stages


def _cloud_times(depth: npt.NDArray[np.float32], rgb: Rgb) -> list[float]:
    """Times of a coloured cloud of every pixel, into a buffer that is used again, milliseconds."""
    height, width = depth.shape
    focal = _FOCAL_PER_WIDTH * width
    projector = Projector(PinholeCamera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2))
    out = np.empty((height, width, 4), np.float32)
    times = []
    for _ in range(_CLOUD_RUNS):
        start = perf_counter()
        projector.project(depth, rgb, NodeConfig().points.max_range, out=out, tested=True)
        times.append((perf_counter() - start) * 1e3)
    return times


def _floor(subject: Subject, roof: Roof, case: Case, p50_ms: float) -> dict[str, Any]:
    work = count_work(subject.config, case.height, case.width, case.batch)
    least = floor(work, case.height, case.width, case.batch, subject.info.precision, roof.gflops, roof.gbytes)
    return {
        "gigaoperations": round(least.operations / 1e9, 3),
        "stages_gigaoperations": {stage: round(one.operations / 1e9, 3) for stage, one in work.items()},
        "megabytes": round(least.bytes / 1e6, 3),
        "compute_ms": round(least.compute_ms, 4),
        "memory_ms": round(least.memory_ms, 4),
        "ms": round(least.ms, 4),
        "stages_ms": {stage: round(value, 4) for stage, value in least.stages_ms.items()},
        "share": round(least.ms / p50_ms, 4),
    }


def _ratio(plain: list[float], ours: list[float]) -> float:
    return round(float(np.median(plain) / np.median(ours)), 3)
