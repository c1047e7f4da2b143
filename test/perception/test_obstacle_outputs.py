"""The outputs made of what stands above the ground, from frames whose depth is worked out ray by ray."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from space_clip_ros.config import NodeConfig, ObstaclesConfig, PointsConfig, ScaleConfig, ScanConfig
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.geometry.rectification import Rectifier
from space_clip_ros.perception.calibration import RectifiedView
from space_clip_ros.perception.camera_mount import CameraMount
from space_clip_ros.perception.core import made_outputs
from space_clip_ros.perception.focal_scaling import FocalScaling
from space_clip_ros.perception.frame import DepthFrame, DepthRequest, ScaleRequest
from space_clip_ros.perception.ground import GroundSource, GroundTracker
from space_clip_ros.perception.obstacle_notes import obstacle_notes
from space_clip_ros.perception.outputs import use_ground
from space_clip_ros.perception.scale import FrameEvidence, MetricScale, ScaleEstimate

WHOLE = PointsConfig(stride=1, color=False)
BOTH = ("obstacles", "scan")


def frame(
    scenes: Any,
    depth: np.ndarray,
    outputs: tuple[str, ...] = BOTH,
    tracker: GroundTracker | None = None,
    stamp: float | None = 1.0,
    pose: np.ndarray | str | None = None,
    deviation: np.ndarray | None = None,
    detail: PixelGrid = EVERY_PIXEL,
    scale_request: ScaleRequest | None = None,
    estimate: ScaleEstimate | None = None,
    factor: float = 1.0,
    view: RectifiedView | None = None,
    **settings: Any,
) -> DepthFrame:
    config = dataclasses.replace(NodeConfig(), **{"points": WHOLE, **settings})
    rgb = np.random.default_rng(1).integers(0, 256, (*depth.shape, 3)).astype(np.uint8)
    request = DepthRequest(
        rgb,
        view or RectifiedView(scenes.CAMERA),
        config,
        outputs,
        stamp_s=stamp,
        ground=tracker or GroundTracker(),
        scan_pose=pose,
        scale=scale_request,
    )
    return DepthFrame(
        request, rgb, depth, factor, Projector, FocalScaling(), estimate, relative_deviation=deviation, detail=detail
    )


def nearest(scan: PlanarScan, bearing: float) -> float:
    return float(scan.ranges[round((bearing - scan.angle_min) / scan.angle_increment)])


def test_both_outputs_of_a_street(scenes: Any) -> None:
    processed = frame(scenes, scenes.street(scenes.CAR, *scenes.HOUSES))
    made = dict(made_outputs(processed))
    assert list(made) == ["obstacles", "scan"] and processed.left_out == {}
    cloud = made["obstacles"]
    assert cloud.dtype == np.float32 and cloud.shape[1] == 3 and np.isfinite(cloud).all()
    heights = 1.65 - cloud[:, 1]
    assert heights.min() > 0.19 and heights.max() < 2.01
    assert np.hypot(cloud[:, 0], cloud[:, 2]).max() == pytest.approx(30, abs=0.3)
    scan = made["scan"]
    assert nearest(scan, -math.atan2(2.4, 8)) == pytest.approx(math.hypot(2.4, 8), rel=0.01)
    assert nearest(scan, 0.0) == math.inf
    assert scan.frame_id == "" and scan.range_max == 30.0 and scan.range_min == pytest.approx(0.1)
    assert scan.scan_time == 0.0
    assert processed.ground.source is GroundSource.FITTED


def test_colours_are_those_of_the_pixels(scenes: Any) -> None:
    processed = frame(scenes, scenes.street(scenes.CAR), ("obstacles",), points=PointsConfig(stride=3))
    cloud = dict(made_outputs(processed))["obstacles"]
    packed = np.ascontiguousarray(cloud[:, 3]).view(np.uint32)
    column = np.rint(cloud[:, 0] / cloud[:, 2] * scenes.CAMERA.fx + scenes.CAMERA.cx).astype(int)
    row = np.rint(cloud[:, 1] / cloud[:, 2] * scenes.CAMERA.fy + scenes.CAMERA.cy).astype(int)
    # The middle pixel of each three by three.
    assert (row % 3 == 1).all() and (column % 3 == 1).all()
    red, green, blue = processed.rgb[row, column].astype(np.uint32).T
    np.testing.assert_array_equal(packed, red << 16 | green << 8 | blue)


def test_obstacles_have_no_more_pixels_than_the_network(scenes: Any) -> None:
    depth = scenes.street(scenes.CAR)
    coarse = frame(scenes, depth, detail=PixelGrid(4, 4))
    assert coarse.obstacle_grid == PixelGrid(4, 4)
    made, fine = dict(made_outputs(coarse)), dict(made_outputs(frame(scenes, depth)))
    assert len(made["obstacles"]) == pytest.approx(len(fine["obstacles"]) / 16, rel=0.15)
    bearing = -math.atan2(2.4, 8)
    assert nearest(made["scan"], bearing) == pytest.approx(nearest(fine["scan"], bearing), rel=0.01)
    # A cloud that is thinner still is followed.
    thin = frame(scenes, depth, detail=PixelGrid(4, 2), points=PointsConfig(stride=3))
    assert thin.obstacle_grid == PixelGrid(4, 3)


def test_the_plane_that_the_scale_was_found_by_is_not_fitted_again(scenes: Any) -> None:
    """The scale saw the depth as it was before its factor; the ground is that of the published depth."""
    depth = scenes.street(scenes.CAR)
    mount = CameraMount(1.65)
    request = ScaleRequest(MetricScale(at_once=True), FrameEvidence(0.0, 1.0, mount=mount))
    raw = depth / np.float32(1.4)
    estimate = request.scale.estimate(raw, scenes.CAMERA, request.known)
    assert isinstance(estimate.ground, GroundPlane) and estimate.ground.height_m == pytest.approx(1.65 / 1.4, rel=1e-3)
    processed = frame(scenes, raw * np.float32(estimate.factor), scale_request=request, estimate=estimate)
    fitted = frame(scenes, raw * np.float32(estimate.factor)).ground.plane
    assert processed.ground.plane == estimate.ground.scaled(estimate.factor)
    assert fitted is not None and processed.ground.plane is not None
    assert processed.ground.plane.height_m == pytest.approx(fitted.height_m, rel=1e-4)
    np.testing.assert_allclose(processed.ground.plane.normal, fitted.normal, atol=1e-5)
    unseen = dataclasses.replace(estimate, ground=NoGround.TOO_SMALL)
    assert frame(scenes, depth, scale_request=request, estimate=unseen).ground.problem == NoGround.TOO_SMALL.value


def test_without_ground_nothing_is_made_and_the_reason_is_kept(scenes: Any) -> None:
    processed = frame(scenes, scenes.street(scenes.WALL), ("depth", *BOTH))
    assert list(dict(made_outputs(processed))) == ["depth"]
    assert set(processed.left_out) == set(BOTH)
    assert processed.left_out["scan"] == f"no ground: {processed.ground.problem}" and processed.ground.problem


def test_ground_is_held_from_one_frame_to_the_next(scenes: Any) -> None:
    tracker = GroundTracker()
    dict(made_outputs(frame(scenes, scenes.street(), tracker=tracker, stamp=1.0)))
    processed = frame(scenes, scenes.street(scenes.WALL), tracker=tracker, stamp=1.25)
    scan = dict(made_outputs(processed))["scan"]
    assert processed.ground.source is GroundSource.HELD
    # A wall from side to side, 5 m ahead.
    assert nearest(scan, 0.0) == pytest.approx(5.0, rel=1e-3)
    assert scan.scan_time == pytest.approx(0.25)
    later = frame(
        scenes, scenes.street(scenes.WALL), tracker=tracker, stamp=1.5, obstacles=ObstaclesConfig(ground_max_age=0.1)
    )
    assert not dict(made_outputs(later)) and "scan" in later.left_out


def test_nothing_beyond_the_depth_that_is_valid_is_called_free(scenes: Any) -> None:
    scan = dict(made_outputs(frame(scenes, scenes.street(), ("scan",), max_depth=12.0)))["scan"]
    assert scan.range_max == 12.0


def test_a_scan_that_would_end_before_depth_begins_is_left_out(scenes: Any) -> None:
    short = {"min_depth": 2.0, "obstacles": ObstaclesConfig(max_range=1.5)}
    processed = frame(scenes, scenes.street(scenes.CAR), **short)
    assert list(dict(made_outputs(processed))) == ["obstacles"]
    assert processed.left_out["scan"] == "its range ends at 1.5 m, and min_depth is 2 m"


def test_a_frame_of_the_robot_needs_its_transform(scenes: Any) -> None:
    settings = {"scan": ScanConfig(frame_id="base_link")}
    processed = frame(scenes, scenes.street(scenes.CAR), **settings)
    assert list(dict(made_outputs(processed))) == ["obstacles"]
    assert processed.left_out["scan"] == "scan.frame_id 'base_link': its transform is not known"
    unknown = frame(scenes, scenes.street(scenes.CAR), pose="no transform yet", **settings)
    assert list(dict(made_outputs(unknown))) == ["obstacles"]
    assert unknown.left_out["scan"] == "scan.frame_id 'base_link': no transform yet"
    # The camera looks along base_link's x, 2 m ahead of it.
    pose = np.array([[0, 0, 1, 2.0], [-1, 0, 0, 0], [0, -1, 0, 1.65], [0, 0, 0, 1]])
    scan = dict(made_outputs(frame(scenes, scenes.street(scenes.CAR), pose=pose, **settings)))["scan"]
    assert scan.frame_id == "base_link"
    bearing = -math.atan2(2.4, 10)
    assert nearest(scan, bearing) == pytest.approx(math.hypot(2.4, 10), rel=0.01)


def test_a_transform_says_where_up_is(scenes: Any) -> None:
    """A camera that looks 25 degrees down: without knowing that, it finds no ground."""
    depth = scenes.street(height=0.5, pitch_deg=25)
    settings = {"scan": ScanConfig(frame_id="base_link")}
    assert not dict(made_outputs(frame(scenes, depth)))
    sine, cosine = math.sin(math.radians(25)), math.cos(math.radians(25))
    pose = np.array([[0, -sine, cosine, 0], [-1, 0, 0, 0], [0, -cosine, -sine, 0.5], [0, 0, 0, 1]])
    assert list(dict(made_outputs(frame(scenes, depth, pose=pose, **settings)))) == ["obstacles", "scan"]


def test_a_given_mount_takes_the_place_of_ground_that_is_not_seen(scenes: Any) -> None:
    """Nothing but a wall in view: its foot is where the camera's height says."""
    settings = {"scale": ScaleConfig(camera_height=1.65)}
    processed = frame(scenes, scenes.street(scenes.WALL), **settings)
    made = dict(made_outputs(processed))
    assert processed.ground.source is GroundSource.MOUNT
    assert nearest(made["scan"], 0.0) == pytest.approx(5.0, rel=1e-3)
    looks_down = {"scale": ScaleConfig(camera_height=0.5, camera_pitch=math.radians(25))}
    ground = frame(scenes, scenes.street(height=0.5, pitch_deg=25), **looks_down).ground
    assert ground.source is GroundSource.FITTED


