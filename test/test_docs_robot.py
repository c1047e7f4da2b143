"""The pages for robot users name parameters that exist and quote what the node says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from space_clip_ros.config import NodeConfig
from space_clip_ros.settings import declared

PAGES = ("nav2.md", "metric_scale.md", "troubleshooting.md", "tensorrt.md", "jetson.md", "nodes.md", "tutorial.md")
NAMES = {setting.name for setting in declared(NodeConfig)}


@pytest.mark.parametrize("page", PAGES)
def test_parameters_exist(page: str, project_root: Path) -> None:
    text = (project_root / "docs" / page).read_text(encoding="utf-8")
    used = set(re.findall(r"\b(?:points|diagnostics|color)\.[a-z_]+", text))
    assert used <= NAMES


@pytest.mark.parametrize(
    "text",
    [
        "not active but ",
        "a lifecycle manager must",
        "nobody publishes there",
        " is published: set image_transport to ",
        "this node asks for ",
        " and so cannot hear all of them",
        "because this node offers ",
        "idle: nobody subscribes to ",
        "images come in, nothing goes out: ",
        " yet",
        "but images are in frame ",
        "it is for images of ",
        " s old on arrival, max_age is ",
        "no depth: ",
        "it carries ",
        "use_sim_time is true, but nobody publishes /clock, so ages are unknown",
        "images have no stamp (it is 0), so their age is unknown",
        " this node's clock; ",
    ],
)
def test_what_the_node_is_quoted_with_is_what_it_says(text: str, project_root: Path) -> None:
    page = (project_root / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rooms = [project_root / "space_clip_ros" / name for name in ("ros", "perception", "geometry")]
    code = "".join(path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py"))
    assert text in page
    assert text in code
