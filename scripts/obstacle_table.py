#!/usr/bin/env python3
"""Prints the tables of docs/results/obstacles.md: how well obstacles are found on synthetic courses.

python scripts/obstacle_table.py --frames 6 --model road_tiny

Exact depth comes first, then each model's. Drawing a frame takes half a second on an idle core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from obstacles.course import COURSES, CourseFrame, course_frame
from obstacles.errors import count_errors
from obstacles.table import bearing_table, pixel_table
from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.depth import Depth, invalidate
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.perception.frame import obstacle_limits
from space_clip_ros.perception.resolution import depth_grid
from space_clip_ros.synthetic.calibration import drawing_camera
from space_clip_ros.synthetic.drive import KITTI_CAMERA


def main() -> None:
    """Draw the courses once, then measure every source of depth on them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=6, help="pictures of each course (default 6)")
    parser.add_argument("--seed", type=int, default=100, help="seed of the first picture (default 100)")
    parser.add_argument("--model", nargs="*", default=["road_tiny"], help="names or files (default road_tiny)")
    args = parser.parse_args()
    settings, camera = NodeConfig(), drawing_camera(KITTI_CAMERA)
    seeds = range(args.seed, args.seed + args.frames)
    frames = {course: [course_frame(course, seed, camera) for seed in seeds] for course in COURSES}

    limits, size = obstacle_limits(settings), (camera.height, camera.width)

    def report(title: str, estimate: Callable[[CourseFrame], Depth], detail: PixelGrid) -> None:
        grid = detail.at_least(settings.points.stride)
        errors = {course: count_errors(shown, camera, estimate, limits, grid) for course, shown in frames.items()}
        sys.stdout.write(f"## {title}\n\n{pixel_table(errors)}\n\n{bearing_table(errors)}\n\n")
        sys.stdout.flush()

    report("Exact depth", lambda frame: frame.depth, EVERY_PIXEL)
    for name in args.model:
        with load_predictor(name) as predictor:
            info = predictor.info
            detail = depth_grid("network", size, info.depth_grid or info.input_size)
            report(f"Depth of `{name}`", by_model(predictor, settings), detail)


def by_model(predictor: Predictor, settings: NodeConfig) -> Callable[[CourseFrame], Depth]:
    """Return what estimates a frame's depth as the node does."""
    return lambda frame: invalidate(predictor(frame.rgb), settings.min_depth, settings.max_depth)


if __name__ == "__main__":
    main()
