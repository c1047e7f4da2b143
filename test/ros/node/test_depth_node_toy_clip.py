"""Words to places over real DDS, as on a robot: the executable, a text tower of its own, and no PyTorch there.

CLIP and depth are the toy pair, which has learnt coloured shapes (``toy_clip.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String
from visualization_msgs.msg import MarkerArray

from space_clip_ros.messages import camera_info_from_camera, image_from_array, stored_pixels
from space_clip_ros.messages.diagnostics import DepthValues, status_texts
from space_clip_ros.messages.semantics import NamedBox, boxes_from_markers
from space_clip_ros.model_config import UNLABELLED

# The shapes' pair may have to be trained first.
pytestmark = pytest.mark.timeout(1200)

FRAME = "camera_optical"
PATCH = 8
STRIDE = 2
"""Default of ``points.stride``: labels are of every second pixel."""
TOLERANCE = 0.25
"""How far a box may be from its shape's middle, as a share of the distance: 1.1 m at 4.5 m, where a patch is 0.6 m."""


class Answer(NamedTuple):
    """What the node published for one image."""

    labels: np.ndarray
    confidence: np.ndarray
    boxes: list[NamedBox]


class Robot:
    """A camera at 10 Hz, somebody who asks, and what the node answers."""

    def __init__(self, node: Node, until: Callable[..., None], toy: Any) -> None:
        self._until, self._toy = until, toy
        self._picture, _ = toy.drawn((), np.random.default_rng(3))
        self._seconds = 10
        self._reports: list[DiagnosticArray] = []
        self._heard: dict[str, dict[int, Any]] = {"labels": {}, "confidence": {}, "markers": {}}
        self._images = node.create_publisher(Image, "image", 1)
        self._infos = node.create_publisher(CameraInfo, "camera_info", 1)
        self._queries = node.create_publisher(String, "semantic/query", 1)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._reports.append, 10)
        for name, kind in (("labels", Image), ("confidence", Image), ("markers", MarkerArray)):
            node.create_subscription(kind, f"semantic/{name}", lambda message, name=name: self._hear(name, message), 10)
        node.create_timer(0.1, self._shoot)

    def ask(self, text: str, looking_for: str | None) -> None:
        """Publish a text; wait until the node says what it looks for, without a complaint."""
        self._until(self._queries.get_subscription_count, "the query subscription")
        self._queries.publish(String(data=text))
        self.looks_for(looking_for)

    def looks_for(self, names: str | None) -> None:
        self._until(lambda: self._reports and self._values().queries == names, f"queries {names}")
        assert self._values().queries_problem is None

    def show(self, shapes: Any) -> Answer:
        """Turn the camera to shapes, and return what comes out for one of its next images."""
        self._picture, _ = self._toy.drawn(shapes, np.random.default_rng(3))
        first = self._seconds + 1
        self._until(lambda: max(self._answered(), default=0) >= first, "labels, confidence and markers of an image")
        second = max(self._answered())
        labels, confidence, markers = (self._heard[name][second] for name in ("labels", "confidence", "markers"))
        assert {message.header.frame_id for message in (labels, confidence, *markers.markers)} == {FRAME}
        return Answer(stored_pixels(labels), stored_pixels(confidence), boxes_from_markers(markers))

    def _values(self) -> DepthValues:
        return DepthValues.read(status_texts(self._reports[-1].status[0]))

    def _shoot(self) -> None:
        self._seconds += 1
        header = Header(frame_id=FRAME, stamp=Time(sec=self._seconds))
        self._infos.publish(camera_info_from_camera(self._toy.CAMERA, header))
        self._images.publish(image_from_array(self._picture, "rgb8", header))

    def _hear(self, name: str, message: Any) -> None:
        header = message.markers[0].header if name == "markers" else message.header
        self._heard[name][header.stamp.sec] = message

    def _answered(self) -> set[int]:
        """Return the seconds for whose image everything has come."""
        return set.intersection(*map(set, self._heard.values()))


