"""Every documented value of every choice, through a real parameter file and the command line's YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.node import Node

from space_clip_ros.config import NodeConfig
from space_clip_ros.ros.common.parameters import Parameters
from space_clip_ros.settings import Declared, declared, to_dict

CHOICES = [setting for setting in declared(NodeConfig) if setting.choices]


@pytest.fixture
def current(ros: int) -> Iterator[Any]:
    nodes: list[Node] = []

    def read(*arguments: str) -> dict[str, Any]:
        context = rclpy.Context()
        rclpy.init(args=["depth_node", "--ros-args", *arguments], context=context, domain_id=ros)
        nodes.append(Node("depth", context=context))
        return to_dict(Parameters(nodes[-1], NodeConfig).current)

    yield read
    for node in nodes:
        context = node.context
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def at(values: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


@pytest.mark.parametrize("setting", CHOICES, ids=lambda setting: setting.name)
def test_every_choice_through_the_command_line(current, setting: Declared) -> None:
    for choice in setting.choices:
        assert at(current("-p", f"{setting.name}:={choice}"), setting.name) == choice


@pytest.mark.parametrize("setting", CHOICES, ids=lambda setting: setting.name)
def test_every_choice_through_a_parameter_file(current, setting: Declared, tmp_path: Path) -> None:
    for choice in setting.choices:
        path = tmp_path / f"{choice}.yaml"
        # Written as a person would, without quotes.
        path.write_text(f"depth:\n  ros__parameters:\n    {setting.name}: {choice}\n", encoding="utf-8")
        assert at(current("--params-file", str(path)), setting.name) == choice


@pytest.mark.parametrize("word", ["off", "false", "False", "never", "'off'"])
def test_rectify_takes_what_yaml_makes_of_off(current, word: str, tmp_path: Path) -> None:
    assert current("-p", f"rectify:={word}")["rectify"] == "never"
    path = tmp_path / "depth.yaml"
    path.write_text(f"depth:\n  ros__parameters:\n    rectify: {word}\n", encoding="utf-8")
    assert current("--params-file", str(path))["rectify"] == "never"


@pytest.mark.parametrize(("word", "choice"), [("true", "always"), ("false", "never"), ("auto", "auto")])
def test_focal_scaling_takes_truth_values(current, word: str, choice: str) -> None:
    assert current("-p", f"focal_scaling:={word}")["focal_scaling"] == choice


def test_no_value_is_a_word_that_yaml_reads_as_something_else() -> None:
    for setting in CHOICES:
        for choice in setting.choices:
            assert yaml.safe_load(str(choice)) == choice, f"{setting.name}: {choice}"
