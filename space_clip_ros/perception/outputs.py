"""The arrays that are made of an image's depth. To add one, write its function and its row in :data:`OUTPUTS`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.cloud import packed_colors
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.depth import to_millimetres
from space_clip_ros.geometry.planar_scan import PlanarScan, level_pose, planar_scan
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.perception.frame import DepthFrame, obstacle_limits


@dataclass(frozen=True)
class Output:
    """One kind of array, or of scan.

    Attributes:
        compute: makes it of a frame. Returns None where the frame does not give it, and says why in ``left_out``.
        needs_camera: whether the camera's intrinsics must be known for it.
        uses_ground: whether the ground is looked for to make it.
        needs_uncertainty: whether the model must say how far off depth may be.
        needs_feature: which language feature the model must give, ``dense`` or ``embedding``; empty for none.
        needs_queries: whether something must be looked for by name.
    """

    compute: Callable[[DepthFrame], Any]
    needs_camera: bool = False
    uses_ground: bool = False
    needs_uncertainty: bool = False
    needs_feature: str = ""
    needs_queries: bool = False


@dataclass(frozen=True)
class Available:
    """What there is for one image.

    Attributes:
        camera: whether its intrinsics are known.
        uncertainty: whether the model says how far off depth may be.
        features: the language features that the model gives.
        queries: whether something is looked for by name.
    """

    camera: bool
    uncertainty: bool = False
    features: Collection[str] = ()
    queries: bool = False

    @classmethod
    def of(cls, model: ModelInfo, camera: bool, queries: bool) -> Available:
        """Return what there is with a model."""
        return cls(camera, model.uncertainty, language_outputs(model), queries)


def depth(frame: DepthFrame) -> NDArray[Any]:
    """Return depth as REP 118 has it: (H, W) float32 metres, NaN invalid, or uint16 millimetres, 0 invalid."""
    return to_millimetres(frame.depth) if frame.settings.depth_encoding == "16UC1" else frame.depth


def points(frame: DepthFrame) -> NDArray[np.float32]:
    """Return the cloud in the camera's optical frame.

    Returns:
        (h, w, 3) float32 x y z in metres, NaN where invalid, or (h, w, 4) with 0x00RRGGBB as the bits of the fourth.
        With ``points.dense`` only the valid points, (n, 3) or (n, 4).
    """
    settings = frame.settings.points
    projector = frame.projector(settings.stride)
    if projector is None:
        raise ValueError("a cloud needs its camera")
    metres = frame.unbounded_depth() if settings.clearing else frame.solid_depth
    if settings.max_uncertainty:
        metres = frame.without_uncertain(metres, settings.max_uncertainty)
    cloud = projector.project(
        metres,
        frame.rgb if settings.color else None,
        min(settings.max_range, frame.settings.max_depth) if settings.clearing else settings.max_range,
        settings.clearing,
        out=frame.request.allocate("points", (*projector.shape, 4 if settings.color else 3), np.float32),
        heights=settings.heights,
        tested=True,
    )
    return cloud[np.isfinite(cloud[..., 2])] if settings.dense else cloud


def color(frame: DepthFrame) -> NDArray[np.uint8]:
    """Return depth as a picture for people, (H, W, 3) uint8 RGB, on the fixed scale ``min_depth`` to ``max_depth``."""
    settings = frame.settings
    return colorize(frame.depth, settings.color.colormap, settings.min_depth, settings.max_depth)


def uncertainty(frame: DepthFrame) -> NDArray[np.float32]:
    """Return one standard deviation of depth, (H, W) float32 metres, NaN where depth is invalid."""
    if frame.uncertainty is None:
        raise ValueError("the model gives no uncertainty")
    return frame.uncertainty


def obstacles(frame: DepthFrame) -> NDArray[np.float32] | None:
    """Return what stands above the ground, in the camera's optical frame.

    Returns:
        (n, 3) float32 x y z in metres, all valid, or with ``points.color`` (n, 4) with 0x00RRGGBB as the bits of the
        fourth. None without ground.
    """
    above_ground = frame.obstacles
    if above_ground is None:
        frame.left_out["obstacles"] = f"no ground: {frame.ground.problem}"
        return None
    if not frame.settings.points.color:
        return above_ground.points
    cloud = np.empty((len(above_ground.points), 4), np.float32)
    cloud[:, :3] = above_ground.points
    cloud[:, 3] = packed_colors(frame.obstacle_grid.of(frame.rgb)).ravel()[above_ground.pixels]
    return cloud


def scan(frame: DepthFrame) -> PlanarScan | None:
    """Return the distance to the nearest obstacle by bearing, in ``scan.frame_id`` or the camera's level frame.

    Returns:
        The scan. None without ground, or where the camera's pose in ``scan.frame_id`` is unknown.
    """
    settings, request = frame.settings, frame.request
    pose = request.scan_pose
    if settings.scan.frame_id and not isinstance(pose, np.ndarray):
        frame.left_out["scan"] = f"scan.frame_id {settings.scan.frame_id!r}: {pose or 'its transform is not known'}"
        return None
    range_max = obstacle_limits(settings).max_range
    if range_max <= settings.min_depth:
        frame.left_out["scan"] = f"its range ends at {range_max:g} m, and min_depth is {settings.min_depth:g} m"
        return None
    above_ground, plane, camera = frame.obstacles, frame.ground.plane, frame.camera
    if above_ground is None or plane is None or camera is None:
        frame.left_out["scan"] = f"no ground: {frame.ground.problem}"
        return None
    made = planar_scan(
        above_ground,
        frame.obstacle_grid.camera(camera),
        pose if settings.scan.frame_id and isinstance(pose, np.ndarray) else level_pose(plane),
        range_min=settings.min_depth,
        range_max=range_max,
        angle_increment=settings.scan.angle_increment,
    )
    return replace(made, frame_id=settings.scan.frame_id, scan_time=frame.ground.interval_s)


def embedding(frame: DepthFrame) -> NDArray[np.float32]:
    """Return the image's own feature, (D,) float32 of length 1."""
    if frame.features is None or frame.features.embedding is None:
        raise ValueError("the model gives no embedding")
    return frame.features.embedding


