"""Parameters that go nowhere are named, with the near miss."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import ConfigError
from space_clip_ros.ros.common.parameter_files import files_for_other_nodes, ignored_parameters
from space_clip_ros.ros.common.parameters import Parameters


@pytest.fixture
def node(ros: int) -> Node:
    overrides = [
        Parameter("modle", value="x"),
        Parameter("points.strid", value=3),
        Parameter("colour", value="red"),
        Parameter("use_sim_time", value=True),
        Parameter("max_depth", value=20.0),
        Parameter("qos_overrides./image.subscription.depth", value=2),
    ]
    made = Node("depth", namespace="/front", parameter_overrides=overrides)
    yield made
    made.destroy_node()


def test_misspelt_parameters_are_named_with_the_near_miss(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    known = [*(name for name in ("model", "points.stride", "max_depth"))]
    assert ignored_parameters(node, known) == [
        "parameter modle is ignored: this node has no such parameter; did you mean model?",
        "parameter points.strid is ignored: this node has no such parameter; did you mean points.stride?",
        "parameter colour is ignored: this node has no such parameter; see ros2 param list",
    ]
    Parameters(node, NodeConfig)
    assert "parameter modle is ignored" in capfd.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "/**:\n  ros__parameters:\n    model: x\n",
        "/front/depth:\n  ros__parameters:\n    model: x\n",
        "front:\n  depth:\n    ros__parameters:\n      model: x\n",
        "/*/depth:\n  ros__parameters:\n    model: x\n",
        "/**/depth:\n  ros__parameters:\n    model: x\n",
        "other:\n  ros__parameters:\n    a: 1\n/front/depth:\n  ros__parameters:\n    model: x\n",
        "",
        "not: [closed",
    ],
)
def test_files_with_something_for_the_node_are_fine(node: Node, tmp_path: Path, text: str) -> None:
    path = tmp_path / "depth.yaml"
    path.write_text(text, encoding="utf-8")
    assert files_for_other_nodes(node, ["depth_node", "--ros-args", "--params-file", str(path)]) == []


@pytest.mark.parametrize("key", ["depth_node", "depth", "/front/depth_node", "/*"])
def test_a_file_for_another_node_is_named(node: Node, tmp_path: Path, key: str) -> None:
    path = tmp_path / "depth.yaml"
    path.write_text(f"{key}:\n  ros__parameters:\n    model: x\n", encoding="utf-8")
    (line,) = files_for_other_nodes(node, ["--ros-args", "--params-file", str(path)])
    assert line.startswith(f"{path} has parameters for /{key.strip('/')} and none for this node, which is /front/depth")
    assert "begin the file with depth: or /**:" in line


@pytest.mark.parametrize(("text", "kind"), [("model = road_tiny\n", "text"), ("- 1\n", "a list"), ("7\n", "a whole")])
def test_a_file_that_is_no_mapping_is_an_error(node: Node, tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / "depth.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"must be a YAML mapping, .* and is {kind}.*; see config/depth\.yaml"):
        files_for_other_nodes(node, ["--ros-args", "--params-file", str(path)])


def test_a_missing_file_is_left_to_rclpy(node: Node) -> None:
    assert files_for_other_nodes(node, ["--params-file", "no/such.yaml", "--params-file"]) == []
