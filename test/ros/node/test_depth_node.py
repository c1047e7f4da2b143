"""The node over real DDS: what comes out, when nothing does, and what no message may do to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.inference import load_predictor
from space_clip_ros.messages import (
    calibration_from_info,
    camera_info_from_camera,
    depth_from_image,
    image_from_array,
    image_to_rgb,
    points_from_cloud,
)
from space_clip_ros.ros.node.camera import Camera
from space_clip_ros.ros.node.depth_node import DepthNode
from space_clip_ros.ros.node.statistics import Statistics

WIDTH, HEIGHT = 64, 48
CAMERA = PinholeCamera(WIDTH, HEIGHT, 50.0, 50.0, 31.5, 23.5)
OUTPUTS = {"depth/image": Image, "depth/camera_info": CameraInfo, "depth/points": PointCloud2, "depth/color": Image}


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


class Bench:
    """A depth node and a robot around it, spinning in a thread of their own."""

    def __init__(self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.until = until
        self.node = node
        self.robot = spinning(Node("robot"))
        self.received: dict[str, list[Any]] = {topic: [] for topic in (*OUTPUTS, "/diagnostics")}
        self.images = self.robot.create_publisher(Image, "image", 10)
        self.compressed = self.robot.create_publisher(CompressedImage, "image/compressed", 10)
        self.infos = self.robot.create_publisher(CameraInfo, "camera_info", 10)
        self.listen("/diagnostics", DiagnosticArray)
        self._stamp = 100

    @property
    def camera(self) -> Camera:
        assert self.node._pipeline is not None
        return self.node._pipeline.cameras[0]

    @property
    def numbers(self) -> Statistics:
        return self.node._statistics[""]

    def listen(self, topic: str, kind: type) -> Any:
        return self.robot.create_subscription(kind, topic, self.received[topic].append, 50)

    def subscribe(self, *topics: str) -> None:
        for topic in topics:
            self.listen(topic, OUTPUTS[topic])
        self.until(lambda: self.node.count_subscribers(topics[-1]) > 0, "the node to see its subscribers")
        self.until(
            lambda: self.node._pipeline and self.camera.publishers.subscribers() >= len(topics), "matched outputs"
        )

    def ready(self) -> None:
        self.until(lambda: self.node._state == "active", "the node to be active")
        self.until(lambda: self.images.get_subscription_count() + self.compressed.get_subscription_count(), "matching")
        self.until(self.infos.get_subscription_count, "camera_info to be matched")

    def header(self, frame_id: str = "camera") -> Header:
        self._stamp += 1
        return Header(stamp=Time(sec=self._stamp, nanosec=123), frame_id=frame_id)

    def calibrate(self, info: CameraInfo | None = None) -> None:
        info = info or camera_info_from_camera(CAMERA, self.header())
        self.infos.publish(info)
        # Compared as text, because NaN never equals itself.
        sent, known = repr(calibration_from_info(info)), self.camera.calibrations._calibrations
        self.until(lambda: repr(known.get(info.header.frame_id)) == sent, "camera_info to arrive")

    def send(self, message: Image | None = None) -> Image:
        """Publish one image and wait until the worker is done with it."""
        message = message or image_from_array(picture(), "rgb8", self.header())
        before = self.handled()
        self.images.publish(message)
        self.until(lambda: self.handled() > before, "the image to be handled")
        return message

    def handled(self) -> int:
        snapshot = self.numbers.snapshot()
        return snapshot.published + sum(snapshot.dropped.values())

    def answer(self, topic: str, message: Any) -> Any:
        def matching() -> list[Any]:
            return [item for item in self.received[topic] if item.header.stamp == message.header.stamp]

        self.until(matching, f"{topic} for this image")
        return matching()[0]

    def dropped(self) -> dict[str, int]:
        return dict(self.numbers.snapshot().dropped)

    def status(self) -> DiagnosticStatus:
        return self.received["/diagnostics"][-1].status[0]


@pytest.fixture
def bench(
    start_node: Callable[..., DepthNode], spinning: Callable[..., Any], until: Callable[..., None]
) -> Callable[..., Bench]:
    return lambda **parameters: Bench(start_node(state="", **parameters), spinning, until)


@pytest.fixture
def running(bench: Callable[..., Bench]) -> Bench:
    """An active node with all outputs subscribed to and a calibrated camera."""
    active = bench()
    active.ready()
    active.subscribe(*OUTPUTS)
    active.calibrate()
    return active


def test_every_output_carries_the_images_header_and_depth(running, tiny_model_file):
    message = running.send()
    depth_message, info, cloud, color = (running.answer(topic, message) for topic in OUTPUTS)
    for output in (depth_message, info, cloud, color):
        assert output.header == message.header
    expected = load_predictor(tiny_model_file, threads=1)(picture())
    assert depth_message.encoding == "32FC1"
    np.testing.assert_allclose(depth_from_image(depth_message), expected, rtol=1e-5)
    assert info.k.tolist() == CAMERA.K.ravel().tolist()
    points = points_from_cloud(cloud)
    assert points.shape == (HEIGHT // 2, WIDTH // 2)
    np.testing.assert_allclose(points["z"], expected[::2, ::2], rtol=1e-5)
    np.testing.assert_allclose(points["x"][3, 5], (10 - 31.5) / 50 * expected[6, 10], rtol=1e-5)
    red, green, blue = picture()[6, 10].astype(int)
    assert np.ascontiguousarray(points["rgb"]).view(np.uint32)[3, 5] == red << 16 | green << 8 | blue
    assert not cloud.is_dense
    assert color.encoding == "rgb8"
    assert image_to_rgb(color).shape == (HEIGHT, WIDTH, 3)


def test_nothing_is_computed_that_nobody_subscribes_to(bench, until):
    active = bench()
    active.ready()
    active.calibrate()
    runs = counted_runs(active)
    active.images.publish(image_from_array(picture(), "rgb8", active.header()))
    until(lambda: active.numbers.snapshot().received == 1, "the image to arrive")
    until(
        lambda: active.received["/diagnostics"] and "idle: nobody subscribes" in active.status().message,
        "the idle status",
    )
    assert active.status().level == DiagnosticStatus.OK
    active.subscribe("depth/camera_info")
    message = image_from_array(picture(), "rgb8", active.header())
    active.images.publish(message)
    assert active.answer("depth/camera_info", message).width == WIDTH
    assert runs == []
    active.subscribe("depth/color")
    message = active.send()
    active.answer("depth/color", message)
    assert len(runs) == 1
    assert "depth/points" not in active.numbers.snapshot().stages_ms


def counted_runs(active: Bench) -> list[int]:
    predictor, runs = active.node._model._predictor, []
    original = predictor.run_batch
    predictor.run_batch = lambda rgb, language: (runs.append(1), original(rgb, language))[1]
    return runs


def with_fields(message: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def test_twelve_bits_in_sixteen_are_said_to_be_dark(running, capfd):
    deep = np.repeat(picture().max(axis=2)[..., None].astype(np.uint16) << 4, 3, axis=2)
    message = running.send(with_fields(image_from_array(deep, "rgb16", running.header())))
    running.answer("depth/image", message)
    running.until(lambda: "rgb16 is almost black, brightest value" in capfd.readouterr().err, "the log to say it")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"encoding": "h264"}, "unknown encoding 'h264'"),
        ({"step": WIDTH * 3 - 3}, "step is 189 bytes"),
        ({"height": HEIGHT + 1}, "truncated"),
        ({"height": 0, "width": 0}, "empty"),
        ({"height": 2**32 - 1, "width": 2**32 - 1, "step": 2**32 - 1}, "more than the"),
        ({"encoding": "32FC1"}, "holds depth, not colour"),
    ],
)
def test_a_bad_image_is_said_and_the_next_good_one_works(running, fields, text):
    bad = with_fields(image_from_array(picture(), "rgb8", running.header()), **fields)
    running.send(bad)
    assert running.dropped() == {"bad image": 1}
    assert text in running.numbers.snapshot().problem
    message = running.send()
    running.answer("depth/image", message)
    running.until(lambda: text in running.status().message, "diagnostics to say it")
    assert not any(item.header.stamp == bad.header.stamp for item in running.received["depth/image"])


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_with_a_bad_k_depth_goes_on_without_a_cloud(running, value):
    info = camera_info_from_camera(CAMERA, running.header())
    info.k[0] = info.p[0] = value
    running.calibrate(info)
    message = running.send()
    running.answer("depth/image", message)
    running.answer("depth/color", message)
    assert "camera_info" in running.numbers.snapshot().problem
    running.calibrate()
    good = running.send()
    running.answer("depth/points", good)
    assert [cloud.header.stamp for cloud in running.received["depth/points"]] == [good.header.stamp]
    assert [answer.header.stamp for answer in running.received["depth/camera_info"]] == [good.header.stamp]


def test_a_missing_camera_info_is_said_only_to_those_who_need_it(bench):
    active = bench()
    active.ready()
    active.subscribe("depth/image")
    active.answer("depth/image", active.send())
    assert active.numbers.snapshot().problem == ""
    active.subscribe("depth/points")
    active.answer("depth/image", active.send())
    assert active.numbers.snapshot().problem == "no camera_info on /camera_info yet"


def test_camera_info_of_another_frame_or_size_gives_no_cloud(running):
    message = running.send(image_from_array(picture(), "rgb8", running.header("other")))
    running.answer("depth/image", message)
    assert "is for frame 'camera', but images are in frame 'other'" in running.numbers.snapshot().problem
    message = running.send(image_from_array(picture()[:40], "rgb8", running.header()))
    assert running.answer("depth/image", message).height == 40
    assert "64x48" in running.numbers.snapshot().problem
    assert not running.received["depth/points"]


def test_distorted_images_are_rectified(running, tiny_model_file):
    set_all(running, {"focal_scaling": "never"})
    info = camera_info_from_camera(CAMERA, running.header())
    info.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    info.p[0] = info.p[5] = 30.0
    running.calibrate(info)
    message = running.send()
    assert running.answer("depth/camera_info", message).k[0] == 30.0
    depth = depth_from_image(running.answer("depth/image", message))
    # A wider view than the lens had: the corners show nothing, so depth there is invalid.
    assert np.isnan(depth[0, 0])
    assert np.isfinite(depth[HEIGHT // 2, WIDTH // 2])
    running.node.set_parameters([Parameter("rectify", value="never")])
    message = running.send()
    depth = depth_from_image(running.answer("depth/image", message))
    np.testing.assert_allclose(depth, load_predictor(tiny_model_file, threads=1)(picture()), rtol=1e-5)


def test_the_newest_frame_wins_and_older_ones_are_counted(running, until):
    release, entered = threading.Event(), threading.Event()
    predictor = running.node._model._predictor
    original = predictor.run_batch
    seen: list[np.ndarray] = []

    def slow(images: list[np.ndarray], language: bool) -> Any:
        seen.append(images[0].copy())
        entered.set()
        assert release.wait(30)
        return original(images, language)

    predictor.run_batch = slow
    messages = [image_from_array(picture(seed), "rgb8", running.header()) for seed in range(5)]
    running.images.publish(messages[0])
    until(entered.is_set, "the engine to start")
    for count, message in enumerate(messages[1:], start=2):
        running.images.publish(message)
        until(lambda count=count: running.numbers.snapshot().received >= count, "the image to arrive")
    # The executor answered all of them while the engine was busy.
    release.set()
    running.answer("depth/image", messages[4])
    assert running.dropped() == {"replaced by a newer one": 3}
    stamps = [item.header.stamp for item in running.received["depth/image"]]
    assert stamps == [messages[0].header.stamp, messages[4].header.stamp]
    np.testing.assert_array_equal(seen[1], picture(4))


def test_a_model_that_fails_costs_an_image_and_not_the_node(running):
    predictor = running.node._model._predictor
    original = predictor.run_batch
    predictor.run_batch = lambda rgb, language: (_ for _ in ()).throw(RuntimeError("out of\nmemory"))
    running.send()
    assert running.dropped() == {"failed": 1}
    assert running.numbers.snapshot().problem == "RuntimeError: out of memory"
    # camera_info goes out with its depth only.
    assert not running.received["depth/camera_info"]
    predictor.run_batch = original
    running.answer("depth/image", running.send())


def test_images_that_are_too_old_are_dropped(running):
    running.node.set_parameters([Parameter("max_age", value=1.0)])
    running.send()
    assert running.dropped() == {"too old": 1}
    now = running.robot.get_clock().now().to_msg()
    fresh = image_from_array(picture(), "rgb8", Header(stamp=now, frame_id="camera"))
    running.answer("depth/image", running.send(fresh))
    future = image_from_array(picture(), "rgb8", Header(stamp=Time(sec=now.sec + 60), frame_id="camera"))
    running.answer("depth/image", running.send(future))
    assert "in the future" in running.numbers.snapshot().problem


def test_depth_is_scaled_for_the_field_of_view(bench, capfd):
    active = bench(model="road_tiny")
    active.ready()
    active.subscribe("depth/image")
    active.calibrate()
    scaled = depth_from_image(active.answer("depth/image", active.send()))
    active.until(lambda: values(active).get("focal_factor") == "0.8533", "the factor in diagnostics")
    text = "depth x 0.853 for the field of view: this camera sees 65 x 51 degrees, the training camera 81 x 29"
    assert values(active)["focal_scaling"] == text
    assert f"images of 64x48 pixels on /image: {text}" in capfd.readouterr().err
    set_all(active, {"focal_scaling": False})
    plain = depth_from_image(active.answer("depth/image", active.send()))
    # What lies beyond max_depth unscaled may be nearer than it when scaled.
    known = np.isfinite(plain)
    assert known.mean() > 0.3 and np.isfinite(scaled[known]).all()
    np.testing.assert_allclose(scaled[known], plain[known] * 0.85325, rtol=1e-4)
    active.until(lambda: values(active)["focal_factor"] == "1.0000", "no factor in diagnostics")


def test_always_warns_about_a_missing_camera_info(bench, capfd):
    active = bench(model="road_tiny", focal_scaling="always")
    active.ready()
    active.subscribe("depth/image")
    active.answer("depth/image", active.send())
    log = capfd.readouterr().err
    assert "no camera_info on /camera_info yet" in log
    assert "focal_scaling is always, but depth is not scaled" in log


def test_parameters_change_between_frames(running, tiny_model_file):
    raw = load_predictor(tiny_model_file, threads=1)(picture())
    set_all(running, {"depth_scale": 0.5, "points.stride": 4, "points.color": False})
    message = running.send()
    np.testing.assert_allclose(depth_from_image(running.answer("depth/image", message)), raw / 2, rtol=1e-5)
    running.until(lambda: values(running)["depth_factor"] == "0.5000", "the factor in diagnostics")
    cloud = running.answer("depth/points", message)
    assert (cloud.height, cloud.width, cloud.point_step) == (HEIGHT // 4, WIDTH // 4, 12)

    set_all(running, {"depth_encoding": "16UC1", "color.colormap": "viridis"})
    message = running.send()
    millimetres = running.answer("depth/image", message)
    assert millimetres.encoding == "16UC1"
    np.testing.assert_allclose(depth_from_image(millimetres), raw / 2, atol=6e-4)


def test_fewer_pixels_for_every_output(running, tiny_model_file):
    set_all(running, {"depth_resolution": "half", "points.stride": 1})
    message = running.send()
    depth, info, cloud, color = (running.answer(topic, message) for topic in OUTPUTS)
    expected = load_predictor(tiny_model_file, threads=1)(picture())[::2, ::2]
    np.testing.assert_allclose(depth_from_image(depth), expected, rtol=1e-5)
    assert {(answer.width, answer.height) for answer in (depth, info, cloud, color)} == {(WIDTH // 2, HEIGHT // 2)}
    # Pixels 0, 2, 4 and so on: 31.5 lies at 15.75 among them.
    assert info.k.tolist() == [25.0, 0.0, 15.75, 0.0, 25.0, 11.75, 0.0, 0.0, 1.0]
    assert info.p.reshape(3, 4)[:, :3].ravel().tolist() == info.k.tolist()
    points = points_from_cloud(cloud)
    np.testing.assert_allclose(points["x"][6, 10], (20 - 31.5) / 50 * expected[6, 10], rtol=1e-5)

    # The model's grid of 64 x 64 is finer than these images.
    set_all(running, {"depth_resolution": "network"})
    message = running.send()
    assert running.answer("depth/image", message).width == WIDTH


def test_camera_info_alone_is_of_the_pixels_that_depth_would_have(bench):
    active = bench(depth_resolution="half")
    active.ready()
    active.subscribe("depth/camera_info")
    active.calibrate()
    info = active.answer("depth/camera_info", active.send())
    assert (info.width, info.height, info.k[2]) == (WIDTH // 2, HEIGHT // 2, 15.75)


def set_all(active: Bench, values: dict[str, Any]) -> None:
    result = active.node.set_parameters_atomically([Parameter(name, value=value) for name, value in values.items()])
    assert result.successful, result.reason


def values(active: Bench) -> dict[str, str]:
    return {pair.key: pair.value for pair in active.status().values}


def test_compressed_images(bench, tiny_model_file):
    import cv2

    active = bench(image_transport="compressed")
    active.ready()
    active.subscribe("depth/image")
    message = CompressedImage(header=active.header(), format="png")
    message.data.frombytes(cv2.imencode(".png", picture()[..., ::-1])[1].tobytes())
    active.compressed.publish(message)
    depth = depth_from_image(active.answer("depth/image", message))
    np.testing.assert_allclose(depth, load_predictor(tiny_model_file, threads=1)(picture()), rtol=1e-5)
    broken = CompressedImage(header=active.header(), format="png")
    broken.data.frombytes(b"\x89PNG nothing")
    active.compressed.publish(broken)
    active.until(lambda: active.dropped() == {"bad image": 1}, "the broken picture to be refused")


def test_diagnostics_tell_the_numbers(running, tiny_model_file):
    for _ in range(3):
        now = running.robot.get_clock().now().to_msg()
        running.send(image_from_array(picture(), "rgb8", Header(stamp=now, frame_id="camera")))
    running.until(lambda: values(running).get("published") == "3", "the count")
    reported = values(running)
    assert reported["state"] == "active"
    assert (reported["model"], reported["backend"], reported["device"]) == (tiny_model_file.stem, "onnxruntime", "cpu")
    assert reported["received"] == "3"
    assert {"age_ms_p50", "age_ms_p95", "stage_ms: engine", "stage_ms: depth/points"} <= set(reported)
    assert running.status().level == DiagnosticStatus.OK
    assert running.status().name == "depth: depth estimation"


def test_diagnostics_name_what_is_missing(bench, until):
    active = bench()
    active.ready()
    active.robot.destroy_publisher(active.images)
    text = "no image on /image yet: nobody publishes there; remap it"
    until(
        lambda: active.received["/diagnostics"] and text in active.status().message, "the missing publisher to be said"
    )
    active.images = active.robot.create_publisher(Image, "image", 10)
    text = "no image on /image yet, though 1 publishes there: /robot (sensor_msgs/msg/Image, reliable, volatile)"
    until(lambda: text in active.status().message, "the silent publisher to be said")


def test_a_clock_that_jumps_back_starts_the_numbers_anew(bench, until, capfd):
    active = bench(use_sim_time=True)
    active.ready()
    active.subscribe("depth/image")
    clock = active.robot.create_publisher(Clock, "/clock", 10)
    until(clock.get_subscription_count, "the clock to be matched")

    def tick(seconds: int) -> None:
        clock.publish(Clock(clock=Time(sec=seconds)))
        until(lambda: active.node.get_clock().now().nanoseconds == seconds * 10**9, "simulated time")

    tick(200)
    active.send()
    assert active.numbers.snapshot().published == 1
    assert active.numbers.snapshot().age_ms[0] == pytest.approx((200 - 101) * 1e3, abs=1)
    tick(201)
    assert active.numbers.snapshot().published == 1
    tick(100)
    until(lambda: active.numbers.snapshot().published == 0, "the numbers to start anew")
    active.send()
    assert active.numbers.snapshot().published == 1
    assert capfd.readouterr().err.count("the clock jumped back") == 1
