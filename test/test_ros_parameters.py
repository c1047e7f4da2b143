"""The parameters in a file that apply to a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import ConfigError
from space_clip_ros.ros_parameters import matches, node_values


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("/depth", "/depth", True),
        ("depth", "/depth", True),
        ("/depth", "/robot/depth", False),
        ("/*/depth", "/robot/depth", True),
        ("/*/depth", "/a/b/depth", False),
        ("/**", "/a/b/depth", True),
        ("/**/depth", "/depth", True),
        ("/**/depth", "/a/depth/other", False),
    ],
)
def test_patterns_fit_full_names(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


def values(path: Path, text: str) -> dict[str, object]:
    path.write_text(text, encoding="utf-8")
    return node_values(path, "depth")


def test_own_parameters_override_those_of_wildcards(tmp_path: Path) -> None:
    text = """
robot:
  depth: {ros__parameters: {max_depth: 20.0, points: {stride: 4}, use_sim_time: true}}
other: {ros__parameters: {max_depth: 1.0}}
/**: {ros__parameters: {max_depth: 10.0, points.color: false}}
"""
    assert values(tmp_path / "p.yaml", text) == {"max_depth": 20.0, "points.stride": 4, "points.color": False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has parameters for no node and none for depth"),
        ("other: {ros__parameters: {a: 1}}", "has parameters for /other and none for depth"),
        ("depth: {ros__parameters: {a: 1}}\na/depth: {ros__parameters: {a: 1}}", "keep only one of them"),
        ("depth: {ros__parameters: [a]}", "/depth: ros__parameters must be names with values"),
    ],
)
def test_files_without_parameters_for_one_node_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        values(tmp_path / "p.yaml", text)