def test_floating_edges_are_left_out_as_in_the_cloud(scenes: Any) -> None:
    depth = scenes.street(scenes.CAR)
    sharp = dict(made_outputs(frame(scenes, depth, ("obstacles",))))["obstacles"]
    settings = {"points": dataclasses.replace(WHOLE, max_jump=0.1)}
    inner = dict(made_outputs(frame(scenes, depth, ("obstacles",), **settings)))["obstacles"]
    assert 0.8 * len(sharp) < len(inner) < len(sharp)


def test_uncertain_depth_is_no_obstacle_if_asked_for(scenes: Any) -> None:
    depth = scenes.street(scenes.CAR)
    strict = ObstaclesConfig(max_uncertainty=0.2)
    unsure = dict(
        made_outputs(frame(scenes, depth, ("obstacles",), deviation=np.full_like(depth, 0.5), obstacles=strict))
    )
    assert unsure["obstacles"].shape == (0, 3)
    unknown = dict(made_outputs(frame(scenes, depth, ("obstacles",), obstacles=strict)))
    assert len(unknown["obstacles"])


def test_uncertain_depth_is_not_free_either(scenes: Any) -> None:
    """The model is unsure of a wall 5 m ahead: the floor in front of it says nothing about what is behind."""
    depth = scenes.street(scenes.WALL)
    deviation = np.where(np.abs(depth - 5) < 1e-3, 0.3, 0.05).astype(np.float32)
    settings = {"obstacles": ObstaclesConfig(max_uncertainty=0.2), "scale": ScaleConfig(camera_height=1.65)}
    scan = dict(made_outputs(frame(scenes, depth, ("scan",), deviation=deviation, **settings)))["scan"]
    assert np.isnan(scan.ranges).all()


