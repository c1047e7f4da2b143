"""The pages: real parsers accept their commands, what they name exists, and what needs a robot says so.

A box that begins with **Needs a robot.**, **Needs a GPU.**, **Needs data.** or two of them joined by *and* covers the
commands that follow it in its section, or all of a page where it stands before the first section. A block under a
``run by test/test_docs.py`` comment is run as it stands.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from space_clip_ros.cli.main import build_parser
from space_clip_ros.config import EvaluatorConfig, NodeConfig, PlayerConfig
from space_clip_ros.messages.diagnostics import DepthValues, PlaybackValues
from space_clip_ros.settings import declared, load, nest, parse
from space_clip_ros.tools.bags.options import ReplayOptions
from space_clip_ros.tools.live.options import ViewOptions
from space_clip_ros.training_config import AblationConfig, TrainingConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "models" / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
WIDTH = 120
RUN = "<!-- run by test/test_docs.py -->"
BOX = re.compile(r"> \*\*Needs ((?:a robot|a GPU|data)(?: and (?:a robot|a GPU|data))*)\.\*\*")

# Programs from outside this project: the shell's own, and those that only a machine with ROS or a GPU has.
SHELL = {"cd", "echo", "export", "git", "mkdir", "mv", "pip", "python3", "source", "tar", "tensorboard", "touch"}
ROBOT = {"colcon", "docker", "ros2", "rosdep", "sudo", "v4l2-ctl"}  # docker: its commands, test_docker.py
THIRD_PARTY = {"camera_calibration", "tf2_ros", "usb_cam", "v4l2_camera"}
ROS2 = {"bag", "launch", "lifecycle", "param", "pkg", "run", "topic"}
NODES = {"depth_node": NodeConfig, "kitti_player": PlayerConfig, "depth_evaluator": EvaluatorConfig}
OPTIONS = {"bag_replay": ReplayOptions, "live_view": ViewOptions}
PARSER = build_parser()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``boxes`` is what the page says that it needs."""

    page: Path
    line: int
    language: str
    text: str
    boxes: frozenset[str]
    run: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    whole_page: set[str] = set()
    section = whole_page
    language, start, inside, previous = "", 0, [], ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if start:
                text, boxes = "\n".join(inside), frozenset(whole_page | section)
                yield Block(page, start, language, text, boxes, previous == RUN)
                start, previous = 0, ""
            else:
                language, start, inside = line.removeprefix("```"), number, []
        elif start:
            inside.append(line)
        else:
            if line.startswith("## "):
                section = set()
            if box := BOX.match(line):
                section.update(box[1].split(" and "))
            previous = line or previous
    assert not start, f"{page}:{start}: a block without an end"


