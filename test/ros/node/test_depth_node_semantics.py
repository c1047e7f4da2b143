"""The outputs of language over real DDS, of scenes whose depth and names the model reads from the picture."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Float32MultiArray, Header
from visualization_msgs.msg import MarkerArray

from space_clip_ros.language.queries import QuerySet
from space_clip_ros.messages import points_from_cloud, stored_pixels
from space_clip_ros.messages.diagnostics import Level

NAMES = ("road", "car", "person", "sky")
ROAD, CAR, PERSON, SKY = range(4)
TOPICS = {
    "semantic/labels": Image,
    "semantic/confidence": Image,
    "semantic/markers": MarkerArray,
    "semantic/tokens": PointCloud2,
    "semantic/embedding": Float32MultiArray,
    "depth/points": PointCloud2,
    "depth/image": Image,
}


def heard(robot: Any, *topics: str) -> None:
    robot.hear({topic: TOPICS[topic] for topic in topics})


def show(robot: Any, scenes: Any, *cars: Any) -> Header:
    """Show a street with cars."""
    depth, empty = scenes.street(*cars, camera=scenes.SMALL), scenes.street(camera=scenes.SMALL)
    labels = np.where(np.isnan(empty), SKY, ROAD)
    labels[np.nan_to_num(depth) != np.nan_to_num(empty)] = CAR
    header: Header = robot.show(scenes.SMALL, depth, labels)
    return header


@pytest.fixture(scope="module")
def models(coded_depth: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    joint = coded_depth.language_config(size=8, tower="ab12", side=512)
    return {
        "closed": coded_depth.write_model(folder / "closed.onnx", coded_depth.language_config(NAMES)),
        "joint": coded_depth.write_model(folder / "joint.onnx", joint),
        "plain": coded_depth.write_model(folder / "plain.onnx"),
    }


@pytest.fixture
def start(start_robot: Callable[..., Any], models: dict[str, Path]) -> Callable[..., Any]:
    def make(model: str = "closed", **parameters: Any) -> Any:
        given = {name.replace("__", "."): value for name, value in parameters.items()}
        return start_robot(models[model], {"points.color": False, **given})

    return make


def test_a_car_is_labelled_boxed_and_placed(start: Callable[..., Any], scenes: Any) -> None:
    robot = start(semantic__queries=["person", "car"])
    robot.looking_for("person", "car")
    heard(robot, *TOPICS)
    header = show(robot, scenes, scenes.CAR)
    robot.until(lambda: all(robot.received.values()), "every output")
    newest = {topic: messages[-1] for topic, messages in robot.received.items()}

    labels, confidence, points = (newest[topic] for topic in ("semantic/labels", "semantic/confidence", "depth/points"))
    assert labels.header == confidence.header == points.header == header
    assert labels.encoding == confidence.encoding == "mono8"
    assert (labels.height, labels.width) == (confidence.height, confidence.width) == (points.height, points.width)
    numbers, sure = stored_pixels(labels), stored_pixels(confidence)
    assert set(np.unique(numbers)) == {1, 255}, "the car is number 1, and there is no person"
    assert (sure[numbers == 1] >= 127).all() and not sure[numbers == 255].any()
    car = points_from_cloud(points)[numbers == 1]
    assert np.nanmedian(car["z"]) == pytest.approx(8.0, abs=0.1) and np.nanmedian(car["x"]) == pytest.approx(
        2.4, abs=0.5
    )

    clear, box, text = newest["semantic/markers"].markers
    assert clear.action == clear.DELETEALL and box.header == header
    assert box.pose.position.z == pytest.approx(8.0, rel=0.1) and box.pose.position.x == pytest.approx(2.4, abs=0.4)
    assert text.text.startswith("car ")

    tokens = points_from_cloud(newest["semantic/tokens"])
    assert tokens.shape == (128, 128) and tokens.dtype["feature"].shape == (4,)
    seen = tokens[tokens["feature"][..., CAR] == 1]
    assert np.nanmedian(seen["z"]) == pytest.approx(8.0, abs=0.2)
    embedding = np.array(newest["semantic/embedding"].data)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5) and embedding.argmax() in (ROAD, SKY)

    robot.until(lambda: robot.values().queries == "person, car", "the queries in the diagnostics")
    assert robot.values().queries_problem is None
    robot.until(lambda: "semantic/labels" in robot.values().stages_ms, "the time that it took")


def test_queries_change_at_run_time_and_wrong_ones_change_nothing(
    start: Callable[..., Any], scenes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    robot = start(semantic__queries=["car"])
    heard(robot, "semantic/labels")
    robot.looking_for("car")
    robot.ask("person, road")
    robot.looking_for("person", "road")
    show(robot, scenes, scenes.CAR)
    assert set(np.unique(stored_pixels(robot.next("semantic/labels")))) == {1, 255}

    robot.ask("cat")
    robot.until(lambda: robot.values().queries_problem, "the problem")
    problem = "queries: 'cat' not known: this model has a closed list of names; choose from road, car, person, sky"
    assert str(robot.values().queries_problem).startswith(problem)
    robot.looking_for("person", "road")
    show(robot, scenes, scenes.CAR)
    assert set(np.unique(stored_pixels(robot.next("semantic/labels")))) == {1, 255}
    robot.until(lambda: problem in robot.status().message, "the message")
    assert robot.status().level == bytes([Level.WARN])
    assert capfd.readouterr().err.count(problem) == 1

    # An empty message goes back to the parameters, and a changed parameter replaces what was typed.
    robot.ask("")
    robot.looking_for("car")
    robot.until(lambda: robot.values().queries_problem is None, "the problem to be gone")
    robot.ask("sky")
    robot.looking_for("sky")
    robot.node.set_parameters([Parameter("semantic.threshold", value=0.3)])
    robot.node.set_parameters([Parameter("semantic.queries", value=["road"])])
    robot.looking_for("road")


def test_nothing_asked_gives_no_labels_and_says_so(start: Callable[..., Any], scenes: Any) -> None:
    robot = start()
    heard(robot, "semantic/labels")
    show(robot, scenes)
    robot.until(lambda: robot.values().semantic_problem, "the reason")
    assert robot.values().semantic_problem == (
        "nothing is looked for: set semantic.queries, or publish names on semantic/query"
    )
    robot.until(lambda: "nothing is looked for" in robot.status().message, "the message")
    assert robot.status().level == bytes([Level.ERROR])
    assert not robot.received["semantic/labels"] and robot.values().queries is None
    robot.ask("car")
    robot.looking_for("car")
    show(robot, scenes)
    robot.next("semantic/labels")
    robot.until(lambda: "nothing is looked for" not in str(robot.values().semantic_problem), "the reason to be gone")


def test_boxes_of_what_is_no_longer_looked_for_are_taken_away_once(start: Callable[..., Any], scenes: Any) -> None:
    robot = start()
    heard(robot, "semantic/markers", "depth/image")
    robot.ask("car")
    robot.looking_for("car")
    show(robot, scenes, scenes.CAR)
    messages = robot.received["semantic/markers"]
    robot.until(lambda: messages, "the box")
    assert len(messages[0].markers) == 3
    robot.ask("")
    robot.looking_for()
    header = show(robot, scenes, scenes.CAR)
    robot.until(lambda: len(messages) == 2, "no boxes")
    [clear] = messages[1].markers
    assert clear.action == clear.DELETEALL and clear.header == header
    show(robot, scenes, scenes.CAR)
    robot.until(lambda: len(robot.received["depth/image"]) == 3, "depth of all three")
    assert len(messages) == 2


def test_tokens_and_the_embedding_need_no_queries(start: Callable[..., Any], scenes: Any) -> None:
    robot = start()
    heard(robot, "semantic/tokens", "semantic/embedding")
    show(robot, scenes)
    robot.until(lambda: robot.received["semantic/tokens"] and robot.received["semantic/embedding"], "both")
    assert robot.values().semantic_problem is None


def test_a_file_of_queries_for_a_joint_space(start: Callable[..., Any], scenes: Any, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    axes = np.eye(8, dtype=np.float32)
    file = tmp_path / "queries.safetensors"
    QuerySet(("a car", "somebody"), ("road", "sky"), axes[[CAR, PERSON, ROAD, SKY]], "ab12").write(file)
    robot = start("joint", semantic__query_file=str(file))
    robot.looking_for("a car", "somebody")
    heard(robot, "semantic/labels")
    show(robot, scenes, scenes.CAR)
    assert set(np.unique(stored_pixels(robot.next("semantic/labels")))) == {0, 255}
    # A file for another tower: what is in use stays.
    other = tmp_path / "other.safetensors"
    QuerySet(("a car",), ("road",), axes[[CAR, ROAD]], "cd34").write(other)
    robot.node.set_parameters([Parameter("semantic.query_file", value=str(other))])
    robot.until(lambda: "tower cd34" in str(robot.values().queries_problem), "the problem")
    robot.looking_for("a car", "somebody")


def test_a_model_without_language_says_so_and_depth_goes_on(
    start: Callable[..., Any], scenes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    robot = start("plain", semantic__queries=["car"])
    message = "model coded_depth: gives no features of patches, so nothing can be found by name"
    robot.until(lambda: message in str(robot.values().queries_problem), "the problem")
    heard(robot, "semantic/labels", "depth/image")
    show(robot, scenes)
    robot.next("depth/image")
    robot.until(lambda: robot.values().semantic_problem, "the reason")
    assert robot.values().semantic_problem == "model coded_depth gives no language features: semantic/labels left out"
    errors = capfd.readouterr().err
    assert errors.count(message) == 1 and errors.count("semantic/labels left out") == 1


def test_a_recorder_of_everything_is_no_fault(start: Callable[..., Any], scenes: Any) -> None:
    robot = start("plain")
    heard(robot, "semantic/labels", "semantic/embedding", "depth/image")
    show(robot, scenes)
    robot.next("depth/image")
    robot.until(lambda: robot.values().semantic_problem and robot.values().published, "the reason")
    assert "left out" not in robot.status().message


def test_a_plain_depth_node_says_nothing_of_language(
    start: Callable[..., Any], scenes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    robot = start("plain")
    heard(robot, "depth/image")
    show(robot, scenes)
    robot.next("depth/image")
    values = robot.values()
    assert (values.queries, values.queries_problem, values.semantic_problem) == (None, None, None)
    assert "semantic" not in capfd.readouterr().err
    robot.ask("car")
    robot.until(lambda: "gives no features of patches" in str(robot.values().queries_problem), "the answer to a query")


def test_without_vision_msgs_the_other_outputs_go_on(
    start: Callable[..., Any],
    scenes: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("vision_msgs", "vision_msgs.msg"):
        monkeypatch.setitem(sys.modules, name, None)
    robot = start(semantic__queries=["car"])
    message = "semantic/label_info and semantic/detections left out: vision_msgs: is not installed"
    robot.until(lambda: str(robot.values().semantic_problem).startswith(message), "the reason")
    heard(robot, "semantic/markers")
    show(robot, scenes, scenes.CAR)
    assert len(robot.next("semantic/markers").markers) == 3
    robot.ask("person")
    robot.looking_for("person")
    assert capfd.readouterr().err.count("vision_msgs") == 1


def test_nobody_asks_and_nothing_is_computed(start: Callable[..., Any], scenes: Any) -> None:
    robot = start(semantic__queries=["car"])
    heard(robot, "depth/image")
    show(robot, scenes, scenes.CAR)
    robot.next("depth/image")
    robot.until(lambda: robot.values().stages_ms, "the stages")
    assert not [name for name in robot.values().stages_ms if "semantic" in name]