@pytest.mark.parametrize(("sigma", "seen"), [(0.05, True), (0.25, False)])
def test_a_thin_post_is_judged_by_its_own_uncertainty(scenes: Any, sigma: float, seen: bool) -> None:
    """Two columns wide at 4 m, in front of less certain depth, on a grid of every fourth pixel."""
    depth, deviation = scenes.street(), np.full((scenes.CAMERA.height, scenes.CAMERA.width), 0.1, np.float32)
    post = np.zeros(depth.shape, bool)
    post[70:, 310:312] = True
    post &= ~(depth < 4.0)
    depth[post], deviation[post] = 4.0, sigma
    made = dict(
        made_outputs(
            frame(
                scenes,
                depth,
                deviation=deviation,
                detail=PixelGrid(4, 4),
                obstacles=ObstaclesConfig(max_uncertainty=0.2),
            )
        )
    )
    assert (np.abs(made["obstacles"][:, 2] - 4) < 0.01).any() == seen
    ahead = nearest(made["scan"], 0.0)
    assert ahead == pytest.approx(4.0, rel=0.01) if seen else math.isnan(ahead)


def test_a_share_below_zero_is_no_uncertainty(scenes: Any) -> None:
    processed = frame(scenes, scenes.street(), deviation=np.full((4, 4), -0.2, np.float32))
    assert processed.uncertainty is not None and np.isnan(processed.uncertainty).all()
    assert np.isnan(processed.without_uncertain(processed.depth, 0.5)).all()