BLOCKS = [block for page in PAGES for block in blocks(page)]
SHOWN = [block for block in BLOCKS if block.language == "bash"]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every command of a shell script, those inside ``$(...)`` too."""
    for inner in re.findall(r"\$\(([^()]*)\)", text):
        yield from commands(inner)
    lexer = shlex.shlex(_one_line(re.sub(r"\$\([^()]*\)", "SUBSTITUTED", text)), posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set(";&|") and word:
            words = [item for item in words if item not in ("do", "done")]
            while words and re.fullmatch(r"\w+=.*", words[0]):
                del words[0]
            if words and words[0] != "for":
                yield words
            words = []
        else:
            words.append(word)


def _one_line(text: str) -> str:
    """Return a script with ``;`` in place of its line ends and without its comments; quotes are left alone."""
    characters: list[str] = []
    quote = ""
    rest = iter(text.replace("\\\n", " ") + "\n")
    for character in rest:
        if character == quote or (not quote and character in "'\""):
            quote = "" if quote else character
        if not quote and character == "#" and (not characters or characters[-1].isspace()):
            while character != "\n":
                character = next(rest)
        characters.append(" ; " if character == "\n" and not quote else character)
    return "".join(characters)


def test_the_shell_is_read_as_a_shell_reads_it() -> None:
    script = "A=1 run 'x; y' \\\n  --to $(find out) # said\nfor a in b c; do\n  go \"$a\" > file; done && end # all"
    assert list(commands(script)) == [
        ["find", "out"],
        ["run", "x; y", "--to", "SUBSTITUTED"],
        ["go", "$a", ">", "file"],
        ["end"],
    ]


def parsed(words: list[str]) -> argparse.Namespace:
    try:
        return PARSER.parse_args(words)
    except SystemExit:
        pytest.fail(f"space_clip does not take: {shlex.join(words)}")


def check_space_clip(words: list[str]) -> None:
    options = parsed(words)
    file = getattr(options, "config", None) or getattr(options, "data", None)
    overrides = getattr(options, "overrides", ())
    if getattr(options, "training", None):
        file, *overrides = options.training
    if options.command == "ablate":  # the rows' own settings: test/test_config_files.py
        file = str(Path(file).parent / load(AblationConfig, ROOT / file).base)
    if file and (ROOT / file).is_file():
        load(TrainingConfig, ROOT / file, overrides)


def check_torchrun(words: list[str]) -> None:
    pytest.importorskip("torch")
    from torch.distributed.run import get_args_parser

    options = get_args_parser().parse_args(words)
    assert options.module and options.training_script == "space_clip_ros.cli.main"
    check_space_clip(options.training_script_args)


def check_python(words: list[str]) -> None:
    if words[:2] == ["-m", "pytest"]:
        check_tests(words[2:])
    elif words[0] == "-m":
        assert importlib.util.find_spec(words[1])
    else:
        assert (ROOT / words[0]).is_file()


def check_tests(words: list[str]) -> None:
    assert all((ROOT / word).exists() for word in words if "/" in word and not word.startswith("-"))


def check_ros2(words: list[str]) -> None:
    assert words[0] in ROS2
    if words[0] == "param":
        check_parameter(words[3], words[4], change=True)
    if words[0] in ("run", "launch") and words[1] != "space_clip_ros":
        assert words[1] in THIRD_PARTY
    elif words[0] == "launch":
        check_launch(words[2], words[3:])
    elif words[0] == "run":
        check_executable(words[2], words[3:])


def check_launch(file: str, arguments: list[str]) -> None:
    text = (ROOT / "launch" / file).read_text(encoding="utf-8")
    known = re.findall(r'^    "(\w+)": \(', text, re.MULTILINE)
    assert {argument.partition(":=")[0] for argument in arguments if argument != "--show-args"} <= set(known)


def check_executable(name: str, words: list[str]) -> None:
    if name == "space_clip":
        check_space_clip(words)
        return
    assert f'f"{name} = ' in (ROOT / "setup.py").read_text(encoding="utf-8")
    start = words.index("--ros-args") if "--ros-args" in words else len(words)
    own, ros = words[:start], words[start:]
    if name in OPTIONS:
        parser = argparse.ArgumentParser(exit_on_error=False)
        OPTIONS[name].add_to(parser)
        parser.parse_args(own)
    else:
        assert not own
    for flag, value in zip(ros[1::2], ros[2::2], strict=True):
        assert flag in ("-p", "-r") and ":=" in value
        if flag == "-p":
            check_parameter(*value.split(":="), of=name)


def check_parameter(name: str, value: str, change: bool = False, of: str = "depth_node") -> None:
    setting = {setting.name: setting for setting in declared(NODES[of])}[name]
    assert not (change and setting.read_only)
    kinds = {bool: {"true": True, "false": False}.get, float: float, int: int, str: str}
    kind = kinds.get(setting.type, yaml.safe_load)
    parse(NODES[of], nest({name: kind(value)}))


@pytest.fixture(scope="module")
def demo_help() -> str:
    if importlib.util.find_spec("rclpy") is None:
        pytest.skip("the demo needs rclpy")
    command = [sys.executable, "-m", "space_clip_ros.tools.demo", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def check_training_script(words: list[str]) -> None:
    """Check the settings of each part of the bundled model's training; running it takes hours."""
    assert words == ["python3"]
    script = (ROOT / "scripts" / "train_road_tiny.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    subprocess.run(["bash", "-n", "-c", script], check=True)
    parts = [shlex.split(line) for line in script.splitlines() if line.startswith("train ")]
    later = ("places", "varied", "uncertainty", "language", "refinement", "coarse", "whole", "wider", "all")
    assert [name for _, name, *_ in parts] == ["road_tiny", *(f"road_tiny_{part}" for part in (*later, "calibrated"))]
    for _, _, config, *overrides in parts:
        load(TrainingConfig, ROOT / config, overrides)


CHECKS = {
    "space_clip": check_space_clip,
    "scripts/train_road_tiny.sh": check_training_script,
    "torchrun": check_torchrun,
    "./test.sh": check_tests,
    "python": check_python,
    "ros2": check_ros2,
}


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_every_command_is_one_that_works(block: Block, request: pytest.FixtureRequest) -> None:
    for program, *words in commands(block.text):
        name = program.removeprefix(".venv/bin/")
        if name in CHECKS:
            CHECKS[name](words)
        elif name == "./demo.sh":
            options = {word for word in words if word.startswith("--")}
            assert all(f"{option} " in request.getfixturevalue("demo_help") for option in options)
        else:
            assert name in SHELL | ROBOT, f"{program}: how is this command tested?"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pip_takes_this_package_from_a_clone(page: Path) -> None:
    """No index has it, and whoever took its name there would run code on a reader's machine."""
    assert not re.search(r"pip install[^`]*[ ']space_clip_ros\[", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_what_needs_a_robot_says_so(block: Block) -> None:
    if any(program in ROBOT for program, *_ in commands(block.text)):
        assert "a robot" in block.boxes, "a box > **Needs a robot.** must stand before it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestEveryPage:
    def test_it_shows_commands_as_bash(self, page: Path) -> None:
        shown = [block for block in BLOCKS if block.page == page and block.language == ""]
        # Recorded commands stand above the tables that they wrote; they are as long as they were.
        recorded = page.parent.name == "results"
        assert recorded or not [block for block in shown if re.match(r"space_clip |\./|ros2 ", block.text)]

    def test_its_lines_are_short_enough_to_read(self, page: Path) -> None:
        recorded = page.parent.name == "results"
        fenced = False
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            fenced ^= line.startswith("```")
            if line.startswith("|") or "](http" in line or (fenced and recorded):
                continue
            assert len(line) <= WIDTH, f"{page.relative_to(ROOT)}:{number}"

    def test_its_links_lead_somewhere(self, page: Path) -> None:
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page)):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target

    def test_the_files_it_names_exist(self, page: Path) -> None:
        # Written from the project's folder, or from the package's: a room such as cli/ is space_clip_ros/cli.
        for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", prose(page)):
            first = name.partition("/")[0]
            parents = [folder for folder in (ROOT, ROOT / "space_clip_ros") if (folder / first).is_dir()]
            for_the_reader_to_fill_in = re.search(r"(?<![a-z_])[A-Z]+(?![a-z_])", name)
            # Commands write to out/, so what a page names there need not exist yet.
            if "/" in name and first not in ("..", "out") and parents and not for_the_reader_to_fill_in:
                assert any((folder / name).exists() for folder in parents), name

    def test_commands_inside_its_sentences_exist(self, page: Path) -> None:
        for text in re.findall(r"`space_clip ([^`]*)`", prose(page)):
            name, *words = text.replace("\n", " ").split()
            options = PARSER._subparsers._group_actions[0].choices[name]._option_string_actions  # type: ignore[union-attr]
            assert {word for word in words if word.startswith("--")} <= set(options), text


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", index.read_text())
    }
    assert {page for page in PAGES if page.parent == index.parent} - {index} <= linked
    results = ROOT / "docs" / "results" / "README.md"
    for page in results.parent.glob("*.md"):
        assert page == results or f"]({page.name})" in results.read_text(encoding="utf-8")


