"""Measures one case: a model, an image size and a batch, next to its floor and to the eager run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround, fit_ground_plane
from space_clip_ros.geometry.obstacles import ObstacleFinder, Obstacles
from space_clip_ros.geometry.planar_scan import PlanarScan, level_pose, planar_scan
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.perception.frame import obstacle_limits
from space_clip_ros.perception.resolution import depth_grid
from space_clip_ros.tools.benchmark.floor import floor, run_cost
from space_clip_ros.tools.benchmark.measured_model import MeasuredModel, check_images
from space_clip_ros.tools.benchmark.output_costs import outputs_ms
from space_clip_ros.tools.benchmark.peak_memory import peak_mb, reset_peak
from space_clip_ros.tools.benchmark.placeholder import placeholder_camera, placeholder_images, placeholder_street
from space_clip_ros.tools.benchmark.roofline import Roofline
from space_clip_ros.tools.latency import summarize, summarize_stages

_WARM_UP = 3
_ROUNDS = 5
_SEPARATED_RUNS = 20
_CLOUD_RUNS = 30
_OBSTACLE_RUNS = 60
_OUTPUT_RUNS = 50


@dataclass(frozen=True)
class Case:
    """What to measure.

    Attributes:
        width: of the images, pixels.
        height: of the images, pixels.
        batch: images per run.
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

    def images(self) -> Rgb:
        """Return the images of a run, (batch, height, width, 3) uint8."""
        return placeholder_images(self.width, self.height, self.batch)


class Baseline(Protocol):
    """The plain run to compare with."""

    def run(self, images: Rgb) -> Depth:
        """Map (B, H, W, 3) uint8 to (B, H, W) metres."""
        ...


def peak_memory(model: MeasuredModel, case: Case) -> dict[str, float | None]:
    """Warm up, and return the most memory held meanwhile, 10^6 bytes: ``resident`` and, on a GPU, ``device``.

    ``resident`` is the whole process: its libraries, and everything it loaded before.

    Raises:
        InputError: the model does not take such images.
        BackendError: a run failed.
    """
    check_images(model.info, case.batch, case.height, case.width)
    images = case.images()
    reset_peak()
    for _ in range(_WARM_UP):
        model.run(images)
    held = model.device_memory()
    return {"resident": round(peak_mb(), 1), "device": None if held is None else round(held / 1e6, 1)}


def steps(case: Case, compared: bool) -> int:
    """Return how often :func:`measure` calls ``advance``."""
    return case.runs * (2 if compared else 1)