def test_what_lies_beyond_the_valid_depth_is_far_and_not_unknown(scenes: Any) -> None:
    """An open street, and a wall beyond ``max_depth``: both are free up to it."""
    for depth in (scenes.street(), scenes.street(scenes.Box((-50, 50), (14, 15), (-1, 9)))):
        scan = dict(made_outputs(frame(scenes, depth, ("scan",), max_depth=12.0)))["scan"]
        assert np.isinf(scan.ranges).all()


def test_a_border_that_the_camera_does_not_see_leaves_the_rest_free(scenes: Any) -> None:
    """A lens whose rectified image is black at the lower corners and at the sides."""
    camera = scenes.CAMERA
    raw = [camera.fx, 0, camera.cx - 40, 0, camera.fy, camera.cy + 40, 0, 0, 1]
    rectified = [camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
    rectifier = Rectifier(raw, [1e-9, 0, 0, 0], np.eye(3), rectified, "plumb_bob", (camera.width, camera.height))
    view = RectifiedView(camera, rectifier)
    scan = dict(made_outputs(frame(scenes, scenes.street(), ("scan",), view=view)))["scan"]
    bearings = scan.angle_min + scan.angle_increment * np.arange(len(scan.ranges))
    left = math.atan2(camera.cx - 40, camera.fx)
    np.testing.assert_array_equal(np.isinf(scan.ranges), bearings < left + scan.angle_increment / 2)
    np.testing.assert_array_equal(np.isnan(scan.ranges), bearings >= left + scan.angle_increment / 2)


def test_a_stride_beyond_the_image_is_no_fault_of_the_image(scenes: Any) -> None:
    depth = scenes.street(scenes.CAR)[::8, ::8]
    camera = scenes.CAMERA.resized(depth.shape[1], depth.shape[0])
    request = DepthRequest(
        np.zeros((*depth.shape, 3), np.uint8),
        RectifiedView(camera),
        dataclasses.replace(NodeConfig(), points=PointsConfig(stride=64, color=False)),
        ("obstacles",),
    )
    processed = DepthFrame(request, request.rgb, depth, 1.0, Projector, FocalScaling())
    assert processed.obstacle_grid == PixelGrid(24, 24)
    assert list(dict(made_outputs(processed))) == ["obstacles"]


def test_a_known_height_does_not_take_the_transforms_up_away(scenes: Any) -> None:
    """A camera that looks 25 degrees down; only TF knows it."""
    depth = scenes.street(height=0.5, pitch_deg=25)
    sine, cosine = math.sin(math.radians(25)), math.cos(math.radians(25))
    pose = np.array([[0, -sine, cosine, 0], [-1, 0, 0, 0], [0, -cosine, -sine, 0.5], [0, 0, 0, 1]])
    scan = ScanConfig(frame_id="base_link")
    processed = frame(scenes, depth, pose=pose, scan=scan, scale=ScaleConfig(camera_height=0.5))
    made = dict(made_outputs(processed))
    assert processed.ground.source is GroundSource.FITTED and not len(made["obstacles"])
    assert not [key for key, _ in obstacle_notes(processed) if key == "mount"]
    other = frame(scenes, depth, pose=pose, scan=scan, scale=ScaleConfig(camera_height=0.5, camera_pitch=0.3))
    assert [text for key, text in obstacle_notes(other) if key == "mount"] == [
        "scale.camera_pitch and scale.camera_roll differ by 8 degrees from TF's 'base_link'; the parameters are used"
    ]


def test_settings_that_obstacles_cannot_follow_are_named(scenes: Any) -> None:
    assert not list(obstacle_notes(frame(scenes, scenes.street())))
    strict = frame(scenes, scenes.street(), max_depth=12.0, obstacles=ObstaclesConfig(max_uncertainty=0.2))
    assert [text for _, text in obstacle_notes(strict)] == [
        "obstacles.max_uncertainty is ignored: the model gives no uncertainty",
        "obstacles.max_range 30 m is cut to max_depth, 12 m",
    ]
    down = {"scale": ScaleConfig(camera_pitch=math.radians(30))}
    looks_down = frame(scenes, scenes.street(height=0.5, pitch_deg=30), **down)
    assert [text for _, text in obstacle_notes(looks_down)] == [
        "the view ends 1.7 m ahead, so depth/scan never calls a direction free: set obstacles.max_range below that"
    ]


def test_another_factor_on_depth_makes_no_obstacles_of_the_floor(scenes: Any) -> None:
    """The parameter changes from 1.0 to 0.7 between two images of the same empty street."""
    tracker, raw = GroundTracker(), scenes.street()
    for stamp, factor in ((1.0, 1.0), (1.1, 0.7), (1.2, 0.7)):
        processed = frame(scenes, raw * np.float32(factor), ("obstacles",), tracker, stamp, factor=factor)
        assert not len(dict(made_outputs(processed))["obstacles"])
        assert processed.ground.source is GroundSource.FITTED


def test_the_ground_is_found_once_for_both(scenes: Any) -> None:
    processed = frame(scenes, scenes.street(scenes.CAR))
    assert processed.obstacles is processed.obstacles and processed.ground is processed.ground
    assert use_ground(["scan"]) and use_ground(["depth", "obstacles"]) and use_ground(["markers"])
    assert not use_ground(["depth", "points", "camera_info"])