def test_the_table_of_rooms_has_every_room() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in ROOT.glob("space_clip_ros/*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)) == rooms


def test_the_drawing_names_files_that_exist() -> None:
    drawing = ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()
    named = [item.text or "" for item in drawing.iter() if item.get("class") == "file"]
    assert named and all((ROOT / "space_clip_ros" / name).exists() for name in named)


def test_the_page_on_nodes_has_every_diagnostic_key() -> None:
    words = set(re.findall(r"\w+", (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")))
    for values in (DepthValues, PlaybackValues):
        fields = [field for field in dataclasses.fields(values) if "prefix" not in field.metadata]
        assert {field.name for field in fields} <= words


GRAPH = """
import json, sys, rclpy
from space_clip_ros.ros.node.depth_node import DepthNode
ranges = ["-p", "scale.mode:=ranges", "-p", "scale.extrinsics:=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]"]
rclpy.init(args=["--ros-args", "-p", "autostart:=false", *ranges])
node = DepthNode()
node.trigger_configure()
node.trigger_activate()
found = node.get_publisher_names_and_types_by_node("depth", "/")
found += node.get_subscriber_names_and_types_by_node("depth", "/")
services = [name for name, _ in node.get_service_names_and_types_by_node("depth", "/")]
print(json.dumps({"topics": {name: kinds[0].replace("/msg/", "/") for name, kinds in found}, "services": services}))
"""


def test_the_page_on_nodes_has_every_topic_and_service_of_the_node(domain: int) -> None:
    pytest.importorskip("rclpy")
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    command = [sys.executable, "-c", GRAPH]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    graph = json.loads(result.stdout.splitlines()[-1])
    page = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", page, flags=re.MULTILINE)[2]
    assert section.startswith("depth_node")
    rows = dict(re.findall(r"^\| `([\w/]+)` \| (?:in|out)[^|]*\| ([\w/]+)", section, re.MULTILINE))
    # Not among the wheels of ROS 2; without it the node leaves its topics out.
    known = importlib.util.find_spec("vision_msgs") is not None
    rows = {name: kind for name, kind in rows.items() if known or not kind.startswith("vision_msgs/")}
    listed = {name if name.startswith("/") else f"/{name}": kind for name, kind in rows.items()}
    every_node_has = {"/parameter_events", "/rosout", "/depth/transition_event"}
    assert {name: kind for name, kind in graph["topics"].items() if name not in every_node_has} == {
        name: kind for name, kind in listed.items() if name != "/image/compressed"
    }
    lifecycle = {name for name in graph["services"] if "parameter" not in name and "type_desc" not in name}
    assert all(f"`{name}`" in section for name in lifecycle)


def test_pages_named_in_the_code_exist() -> None:
    files = [*ROOT.glob("space_clip_ros/**/*.py"), *ROOT.glob("test/**/*.py"), *ROOT.glob("config/**/*")]
    for file in files:
        if file.is_file() and file != Path(__file__):
            named = re.findall(r"\bdocs/(?!operators)[\w/]+\.md", file.read_text(encoding="utf-8"))
            assert all((ROOT / name).is_file() for name in named), file


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """An empty folder with the commands, the settings files and a picture."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    command = programs / "space_clip"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m space_clip_ros.cli.main "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / "config").symlink_to(ROOT / "config")
    shades = np.linspace(0, 255, 320, dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "street.png"), np.dstack([np.tile(shades, (96, 1))] * 3))
    return tmp_path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", [block for block in SHOWN if block.run], ids=str)
def test_commands_that_need_nothing_run(block: Block, workshop: Path) -> None:
    if " bag " in block.text:
        pytest.importorskip("rosbags")
    if " train " in block.text:
        pytest.importorskip("onnx")
        pytest.importorskip("torch")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    programs = f"{workshop / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": path, "PATH": programs}
    subprocess.run(["bash", "-ec", block.text], check=True, cwd=workshop, env=environment)