@pytest.fixture
def robot(
    start_process: Callable[..., Any],
    spinning: Callable[..., Any],
    until: Callable[..., None],
    toy_clip: Any,
    toy_pair: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Robot]:
    """Return a function that starts the node without PyTorch, with the pair and parameters, and a robot around it."""
    for library in ("torch", "open_clip", "onnx"):
        (tmp_path / f"{library}.py").write_text(f"raise ImportError('{library} is not on this robot')")
    path = filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))

    def start(**semantic: str) -> Robot:
        background = ", ".join((toy_clip.WALL, *toy_clip.SHAPES))
        values = {
            "model": toy_pair / "model.onnx",
            "threads": 1,
            "diagnostics.period": 0.1,
            "semantic.query_file": toy_pair / "text.onnx",
            "semantic.background": f"[{background}]",
            **{f"semantic.{name}": value for name, value in semantic.items()},
        }
        process = start_process(*(word for name, value in values.items() for word in ("-p", f"{name}:={value}")))
        process.wait_for("active, waiting for images on /image")
        return Robot(spinning(Node("robot")), until, toy_clip)

    return start


def check_found(toy: Any, answer: Answer, shape: Any, name: str) -> None:
    """Check that an answer is one shape: its place in space, and its pixels."""
    [box] = answer.boxes
    assert box.text.startswith(f"{name} ") and box.text.endswith(f", {box.center[2]:.1f} m")
    assert np.linalg.norm(np.subtract(box.center, shape[1:])) < TOLERANCE * shape.z, (name, box.center)
    _, depth = toy.drawn([shape], np.random.default_rng(3))
    drawn = (depth < toy.WALL_M).astype(np.uint8)
    around = cv2.dilate(drawn, np.ones((2 * PATCH + 1, 2 * PATCH + 1)))
    labelled = answer.labels == 0
    assert labelled[around[::STRIDE, ::STRIDE] > 0].sum() > 0.9 * labelled.sum()
    assert labelled[drawn[::STRIDE, ::STRIDE] > 0].mean() > 0.5
    check_elsewhere(answer)


def check_elsewhere(answer: Answer) -> None:
    """Check that what has no label has no confidence, and that a label is likelier than not."""
    labelled = answer.labels == 0
    assert set(np.unique(answer.labels)) <= {0, UNLABELLED}
    assert (answer.confidence[labelled] >= 127).all() and not answer.confidence[~labelled].any()


def test_a_word_is_answered_with_its_shape_and_another_with_another(robot: Any, toy_clip: Any) -> None:
    started = robot()
    started.looks_for(None)
    first, _, third, _ = toy_clip.SCENES
    for scene, shape in ((first, first[0]), (first, first[1]), (third, third[0])):
        name = toy_clip.SHAPES[shape.kind]
        started.ask(name, name)
        check_found(toy_clip, started.show(scene), shape, name)
    # The parameters ask for nothing.
    started.ask("", None)


def test_a_word_for_a_shape_that_is_not_there_finds_nothing(robot: Any, toy_clip: Any) -> None:
    scene = toy_clip.SCENES[0]
    # Case and blanks do not count for CLIP, so the background's "red square" does not compete.
    started = robot(queries="[Red  Square]")
    started.looks_for("Red  Square")
    check_found(toy_clip, started.show(scene), scene[0], "Red  Square")
    for kind in (toy_clip.GREEN, toy_clip.YELLOW):
        started.ask(toy_clip.SHAPES[kind], toy_clip.SHAPES[kind])
        answer = started.show(scene)
        assert not answer.boxes and (answer.labels == 0).sum() < (PATCH / STRIDE) ** 2
        check_elsewhere(answer)
    started.ask("", "Red  Square")
    check_found(toy_clip, started.show(scene), scene[0], "Red  Square")
