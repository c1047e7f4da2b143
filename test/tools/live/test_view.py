"""The live view over real DDS and real HTTP, in a process of its own as the demo runs it."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("tornado")
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image, LaserScan
from std_msgs.msg import Header
from tornado.websocket import WebSocketClientConnection, websocket_connect

from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages import image_from_array
from space_clip_ros.messages.diagnostics import DepthValues, EvaluationValues, Level, status, status_array
from space_clip_ros.messages.laser_scans import laser_scan_from_scan
from space_clip_ros.tools.executables import LIVE_VIEW
from space_clip_ros.tools.live.address import address, listen
from space_clip_ros.tools.live.options import COMPRESSED, RAW, ViewOptions
from space_clip_ros.tools.live.page import depth_bar
from space_clip_ros.tools.reporting.scan_picture import scan_picture
from space_clip_ros.tools.reporting.uncertainty_picture import colored_uncertainty

PATIENCE_S = 30
HEIGHT, WIDTH = 94, 312
SCAN = PlanarScan(np.full(90, 12.0, np.float32), -0.45, 0.01, 0.1, 30.0, np.eye(4))
COLORS = ((250, 20, 20), (20, 250, 20), (20, 20, 250))


class Robot:
    """Keeps publishing an image, its coloured depth and diagnostics; neighbouring frames differ in colour."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("robot")
        self.image = self.node.create_publisher(Image, "image", QoSProfile(depth=2))
        self.color = self.node.create_publisher(Image, "depth/color", QoSProfile(depth=2))
        self.depth = self.node.create_publisher(Image, "depth/image", QoSProfile(depth=2))
        self.uncertainty = self.node.create_publisher(Image, "depth/uncertainty", QoSProfile(depth=2))
        self.scan = self.node.create_publisher(LaserScan, "depth/scan", QoSProfile(depth=2))
        self.compressed = self.node.create_publisher(CompressedImage, "image/compressed", QoSProfile(depth=2))
        self.diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.with_depth = True
        self.with_uncertainty = False
        self.with_ground = True
        self.with_stamps = True
        self.topic = "/image"
        self.encoding = "rgb8"
        self._frame = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def watched(self) -> bool:
        return self.color.get_subscription_count() > 0

    def close(self) -> None:
        self._over.set()
        # However long it takes: a node that goes while it publishes takes the process with it.
        self._thread.join()
        self.node.destroy_node()

    def _talk(self) -> None:
        while not self._over.wait(0.05):
            self._frame += 1
            pixels = np.full((HEIGHT, WIDTH, 3), COLORS[self._frame % 3], np.uint8)
            header = Header(frame_id="camera")
            if self.with_stamps:
                header.stamp = self.node.get_clock().now().to_msg()
            image = image_from_array(pixels, "rgb8", header)
            image.encoding = self.encoding
            self.image.publish(image)
            _, data = cv2.imencode(".png", pixels[..., ::-1])
            compressed = CompressedImage(header=header, format="png")
            compressed.data.frombytes(data.tobytes())
            self.compressed.publish(compressed)
            if self.with_depth:
                self.color.publish(image_from_array(pixels // 2, "rgb8", header))
                self.depth.publish(image_from_array(np.full((HEIGHT, WIDTH), 10.0, np.float32), "32FC1", header))
                if self.with_uncertainty:
                    sigma = np.full((HEIGHT, WIDTH), 2.0, np.float32)
                    self.uncertainty.publish(image_from_array(sigma, "32FC1", header))
                if self.with_ground:
                    self.scan.publish(laser_scan_from_scan(SCAN, header))
            self.diagnostics.publish(self._report(header))

    def _report(self, header: Header) -> DiagnosticArray:
        node = DepthValues(
            published_hz=19.8,
            stages_ms={"engine": 12.5},
            model="tiny",
            dropped=0,
            uncertainty=self.with_uncertainty,
            scale_mode="auto",
            scale_factor=1.08,
            scale_sigma=0.042,
            image_topic=self.topic,
            min_depth=0.1,
            max_depth=20.0,
            colormap="viridis",
        )
        errors = EvaluationValues(abs_rel=0.111, a1=0.9, frames=7)
        front = DepthValues(image_topic="/front/image", model="front's")
        return status_array(
            header.stamp,
            [
                # Of another camera, and heard first.
                status(f"depth: front {DepthValues.PART}", Level.WARN, "no image on /front/image", front.texts()),
                status(
                    f"front/depth_evaluator: {EvaluationValues.PART}",
                    Level.OK,
                    "abs_rel",
                    EvaluationValues(abs_rel=0.9).texts(),
                ),
                status(f"depth: {DepthValues.PART}", Level.OK, "19.8 Hz, 20 ms", node.texts()),
                status(f"depth_evaluator: {EvaluationValues.PART}", Level.OK, "abs_rel", errors.texts()),
                status("other: something", Level.OK, "else", {"abs_rel": "9"}),
                # From a node of another version: the view must ignore it.
                status(f"rear: {DepthValues.PART}", Level.OK, "rear", {"received": "many"}),
            ],
        )


@pytest.fixture
def robot(ros: int) -> Iterator[Robot]:
    robot = Robot()
    yield robot
    robot.close()


class Program:
    """The view in a process of its own, on a port that this one has reserved."""

    def __init__(self, domain: int, log: Path, transport: str = RAW) -> None:
        with listen(0) as listener:
            self.url = address(listener)
            self.port = listener.getsockname()[1]
            command = [
                sys.executable,
                "-m",
                f"space_clip_ros.{LIVE_VIEW}",
                *ViewOptions(socket=listener.fileno(), image_transport=transport).arguments(),
            ]
            with log.open("wb") as output:
                self.process = subprocess.Popen(
                    command,
                    pass_fds=[listener.fileno()],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
                )

    def page(self, host: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", "/", headers={"Host": host} if host else {})
        answer = connection.getresponse()
        content = answer.status, answer.read().decode()
        connection.close()
        return content

    async def watch(self) -> WebSocketClientConnection:
        return await asyncio.wait_for(websocket_connect(f"ws://127.0.0.1:{self.port}/live"), PATIENCE_S)


Start = Callable[..., Program]


@pytest.fixture
def start(domain: int, tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []

    def make(transport: str = RAW) -> Program:
        programs.append(Program(domain, tmp_path / "view.log", transport))
        return programs[-1]

    yield make
    for program in programs:
        program.process.kill()
        program.process.wait()


async def seen(connection: WebSocketClientConnection) -> tuple[dict[str, Any], Any, Any]:
    """Return the next update: its head, and image and depth as BGR, None where there is none.

    Every picture is also in the head's ``shown``, by its name.
    """
    written = await asyncio.wait_for(connection.read_message(), PATIENCE_S)
    assert isinstance(written, bytes)
    (length,) = struct.unpack("<I", written[:4])
    head = json.loads(written[4 : 4 + length])
    pictures = written[4 + length :]
    sizes = head["pictures"]
    ends = list(itertools.accumulate(sizes.values(), initial=0))
    assert len(pictures) == ends[-1]
    spans = zip(sizes, itertools.pairwise(ends), strict=True)
    head["shown"] = {name: decoded(pictures[start:end]) for name, (start, end) in spans}
    await connection.write_message("next")
    return head, head["shown"]["image"], head["shown"]["depth"]


def decoded(jpeg: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None


async def seen_when(
    connection: WebSocketClientConnection, wanted: Callable[..., bool]
) -> tuple[dict[str, Any], Any, Any]:
    end = time.monotonic() + PATIENCE_S
    while not wanted(*(update := await seen(connection))):
        assert time.monotonic() < end, update[0]
    return update


@pytest.mark.parametrize("transport", [RAW, COMPRESSED])
def test_pictures_and_figures_are_shown_while_somebody_watches(
    robot: Robot, start: Start, until: Callable[..., None], transport: str
) -> None:
    program = start(transport)
    status, text = program.page()
    assert status == 200
    assert "<canvas" in text
    assert program.page(host="attacker.example")[0] == 403
    assert not robot.watched(), "no subscription without an open page"

    async def scene() -> None:
        connection = await program.watch()
        frames = set()
        while len(frames) < 3:
            head, image, depth = await seen_when(
                connection, lambda head, image, depth: image is not None and depth is not None and head["cards"]
            )
            assert image.shape == depth.shape == (HEIGHT, WIDTH, 3)
            np.testing.assert_allclose(image.mean(axis=(0, 1)), depth.mean(axis=(0, 1)) * 2, atol=12)
            frames.add(tuple(image.mean(axis=(0, 1)) > 128))
        cards = {name: value for value, name in head["cards"]}
        assert (head["state"], head["level"]) == ("19.8 Hz, 20 ms", "ok")
        assert cards["ms in the engine"] == "12.5"
        assert (cards["scale while running"], cards["scale while running, one sigma"]) == ("x 1.080", "± 4.2 %")
        assert cards["abs_rel against the truth"] == "0.111"
        assert ["model", "tiny"] in head["facts"]
        assert head["scale"] == depth_bar(0.1, 20.0, "viridis")
        assert robot.watched()
        connection.close()

    asyncio.run(scene())
    until(lambda: not robot.watched(), "the last watcher's end", PATIENCE_S)


def test_panels_come_and_go_with_what_the_node_gives(robot: Robot, start: Start, until: Callable[..., None]) -> None:
    program = start()

    async def scene() -> None:
        connection = await program.watch()
        head, _, _ = await seen_when(connection, lambda head, image, depth: head["shown"]["scan"] is not None)
        assert head["shown"]["uncertainty"] is None
        assert robot.uncertainty.get_subscription_count() == robot.depth.get_subscription_count() == 0
        drawn = scan_picture(SCAN, 640, 360)
        np.testing.assert_allclose(head["shown"]["scan"][..., ::-1].mean(axis=(0, 1)), drawn.mean(axis=(0, 1)), atol=4)
        robot.with_uncertainty = True
        head, _, _ = await seen_when(connection, lambda head, image, depth: head["shown"]["uncertainty"] is not None)
        # 2 m of 10 m.
        expected = colored_uncertainty(np.array([[0.2]], np.float32))[0, 0]
        np.testing.assert_allclose(head["shown"]["uncertainty"][..., ::-1].mean(axis=(0, 1)), expected, atol=4)
        robot.with_ground = False
        await seen_when(connection, lambda head, image, depth: head["shown"]["scan"] is None)
        connection.close()

    asyncio.run(scene())
    for publisher in (robot.scan, robot.uncertainty, robot.depth):
        until(lambda publisher=publisher: publisher.get_subscription_count() == 0, "the last watcher's end", PATIENCE_S)


def test_images_are_shown_where_no_depth_comes_and_broken_ones_are_named(robot: Robot, start: Start) -> None:
    robot.with_depth = False
    robot.topic = "/rear/image"
    program = start()

    async def scene() -> None:
        connection = await program.watch()
        _, image, _ = await seen_when(connection, lambda head, image, depth: image is not None and depth is None)
        assert image.shape == (HEIGHT, WIDTH, 3)
        words = "No depth node takes /image; those heard take /front/image, /rear/image."
        head, _, _ = await seen_when(connection, lambda head, image, depth: head["state"] == words)
        assert (head["level"], head["facts"], head["scale"]) == ("warn", [], "")
        robot.topic = "/image"
        robot.encoding = "rgb99"
        head, _, _ = await seen_when(connection, lambda head, image, depth: "rgb99" in head["state"])
        assert head["level"] == "warn"
        robot.encoding, robot.with_depth = "rgb8", True
        await seen_when(connection, lambda head, image, depth: depth is not None and head["state"] == "19.8 Hz, 20 ms")
        connection.close()

    asyncio.run(scene())


def test_images_without_a_stamp_are_shown(robot: Robot, start: Start) -> None:
    robot.with_stamps = robot.with_ground = False
    program = start()

    async def scene() -> None:
        connection = await program.watch()
        head, _, _ = await seen_when(connection, lambda head, image, depth: image is not None and depth is not None)
        assert head["shown"]["scan"] is None
        connection.close()

    asyncio.run(scene())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_page_is_told(robot: Robot, start: Start, number: signal.Signals) -> None:
    program = start()

    async def scene() -> None:
        connection = await program.watch()
        await seen(connection)
        program.process.send_signal(number)
        while await asyncio.wait_for(connection.read_message(), PATIENCE_S) is not None:
            pass
        assert connection.close_code == 1001

    asyncio.run(scene())
    assert program.process.wait(PATIENCE_S) == 0


def test_by_itself_it_takes_a_port_and_says_where_it_is(domain: int) -> None:
    command = [sys.executable, "-m", f"space_clip_ros.{LIVE_VIEW}", "--port"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "RCUTILS_LOGGING_USE_STDOUT": "1"}
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            match = next(filter(None, (re.search(r"open http://127\.0\.0\.1:(\d+)/", line) for line in process.stdout)))
            taken = subprocess.run(
                [*command, match[1]], capture_output=True, text=True, env=environment, timeout=60, check=False
            )
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert taken.returncode == 1
    assert len(taken.stdout.splitlines()) == 1
    assert f"port {match[1]} of 127.0.0.1: is taken; give another one" in taken.stdout