def measure(
    model: MeasuredModel,
    eager: Baseline | None,
    roofline: Roofline | None,
    case: Case,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Measure a case that :func:`peak_memory` has warmed up, and return plain values for the JSON file.

    The model and the eager run take turns in short rounds, so that a slow phase of the machine slows both.

    Args:
        model: the model.
        eager: run to compare with; None for none.
        roofline: the machine's limits; None leaves the floor out.
        case: what to measure.
        advance: called after each run, :func:`steps` times in all.

    Raises:
        InputError: the model does not take such images.
        BackendError: a run failed.
    """
    check_images(model.info, case.batch, case.height, case.width)
    images = case.images()
    model.run(images)
    model_ms, eager_ms, stages = _take_turns(model, eager, images, case.runs, advance)
    total = summarize(model_ms)
    depth, _ = model.run(images)
    return {
        "size": [case.width, case.height],
        "batch": case.batch,
        "runs": case.runs,
        "total_ms": total,
        "throughput_hz": round(1e3 * case.batch * len(model_ms) / sum(model_ms), 3),
        "stages_ms": summarize_stages(stages),
        "separated_ms": summarize_stages(model.separate(images, min(case.runs, _SEPARATED_RUNS))),
        "separated_by": model.separated_by,
        "cloud_ms": summarize(_cloud_ms(depth[0], images[0])),
        "obstacles_ms": {
            name: summarize(times) for name, times in _obstacles_ms(model.info, case.width, case.height).items()
        },
        "outputs_ms": outputs_ms(model, images, min(case.runs, _OUTPUT_RUNS)),
        "floor": None if roofline is None else _floor(model, roofline, case, total["p50"]),
        "eager": None
        if not eager_ms
        else {"total_ms": summarize(eager_ms), "times_faster": _ratio(eager_ms, model_ms)},
    }


def _take_turns(
    model: MeasuredModel, eager: Baseline | None, images: Rgb, runs: int, advance: Callable[[], object]
) -> tuple[list[float], list[float], list[dict[str, float]]]:
    """Return the times of the model's and the eager runs, and the stages of the model's, milliseconds."""
    model_ms: list[float] = []
    eager_ms: list[float] = []
    stages: list[dict[str, float]] = []
    if eager is not None:
        eager.run(images)
    for turn in np.array_split(np.arange(runs), min(_ROUNDS, runs)):
        for _ in turn:
            start = perf_counter()
            _, stages_ms = model.run(images)
            model_ms.append((perf_counter() - start) * 1e3)
            stages.append(dict(stages_ms))
            advance()
        if eager is not None:
            for _ in turn:
                start = perf_counter()
                eager.run(images)
                eager_ms.append((perf_counter() - start) * 1e3)
                advance()
    return model_ms, eager_ms, stages


def _cloud_ms(depth: npt.NDArray[np.float32], rgb: npt.NDArray[np.uint8]) -> list[float]:
    """Time a coloured cloud of every pixel, written to the same buffer again and again, milliseconds."""
    height, width = depth.shape
    projector = Projector(placeholder_camera(width, height))
    out = np.empty((height, width, 4), np.float32)
    times = []
    for _ in range(_CLOUD_RUNS):
        start = perf_counter()
        projector.project(depth, rgb, NodeConfig().points.max_range, out=out, tested=True)
        times.append((perf_counter() - start) * 1e3)
    return times


def _obstacles_ms(info: ModelInfo, width: int, height: int) -> dict[str, list[float]]:
    """Time the ground, the obstacles and the scan of a street at the node's defaults, milliseconds.

    Each by itself, and as the node makes both outputs of an image.
    """
    settings, depth, camera = NodeConfig(), placeholder_street(width, height), placeholder_camera(width, height)
    limits = obstacle_limits(settings)
    detail = depth_grid("network", (height, width), info.depth_grid or info.input_size)
    grid = detail.at_least(settings.points.stride)
    finder = ObstacleFinder(grid.camera(camera))
    plane = fit_ground_plane(depth, camera)
    if isinstance(plane, NoGround):  # too small a picture to show ground
        return {}

    def find(plane: GroundPlane) -> Obstacles:
        return finder.find(grid.nearest(depth), plane, limits)

    def scan(obstacles: Obstacles, plane: GroundPlane) -> PlanarScan:
        return planar_scan(obstacles, grid.camera(camera), level_pose(plane), range_max=limits.max_range)

    def together() -> None:
        fitted = fit_ground_plane(depth, camera)
        if isinstance(fitted, GroundPlane):
            scan(find(fitted), fitted)

    obstacles = find(plane)
    steps: dict[str, Callable[[], object]] = {
        "ground plane": lambda: fit_ground_plane(depth, camera),
        "obstacles": lambda: find(plane),
        "scan": lambda: scan(obstacles, plane),
        "ground, obstacles and scan": together,
    }
    times_ms: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(_OBSTACLE_RUNS):
        for name, step in steps.items():
            start = perf_counter()
            step()
            times_ms[name].append((perf_counter() - start) * 1e3)
    return times_ms


def _floor(model: MeasuredModel, roofline: Roofline, case: Case, p50_ms: float) -> dict[str, Any]:
    cost = run_cost(model.cost, model.config.input_size, case.height, case.width, case.batch)
    least = floor(cost, case.height, case.width, case.batch, model.info.precision, roofline.gflops, roofline.gbytes)
    return {
        "gigaoperations": round(least.operations / 1e9, 3),
        "stages_gigaoperations": {stage: round(stage_cost.operations / 1e9, 3) for stage, stage_cost in cost.items()},
        "megabytes": round(least.bytes / 1e6, 3),
        "compute_ms": round(least.compute_ms, 4),
        "memory_ms": round(least.memory_ms, 4),
        "ms": round(least.ms, 4),
        "stages_ms": {stage: round(value, 4) for stage, value in least.stages_ms.items()},
        "share": round(least.ms / p50_ms, 4),
    }


def _ratio(eager_ms: list[float], model_ms: list[float]) -> float:
    return round(float(np.median(eager_ms) / np.median(model_ms)), 3)
