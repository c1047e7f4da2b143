"""Compares the obstacles found in depth with those of a synthetic course."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from obstacles.course import CourseFrame
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround, fit_ground_plane
from space_clip_ros.geometry.obstacles import ObstacleFinder, ObstacleLimits, Obstacles
from space_clip_ros.geometry.pixel_grid import PixelGrid
from space_clip_ros.geometry.planar_scan import PlanarScan, level_pose, planar_scan

DISTANCES_M = (0.0, 10.0, 15.0, 20.0, 25.0)
"""Edges of the bands of distance that pixels are counted in."""

Estimate = Callable[[CourseFrame], Depth]
"""Returns a frame's depth: the true one, or a model's."""

Mask = npt.NDArray[np.bool_]


@dataclass
class Tally:
    """How many of all pixels or bearings have a property.

    Attributes:
        count: number that have it.
        total: number of all.
    """

    count: int = 0
    total: int = 0

    def add(self, mask: Mask) -> None:
        """Count the True entries of a mask, and all its entries."""
        self.count += int(np.count_nonzero(mask))
        self.total += int(mask.size)

    @property
    def percent(self) -> float:
        """The share in percent; NaN if nothing was counted."""
        return 100 * self.count / self.total if self.total else math.nan


@dataclass
class ObstacleErrors:
    """Counts over the frames of a course.

    Attributes:
        frames: number of frames.
        without_ground: number of frames in which no ground was found; their obstacles count as missed.
        found: pixels of obstacles that were found, by band of distance.
        false: pixels of ground that were called obstacle, by band.
        sky: pixels of the sky that were called obstacle.
        bearings_found: truly blocked bearings, up to the furthest distance, that the scan shows blocked.
        bearings_false: truly open bearings that the scan shows blocked.
        range_errors: relative errors of the scan's ranges where both are blocked.
    """

    frames: int = 0
    without_ground: int = 0
    found: list[Tally] = field(default_factory=lambda: [Tally() for _ in DISTANCES_M[1:]])
    false: list[Tally] = field(default_factory=lambda: [Tally() for _ in DISTANCES_M[1:]])
    sky: Tally = field(default_factory=Tally)
    bearings_found: Tally = field(default_factory=Tally)
    bearings_false: Tally = field(default_factory=Tally)
    range_errors: list[float] = field(default_factory=list)


def count_errors(
    frames: Iterable[CourseFrame], camera: PinholeCamera, estimate: Estimate, limits: ObstacleLimits, grid: PixelGrid
) -> ObstacleErrors:
    """Find the obstacles of each frame by itself, and compare them with the truth.

    In truth, an obstacle is whatever is not ground and lies between the heights of the limits.

    Args:
        frames: the frames of a course.
        camera: their camera.
        estimate: returns a frame's depth.
        limits: what counts as an obstacle.
        grid: the pixels that are looked at.
    """
    errors, finder = ObstacleErrors(), ObstacleFinder(grid.camera(camera))
    for frame in frames:
        errors.frames += 1
        depth = estimate(frame)
        plane = fit_ground_plane(depth, camera)
        if isinstance(plane, NoGround):
            errors.without_ground += 1
            obstacles = scan = None
        else:
            obstacles = finder.find(grid.nearest(depth), plane, limits)
            scan = planar_scan(obstacles, grid.camera(camera), level_pose(plane), range_max=limits.max_range)
        _count_pixels(errors, frame, obstacles, limits, grid)
        _count_bearings(errors, frame, camera, scan, limits)
    return errors


def _count_pixels(
    errors: ObstacleErrors, frame: CourseFrame, obstacles: Obstacles | None, limits: ObstacleLimits, grid: PixelGrid
) -> None:
    distance = grid.of(frame.distance)
    ground, standing = grid.of(frame.ground), grid.of(_standing(frame, limits))
    called = np.zeros(ground.shape, np.bool_)
    if obstacles is not None:
        called.ravel()[obstacles.pixels] = True
    for index, (near, far) in enumerate(itertools.pairwise(DISTANCES_M)):
        band = (distance >= near) & (distance < far)
        errors.found[index].add(called[band & standing])
        errors.false[index].add(called[band & ground])
    errors.sky.add(called[np.isnan(grid.of(frame.depth))])


def _standing(frame: CourseFrame, limits: ObstacleLimits) -> Mask:
    return np.asarray(~frame.ground & (frame.height > limits.min_height) & (frame.height < limits.max_height))


def _count_bearings(
    errors: ObstacleErrors,
    frame: CourseFrame,
    camera: PinholeCamera,
    scan: PlanarScan | None,
    limits: ObstacleLimits,
) -> None:
    truth = _true_scan(frame, camera, limits)
    bearings = truth.angle_min + truth.angle_increment * np.arange(len(truth.ranges))
    ranges = np.full(len(bearings), np.nan)
    if scan is not None:
        place = np.rint((bearings - scan.angle_min) / scan.angle_increment).astype(int)
        inside = (place >= 0) & (place < len(scan.ranges))
        ranges[inside] = scan.ranges[place[inside]]
    blocked, open_ = truth.ranges < DISTANCES_M[-1], np.isinf(truth.ranges)
    errors.bearings_found.add(np.isfinite(ranges[blocked]))
    errors.bearings_false.add(ranges[open_] < DISTANCES_M[-1])
    both = blocked & np.isfinite(ranges)
    errors.range_errors += (np.abs(ranges[both] - truth.ranges[both]) / truth.ranges[both]).tolist()


def _true_scan(frame: CourseFrame, camera: PinholeCamera, limits: ObstacleLimits) -> PlanarScan:
    """Return the scan of the true obstacles, all pixels of them, in the frame that is truly level."""
    x, y, z = (float(value) for value in frame.camera_to_level[2])
    level = GroundPlane((x, y, z), 1.0, 0.0, 0, 0.0, 0.0)
    v, u = np.indices(frame.depth.shape, np.float32)
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)
    points = (rays * frame.depth[..., None]).astype(np.float32)
    standing = _standing(frame, limits) & (frame.distance < limits.max_range)
    seen = Obstacles(points[standing], np.flatnonzero(standing), points[frame.ground])
    return planar_scan(seen, camera, level_pose(level), range_max=limits.max_range)
