"""Parameters from the settings' declarations, and the YAML file that repeats them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import ConfigError
from space_clip_ros.ros.common.parameters import Parameters
from space_clip_ros.settings import declared, parse, to_dict

SETTINGS = {setting.name: setting for setting in declared(NodeConfig)}


@pytest.fixture
def make(ros: int) -> Iterator[Callable[..., tuple[Node, Parameters[NodeConfig]]]]:
    nodes: list[Node] = []

    def build(on_change: Any = None, **values: Any) -> tuple[Node, Parameters[NodeConfig]]:
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        nodes.append(Node("subject", parameter_overrides=overrides))
        return nodes[-1], Parameters(nodes[-1], NodeConfig, on_change)

    yield build
    for node in nodes:
        node.destroy_node()


def test_defaults_are_the_configurations(make):
    _, parameters = make()
    assert parameters.current == NodeConfig()


def test_values_given_at_start_are_taken(make):
    _, parameters = make(model="other.onnx", max_depth=20.0, points__stride=1, autostart=False)
    assert parameters.current.model == "other.onnx"
    assert parameters.current.max_depth == 20.0
    assert parameters.current.points.stride == 1
    assert not parameters.current.autostart


def test_a_whole_number_will_do_for_a_float(make):
    node, parameters = make(max_depth=20, depth_scale=2)
    assert (parameters.current.max_depth, parameters.current.depth_scale) == (20.0, 2.0)
    assert node.set_parameters([Parameter("max_age", value=1)])[0].successful
    assert parameters.current.max_age == 1.0


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"max_depth": 0.01}, "min_depth: must be below max_depth 0.01, got 0.1"),
        ({"backend": "tpu"}, "backend: must be one of auto, onnxruntime, tensorrt, torch, got 'tpu'"),
        ({"points__stride": 0}, "points.stride: must be at least 1, got 0"),
        ({"points__stride": 1.5}, "points.stride: must be a whole number, got 1.5"),
        ({"model": 3}, "model: must be text, got 3"),
        ({"cameras": "front"}, "cameras: must be a list, such as [front], got 'front'"),
        ({"max_age": "soon"}, "max_age: must be a number, got 'soon'"),
        ({"max_depth": float("nan")}, "max_depth"),
        ({"points__clearing": True, "points__max_range": 0.0}, "points.clearing: needs max_range above 0"),
    ],
)
def test_bad_values_at_start_raise(make, values, text):
    with pytest.raises(ConfigError, match=r"^parameters: ") as caught:
        make(**values)
    assert text in str(caught.value)


def test_every_bad_value_at_start_is_named(make):
    with pytest.raises(ConfigError) as caught:
        make(points__stride=0, max_depth=-1.0, depth_encoding="foo", model=3)
    names = {line.split(": ")[1] for line in str(caught.value).splitlines()}
    assert names == {"points.stride", "max_depth", "depth_encoding", "model"}


@pytest.mark.parametrize("name", SETTINGS)
def test_descriptors_tell_help_range_and_read_only(make, name):
    node, _ = make()
    setting, described = SETTINGS[name], node.describe_parameter(name)
    assert described.description == setting.help
    assert described.read_only == setting.read_only
    assert all(str(choice) in described.additional_constraints for choice in setting.choices)
    for bound, ranges in ((int, described.integer_range), (float, described.floating_point_range)):
        limited = setting.type is bound and (setting.minimum is not None or setting.maximum is not None)
        assert bool(ranges) == limited
        if limited and setting.minimum is not None:
            assert ranges[0].from_value == setting.minimum
        if limited and setting.maximum is not None:
            assert ranges[0].to_value == setting.maximum


def test_a_change_is_checked_as_a_whole_and_then_told(make):
    seen: list[NodeConfig] = []
    node, parameters = make(seen.append)
    both = [Parameter("min_depth", value=90.0), Parameter("max_depth", value=95.0)]
    assert node.set_parameters_atomically(both).successful
    assert (parameters.current.min_depth, parameters.current.max_depth) == (90.0, 95.0)
    assert seen == [parameters.current]


def test_a_refused_change_changes_nothing_and_says_why(make):
    seen: list[NodeConfig] = []
    node, parameters = make(seen.append)
    result = node.set_parameters_atomically([Parameter("max_age", value=2.0), Parameter("min_depth", value=99.0)])
    assert not result.successful
    assert "min_depth: must be below max_depth 80, got 99" in result.reason
    assert parameters.current == NodeConfig()
    assert not seen
    assert node.get_parameter("max_age").value == 0.0


def test_read_only_parameters_do_not_change(make):
    node, parameters = make()
    assert not node.set_parameters([Parameter("model", value="other")])[0].successful
    assert parameters.current.model == "road_tiny"


def test_other_parameters_of_the_node_are_left_alone(make):
    node, parameters = make()
    node.declare_parameter("unrelated", 1)
    assert node.set_parameters([Parameter("unrelated", value=2)])[0].successful
    assert parameters.current == NodeConfig()


def test_the_yaml_file_is_the_defaults_with_a_comment_each(project_root: Path):
    text = (project_root / "config" / "depth.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert values == to_dict(NodeConfig())
    assert parse(NodeConfig, values) == NodeConfig()
    leaves = [line for line in text.splitlines() if line.startswith("    ") and not line.strip().startswith("#")]
    assert all("#" in line for line in leaves if not line.rstrip().endswith(":"))


def test_the_yaml_file_loads_into_a_node(ros, project_root: Path):
    file = project_root / "config" / "depth.yaml"
    node = Node("depth", namespace="front", cli_args=["--ros-args", "--params-file", str(file)])
    try:
        assert Parameters(node, NodeConfig).current == NodeConfig()
    finally:
        node.destroy_node()


@pytest.mark.parametrize(("given", "cameras"), [("[front, rear]", ("front", "rear")), ("[]", ("",)), ("['']", ("",))])
def test_cameras_are_given_as_a_list(ros, given, cameras):
    node = Node("several", cli_args=["--ros-args", "-p", f"cameras:={given}"])
    try:
        assert Parameters(node, NodeConfig).current.cameras == cameras
    finally:
        node.destroy_node()


@pytest.mark.parametrize("given", ["front", "[1, 2]"])
def test_anything_but_a_list_of_names_is_refused(ros, given):
    node = Node("several", cli_args=["--ros-args", "-p", f"cameras:={given}"])
    try:
        with pytest.raises(ConfigError, match="cameras"):
            Parameters(node, NodeConfig)
    finally:
        node.destroy_node()
