"""The examples of docs/launch.md include files that exist, with arguments that these declare."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SHARE = "$(find-pkg-share space_clip_ros)/"


def examples() -> list[tuple[str, list[str]]]:
    """Return each include's file and arguments."""
    blocks = dict(re.findall(r"```(xml|yaml)\n(.*?)```", (ROOT / "docs" / "launch.md").read_text("utf-8"), re.DOTALL))
    xml = ElementTree.fromstring(blocks["xml"]).findall("include")
    included = [(item.attrib["file"], [arg.attrib["name"] for arg in item.findall("arg")]) for item in xml]
    for action in yaml.safe_load(blocks["yaml"])["launch"]:
        include = action["include"]
        included.append((include["file"], [arg["name"] for arg in include["arg"]]))
    return included


@pytest.mark.parametrize(("file", "arguments"), examples())
def test_an_example_of_an_include(file: str, arguments: list[str]) -> None:
    path = ROOT / file.removeprefix(SHARE)
    assert file.startswith(SHARE) and path.is_file()
    declared = re.findall(r'^    "(\w+)": \(', path.read_text(encoding="utf-8"), re.MULTILINE)
    assert arguments and set(arguments) <= set(declared)


def test_every_launch_file_is_in_the_table() -> None:
    text = (ROOT / "docs" / "launch.md").read_text(encoding="utf-8")
    for path in (ROOT / "launch").glob("*.launch.py"):
        assert f"| `{path.name}` |" in text