# In the order in which they are made: depth first, as most wait for it, and a cloud takes the bus for longer.
OUTPUTS: dict[str, Output] = {
    "depth": Output(depth),
    "points": Output(points, needs_camera=True),
    "color": Output(color),
    "uncertainty": Output(uncertainty, needs_uncertainty=True),
    "obstacles": Output(obstacles, needs_camera=True, uses_ground=True),
    "scan": Output(scan, needs_camera=True, uses_ground=True),
    "labels": Output(operator.attrgetter("semantics.labels"), needs_feature="dense", needs_queries=True),
    "confidence": Output(operator.attrgetter("semantics.confidence"), needs_feature="dense", needs_queries=True),
    "detections": Output(
        operator.attrgetter("objects"), needs_camera=True, uses_ground=True, needs_feature="dense", needs_queries=True
    ),
    "markers": Output(
        operator.attrgetter("objects"), needs_camera=True, uses_ground=True, needs_feature="dense", needs_queries=True
    ),
    "tokens": Output(operator.attrgetter("tokens"), needs_camera=True, needs_feature="dense"),
    "embedding": Output(embedding, needs_feature="embedding"),
}


def makeable(names: Iterable[str], there: Available) -> tuple[str, ...]:
    """Return those of the names that are outputs and can be made, in the order in which they are made."""
    wanted = set(names)
    return tuple(
        name
        for name, output in OUTPUTS.items()
        if name in wanted
        and (there.camera or not output.needs_camera)
        and (there.uncertainty or not output.needs_uncertainty)
        and (not output.needs_feature or output.needs_feature in there.features)
        and (there.queries or not output.needs_queries)
    )


def language_outputs(model: ModelInfo) -> tuple[str, ...]:
    """Return which language features a model gives: some of ``dense`` and ``embedding``."""
    return () if model.language is None else model.language.outputs


def lacking_features(names: Iterable[str], model: ModelInfo) -> tuple[str, ...]:
    """Return those of the outputs that need language features which a model does not give."""
    given = ("", *language_outputs(model))
    return tuple(name for name in names if name in OUTPUTS and OUTPUTS[name].needs_feature not in given)


def without_features(names: Iterable[str], model: ModelInfo) -> str:
    """Return a sentence naming the outputs that need language features the model lacks; empty if none."""
    lost = lacking_features(names, model)
    if not lost:
        return ""
    lacking = (
        sorted({OUTPUTS[name].needs_feature for name in lost}) if language_outputs(model) else ["language features"]
    )
    topics = " and ".join(f"semantic/{name}" for name in lost)
    return f"model {model.name} gives no {' and '.join(lacking)}: {topics} left out"


def need_queries(names: Iterable[str]) -> bool:
    """Return whether any of the outputs needs queries."""
    return any(name in OUTPUTS and OUTPUTS[name].needs_queries for name in names)


def need_features(names: Iterable[str]) -> bool:
    """Return whether any of the outputs is made of language features."""
    return any(name in OUTPUTS and OUTPUTS[name].needs_feature for name in names)


def without_uncertainty(names: Collection[str], settings: NodeConfig, model: ModelInfo) -> str:
    """Return what has no effect because the model gives no uncertainty; empty if it does or nothing needs it."""
    if model.uncertainty:
        return ""
    lost = [f"depth/{name}" for name in names if name in OUTPUTS and OUTPUTS[name].needs_uncertainty]
    if settings.points.max_uncertainty and "points" in names:
        lost.append("points.max_uncertainty")
    return f"model {model.name} gives no uncertainty: {' and '.join(lost)} left out" if lost else ""


def need_camera(names: Iterable[str]) -> bool:
    """Return whether any of the names needs the camera's intrinsics: such an output, or the camera itself."""
    return any(name not in OUTPUTS or OUTPUTS[name].needs_camera for name in names)


def use_ground(names: Iterable[str]) -> bool:
    """Return whether the ground is looked for to make any of the outputs."""
    return any(name in OUTPUTS and OUTPUTS[name].uses_ground for name in names)
