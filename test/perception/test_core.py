"""The core without ROS: every output, every parameter, every fault, with a real model or one whose depth is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from space_clip_ros.config import ColorConfig, NodeConfig, PointsConfig
from space_clip_ros.errors import BackendError, InputError
from space_clip_ros.geometry.calibration import CameraCalibration
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import without_discontinuities
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.pixel_grid import PixelGrid
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.backend import Prediction
from space_clip_ros.perception.calibration import RectifiedView
from space_clip_ros.perception.core import DepthCore, made_outputs
from space_clip_ros.perception.frame import DepthFrame, DepthRequest, ScaleRequest
from space_clip_ros.perception.outputs import OUTPUTS, Available, makeable, need_camera, without_uncertainty
from space_clip_ros.perception.scale import FrameEvidence

WIDTH, HEIGHT = 8, 6
CAMERA = PinholeCamera(WIDTH, HEIGHT, 4.0, 5.0, 3.5, 2.5)
KNOWN = RectifiedView(CAMERA)
# From the top row on 0.05 (too near), 2, 4, 8, 16 and 100 m (too far), and wider steps to the right.
METRES = np.repeat(np.array([0.05, 2.0, 4.0, 8.0, 16.0, 100.0], np.float32)[:, None], WIDTH, axis=1)
DEPTH = np.where((METRES < 0.1) | (METRES > 80.0), np.float32(np.nan), METRES)


class RecordedModel:
    """A real predictor whose depth is replaced by known metres, so that outputs can be worked out by hand."""

    def __init__(self, file: str = "road_tiny") -> None:
        self._predictor = load_predictor(file, threads=1)
        self.info = self._predictor.info
        self.runs: list[int] = []
        self.language: list[bool] = []
        self.fault: Exception | None = None

    def run_batch(self, images: Sequence[np.ndarray], language: bool = True) -> list[Prediction]:
        if self.fault is not None:
            raise self.fault
        self.runs.append(len(images))
        self.language.append(language)
        stages = self._predictor.run_batch(images)[0].stages_ms
        metres = np.repeat(METRES[:, :1], images[0].shape[1], axis=1)[: images[0].shape[0]]
        return [Prediction(metres.copy(), dict(stages)) for _ in images]


@pytest.fixture(scope="module")
def loaded() -> RecordedModel:
    return RecordedModel()


@pytest.fixture
def model(loaded: RecordedModel) -> RecordedModel:
    loaded.runs.clear()
    loaded.fault = None
    return loaded


@pytest.fixture
def frame(model: RecordedModel) -> Callable[..., DepthFrame]:
    core = DepthCore(model)

    def run(view: RectifiedView = KNOWN, **settings: Any) -> DepthFrame:
        (result,) = core.run([request(view, **settings)])
        assert isinstance(result, DepthFrame)
        return result

    return run


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)


def request(view: RectifiedView = KNOWN, rgb: np.ndarray | None = None, **settings: Any) -> DepthRequest:
    # The recorded metres are those of a camera of six pixels; scaling for it has tests of its own.
    config = dataclasses.replace(NodeConfig(focal_scaling="never"), **settings)
    return DepthRequest(
        picture() if rgb is None else rgb, view, config, makeable(OUTPUTS, Available(view.camera is not None))
    )


def outputs(frame: DepthFrame) -> dict[str, np.ndarray]:
    return dict(made_outputs(frame))


def test_every_output_of_a_known_camera(frame):
    processed = frame(points=PointsConfig(stride=1, max_range=0.0))
    made = outputs(processed)
    assert list(made) == ["depth", "points", "color"]
    assert list(processed.left_out) == ["obstacles", "scan"], "this picture shows no ground"
    np.testing.assert_array_equal(made["depth"], DEPTH)
    np.testing.assert_array_equal(made["points"][..., 2], DEPTH)
    # x = (u - cx) / fx * z and y = (v - cy) / fy * z
    assert made["points"][3, 6, 0] == pytest.approx((6 - 3.5) / 4.0 * 8.0)
    assert made["points"][3, 6, 1] == pytest.approx((3 - 2.5) / 5.0 * 8.0)
    red, green, blue = processed.rgb[3, 6].astype(int)
    assert np.ascontiguousarray(made["points"][..., 3]).view(np.uint32)[3, 6] == red << 16 | green << 8 | blue
    np.testing.assert_array_equal(made["color"], colorize(DEPTH, "turbo", 0.1, 80.0))
    assert list(processed.request.watch.stages_ms)[:1] == ["engine"]
    assert "range" in processed.request.watch.stages_ms


def test_a_real_models_depth_comes_through_unchanged():
    rgb = picture(48, 160)
    with load_predictor("road_tiny", threads=1) as predictor:
        (processed,) = DepthCore(predictor).run([request(RectifiedView(), rgb, min_depth=0.0, max_depth=10_000.0)])
        expected = predictor(rgb)
    np.testing.assert_array_equal(processed.depth, np.where(expected > 0, expected, np.nan))


def test_without_a_camera_there_is_depth_and_no_cloud(frame):
    assert list(outputs(frame(RectifiedView(problem="no camera_info")))) == ["depth", "color"]


def test_only_what_is_wanted_is_made(model):
    wanted = DepthRequest(picture(), KNOWN, NodeConfig(), ("color",))
    (result,) = DepthCore(model).run([wanted])
    assert list(outputs(result)) == ["color"]


def test_the_range(frame):
    made = outputs(frame(min_depth=3.0, max_depth=9.0))
    np.testing.assert_array_equal(np.isfinite(made["depth"][:, 0]), [False, False, True, True, False, False])


def test_millimetres(frame):
    made = outputs(frame(depth_encoding="16UC1"))
    assert made["depth"].dtype == np.uint16
    assert made["depth"][:, 0].tolist() == [0, 2000, 4000, 8000, 16000, 0]


def test_depth_scale(frame):
    processed = frame(depth_scale=0.5)
    assert processed.scale == 0.5
    np.testing.assert_array_equal(processed.depth[1:, 0], [1.0, 2.0, 4.0, 8.0, 50.0])


def test_focal_scaling(frame, model):
    width, height, fx, fy = model.info.training_camera
    factor = ((4.0 / WIDTH) * (5.0 / HEIGHT) / ((fx / width) * (fy / height))) ** 0.5
    for mode in ("auto", "always"):
        processed = frame(focal_scaling=mode, depth_scale=2.0)
        assert processed.scale == pytest.approx(2.0 * factor)
        np.testing.assert_allclose(processed.depth[2, 0], 4.0 * 2.0 * factor, rtol=1e-6)
        assert (processed.focal.factor, processed.focal.problem) == (pytest.approx(factor), "")
    assert frame(focal_scaling="never", depth_scale=2.0).scale == 2.0


def test_focal_scaling_without_intrinsics_says_so(frame, model, monkeypatch):
    unknown = frame(RectifiedView(), focal_scaling="auto")
    assert (unknown.scale, unknown.focal.problem) == (1.0, "")
    assert unknown.focal.text.endswith("this camera's intrinsics are not known")
    assert frame(RectifiedView(), focal_scaling="always").focal.problem.startswith("focal_scaling is always, but")
    monkeypatch.setattr(model, "info", dataclasses.replace(model.info, training_camera=None))
    processed = frame(focal_scaling="always")
    assert processed.scale == 1.0
    assert processed.focal.problem.endswith("the model does not say which camera it was trained with")


@pytest.mark.parametrize("resolution", ["half", "network"])
def test_fewer_pixels_are_the_same_pixels(frame, model, monkeypatch, resolution):
    monkeypatch.setattr(model, "info", dataclasses.replace(model.info, depth_grid=(3, 2)))
    points = PointsConfig(stride=1, max_range=0.0)
    grid = {"half": PixelGrid(2, 2), "network": PixelGrid(2, 4)}[resolution]
    whole, processed = frame(points=points), frame(points=points, depth_resolution=resolution)
    made, expected = outputs(processed), outputs(whole)
    assert made.keys() == expected.keys()
    assert processed.camera == grid.camera(CAMERA)
    assert (processed.camera.height, processed.camera.width) == made["depth"].shape
    for name, array in made.items():
        np.testing.assert_allclose(array, grid.of(expected[name]), rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(processed.rgb, grid.of(whole.rgb))


def test_fewer_pixels_of_rectified_images(frame):
    calibration = CameraCalibration(
        WIDTH,
        HEIGHT,
        (4.0, 0.0, 3.5, 0.0, 5.0, 2.5, 0.0, 0.0, 1.0),
        (-0.1, 0.0, 0.0, 0.0, 0.0),
        (0.0,) * 9,
        (1.0, 0.0, 3.5, 0.0, 0.0, 1.0, 2.5, 0.0, 0.0, 0.0, 1.0, 0.0),
        "plumb_bob",
    )
    rectifier = calibration.rectifier(WIDTH, HEIGHT)
    view = RectifiedView(rectifier.camera, rectifier)
    whole, half = frame(view), frame(view, depth_resolution="half")
    np.testing.assert_array_equal(half.depth, whole.depth[::2, ::2])
    assert np.isnan(half.depth).any()


def test_the_camera_is_known_before_there_is_depth(model):
    core = DepthCore(model)
    settings = dataclasses.replace(NodeConfig(), depth_resolution="half")
    assert core.camera(KNOWN, settings) == PixelGrid(2, 2).camera(CAMERA)
    assert core.camera(RectifiedView(), settings) is None


def test_cloud_stride_and_plain_points(frame):
    cloud = outputs(frame(points=PointsConfig(stride=3, color=False, max_range=0.0)))["points"]
    assert cloud.shape == (2, 3, 3)
    np.testing.assert_array_equal(cloud[..., 2], DEPTH[::3, ::3])


def test_cloud_range_and_clearing(frame):
    near = outputs(frame(points=PointsConfig(stride=1, max_range=5.0)))["points"][..., 2]
    np.testing.assert_array_equal(near[:, 0], [np.nan, 2.0, 4.0, np.nan, np.nan, np.nan])
    # Beyond the range is free space for a costmap, also where depth itself is cut off.
    cleared = outputs(frame(points=PointsConfig(stride=1, max_range=5.0, clearing=True)))["points"][..., 2]
    np.testing.assert_array_equal(cleared[:, 0], [np.nan, 2.0, 4.0, 5.0, 5.0, 5.0])
    # Depth that is not valid marks nothing.
    cut = outputs(frame(points=PointsConfig(stride=1, max_range=5.0, clearing=True), max_depth=3.0))["points"][..., 2]
    np.testing.assert_array_equal(cut[:, 0], [np.nan, 2.0, 3.0, 3.0, 3.0, 3.0])


def test_cloud_heights(frame):
    points = PointsConfig(stride=1, max_range=0.0, min_height=-2.0, max_height=0.5)
    y = outputs(frame(points=points))["points"][..., 1]
    kept = y[np.isfinite(y)]
    assert kept.size
    assert kept.max() <= 2.0
    assert kept.min() >= -0.5


def test_cloud_without_discontinuities(frame):
    cloud = outputs(frame(points=PointsConfig(stride=1, max_range=0.0, max_jump=0.4)))["points"]
    np.testing.assert_array_equal(cloud[..., 2], without_discontinuities(DEPTH, 0.4))


def test_a_dense_cloud_has_only_valid_points(frame):
    cloud = outputs(frame(points=PointsConfig(stride=1, max_range=0.0, dense=True)))["points"]
    assert cloud.shape == (int(np.isfinite(DEPTH).sum()), 4)
    assert np.isfinite(cloud[:, :3]).all()


def test_another_colour_map(frame):
    made = outputs(frame(color=ColorConfig(colormap="viridis"), max_depth=20.0))
    np.testing.assert_array_equal(made["color"], colorize(made["depth"], "viridis", 0.1, 20.0))


def test_images_are_rectified_and_depth_outside_the_lens_is_invalid(frame):
    # A rectified camera that sees far wider than the lens: its corners show nothing.
    calibration = CameraCalibration(
        width=WIDTH,
        height=HEIGHT,
        K=(4.0, 0.0, 3.5, 0.0, 5.0, 2.5, 0.0, 0.0, 1.0),
        D=(-0.1, 0.0, 0.0, 0.0, 0.0),
        R=(0.0,) * 9,
        P=(1.0, 0.0, 3.5, 0.0, 0.0, 1.0, 2.5, 0.0, 0.0, 0.0, 1.0, 0.0),
        distortion_model="plumb_bob",
    )
    rectifier = calibration.rectifier(WIDTH, HEIGHT)
    processed = frame(RectifiedView(rectifier.camera, rectifier))
    np.testing.assert_array_equal(processed.rgb, rectifier(picture()))
    assert np.isnan(processed.depth[rectifier.outside]).all()
    assert np.isfinite(processed.depth[2, 3])
    assert next(iter(processed.request.watch.stages_ms)) == "rectify"


def test_outputs_are_written_where_the_caller_wants_them(model):
    memory: dict[str, np.ndarray] = {}

    def allocate(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return memory.setdefault(name, np.empty(shape, dtype))

    wanted = dataclasses.replace(request(), allocate=allocate)
    (processed,) = DepthCore(model).run([wanted])
    made = outputs(processed)
    assert set(memory) == {"depth", "points"}
    for name, array in memory.items():
        assert made[name] is array


def test_images_of_one_size_run_together_and_answers_keep_their_order(model):
    pictures = [picture(), picture(5, 7), picture(), picture(5, 7), picture(4, 4)]
    results = DepthCore(model).run([request(RectifiedView(), rgb) for rgb in pictures])
    assert model.runs == [2, 2, 1]
    assert [result.depth.shape for result in results] == [rgb.shape[:2] for rgb in pictures]
    assert DepthCore(model).run([]) == []


def test_a_failing_model_fails_every_image_of_its_run(model):
    model.fault = RuntimeError("out of memory")
    results = DepthCore(model).run([request(), request()])
    assert results == [model.fault, model.fault]


def test_a_frame_that_fails_costs_only_itself(model):
    bad = dataclasses.replace(request(), scale=ScaleRequest(None, FrameEvidence(0.0, 0.1)))
    failed, good = DepthCore(model).run([bad, request()])
    assert isinstance(failed, AttributeError)
    assert isinstance(good, DepthFrame)


@pytest.mark.parametrize(
    "rgb", [np.zeros((6, 8), np.uint8), np.zeros((6, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)]
)
def test_an_image_that_is_none_costs_only_itself(rgb):
    with load_predictor("road_tiny", threads=1) as predictor:
        bad, good = DepthCore(predictor).run([request(RectifiedView(), rgb), request(RectifiedView(), picture(9, 9))])
    assert isinstance(bad, InputError)
    assert isinstance(good, DepthFrame)


def test_a_closed_model_is_a_backend_error():
    predictor = load_predictor("road_tiny", threads=1)
    predictor.close()
    (result,) = DepthCore(predictor).run([request()])
    assert isinstance(result, BackendError)


def test_an_image_of_another_size_than_its_calibration_is_refused(model):
    rectifier = CameraCalibration(
        16, 6, (4.0, 0, 7.5, 0, 5.0, 2.5, 0, 0, 1), (0.1, 0, 0, 0), (0.0,) * 9, (0.0,) * 12, "plumb_bob"
    ).rectifier(16, 6)
    (result,) = DepthCore(model).run([request(RectifiedView(rectifier.camera, rectifier))])
    assert isinstance(result, InputError)


def test_names_that_need_a_camera():
    assert need_camera(["camera_info"])
    assert need_camera(["depth", "points"])
    assert not need_camera(["depth", "color"])
    assert makeable(["color", "camera_info", "points", "depth"], Available(camera=True)) == ("depth", "points", "color")
    assert makeable(["color", "points"], Available(camera=False)) == ("color",)


def test_language_is_asked_of_the_model_only_for_outputs_of_language(model):
    core = DepthCore(model)
    plain = request()
    for outputs in (("depth", "points"), ("depth", "labels")):
        core.run([dataclasses.replace(plain, outputs=outputs)])
    assert model.language[-2:] == [False, True]


class UncertainModel(RecordedModel):
    """Its depth is off by a tenth on the left half, and by three tenths on the right."""

    def __init__(self) -> None:
        super().__init__()
        self.info = dataclasses.replace(self.info, uncertainty=True)

    def run_batch(self, images: Sequence[np.ndarray], language: bool = True) -> list[Prediction]:
        share = np.where(np.arange(WIDTH) < WIDTH // 2, np.float32(0.1), np.float32(0.3))[None]
        return [prediction._replace(relative_deviation=share) for prediction in super().run_batch(images, language)]


@pytest.fixture(scope="module")
def uncertain() -> UncertainModel:
    return UncertainModel()


def test_uncertainty_is_scaled_like_depth_and_invalid_where_depth_is(uncertain):
    core = DepthCore(uncertain)
    assert core.info.uncertainty
    wanted = dataclasses.replace(request(depth_scale=2.0), outputs=makeable(OUTPUTS, Available(True, uncertainty=True)))
    (processed,) = core.run([wanted])
    made = outputs(processed)
    assert list(made) == ["depth", "points", "color", "uncertainty"]
    scaled = np.where((METRES * 2 < 0.1) | (METRES * 2 > 80.0), np.float32(np.nan), METRES * 2)
    np.testing.assert_array_equal(made["depth"], scaled)
    np.testing.assert_allclose(made["uncertainty"][:, :4], 0.1 * scaled[:, :4], rtol=1e-6)
    np.testing.assert_allclose(made["uncertainty"][:, 4:], 0.3 * scaled[:, 4:], rtol=1e-6)


def test_points_are_thinned_by_uncertainty(uncertain):
    (processed,) = DepthCore(uncertain).run(
        [request(points=PointsConfig(stride=1, max_range=0.0, max_uncertainty=0.2))]
    )
    made = outputs(processed)
    np.testing.assert_array_equal(made["points"][:, :4, 2], DEPTH[:, :4])
    assert np.isnan(made["points"][:, 4:, 2]).all()
    np.testing.assert_array_equal(made["depth"], DEPTH)


def test_obstacles_are_looked_for_where_the_network_has_estimated_depth(model: RecordedModel) -> None:
    """``road_tiny`` estimates 320 columns, so 4 of 1280 share one; rows are fewer than its own."""
    view, rgb = RectifiedView(PinholeCamera(1280, HEIGHT, 640.0, 640.0, 639.5, 2.5)), picture(HEIGHT, 1280)
    core = DepthCore(model)
    (processed,) = core.run([request(view, rgb)])
    assert isinstance(processed, DepthFrame) and processed.obstacle_grid == PixelGrid(2, 4), (
        "every second row, as in the cloud"
    )
    (few,) = core.run([request(view, rgb, depth_resolution="network", points=PointsConfig(stride=1))])
    assert isinstance(few, DepthFrame) and few.obstacle_grid == PixelGrid(1, 1)


def test_half_of_the_pixels_have_half_of_the_uncertainty(uncertain):
    (processed,) = DepthCore(uncertain).run([request(depth_resolution="half")])
    assert processed.uncertainty.shape == processed.depth.shape == (HEIGHT // 2, WIDTH // 2)


def test_a_model_without_uncertainty_leaves_points_alone_and_says_so(frame, tiny_model_file):
    processed = frame(points=PointsConfig(stride=1, max_range=0.0, max_uncertainty=0.2))
    np.testing.assert_array_equal(outputs(processed)["points"][..., 2], DEPTH)
    assert processed.uncertainty is None
    settings, info = processed.settings, load_predictor(tiny_model_file, threads=1).info
    message = without_uncertainty(("depth", "uncertainty", "points"), settings, info)
    assert message == "model tiny_random gives no uncertainty: depth/uncertainty and points.max_uncertainty left out"
    assert without_uncertainty(("depth",), settings, info) == ""
    assert without_uncertainty(OUTPUTS, settings, dataclasses.replace(info, uncertainty=True)) == ""
