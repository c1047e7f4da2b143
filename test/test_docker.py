"""The Dockerfile, those in docs/docker.md and compose.yaml: what they copy, run and mount exists and fits together."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "SHELL", "WORKDIR"}
PAGE = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
TEXTS = [(ROOT / "Dockerfile").read_text(encoding="utf-8"), *re.findall(r"```dockerfile\n(.*?)```", PAGE, re.DOTALL)]
NAMES = ["Dockerfile", "nvidia", "jetpack7", "jetson"]
EXECUTABLES = set(re.findall(r"(\w+) = \{NAME\}\.", (ROOT / "setup.py").read_text(encoding="utf-8")))
# What setup.py reads, or installs.
NEEDED = ("package.xml", "setup.py", "setup.cfg", "resource", "launch", "config", "models", "space_clip_ros")


class Instruction(NamedTuple):
    name: str
    words: str


def instructions(text: str) -> list[Instruction]:
    """Join continued lines and leave comments out, as Docker does."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.strip().split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def in_exec_form(words: str) -> list[str] | None:
    return json.loads(words) if words.startswith("[") else None


def ignored(name: str) -> bool:
    """Whether .dockerignore, in which the last matching line counts, keeps something of the top level out."""
    outcome = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        if fnmatch.fnmatch(name, line.removeprefix("!")):
            outcome = not line.startswith("!")
    return outcome


@pytest.fixture(params=TEXTS, ids=NAMES)
def dockerfile(request: pytest.FixtureRequest) -> list[Instruction]:
    return instructions(request.param)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_there_is_one_for_each_machine() -> None:
    assert len(TEXTS) == len(NAMES)


def test_it_begins_with_an_image_of_one_version(dockerfile: list[Instruction]) -> None:
    assert {instruction.name for instruction in dockerfile} <= INSTRUCTIONS
    arguments = dict(item.words.split("=", 1) for item in dockerfile if item.name == "ARG")
    first = next(index for index, item in enumerate(dockerfile) if item.name == "FROM")
    assert all(item.name == "ARG" for item in dockerfile[:first])
    for item in dockerfile:
        if item.name == "FROM":
            image = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], item.words)
            assert re.fullmatch(r"[\w./-]+:[\w.-]+", image)
            assert not image.endswith(":latest")


def test_everything_copied_exists_and_reaches_docker(dockerfile: list[Instruction]) -> None:
    for item in dockerfile:
        if item.name == "COPY":
            *sources, target = item.words.split()
            assert target.startswith("./") or target == "."
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source == "." or not ignored(source), source
                # Docker copies a folder's content, not the folder
                assert source == "." or (ROOT / source).is_file() or target == f"./{source}"


def test_what_the_package_needs_is_copied() -> None:
    copied = {word for item in instructions(TEXTS[0]) if item.name == "COPY" for word in item.words.split()[:-1]}
    assert set(NEEDED) <= copied
    assert not any(map(ignored, NEEDED))
    assert all(map(ignored, (".git", ".venv", "out", "test")))


def test_its_commands_are_bash(dockerfile: list[Instruction]) -> None:
    bash = shutil.which("bash")
    assert bash
    for item in dockerfile:
        if item.name == "RUN":
            process = subprocess.run([bash, "-n", "-c", item.words], capture_output=True, text=True, check=False)
            assert process.returncode == 0, process.stderr
            assert "apt-get install" not in item.words or "rm -rf /var/lib/apt/lists/*" in item.words
            assert "apt-get install" not in item.words or " -y" in item.words
            assert "pip install" not in item.words or ("--no-cache-dir" in item.words and " -c " in item.words)
            for file in re.findall(r"pip install .*?-c (\S+)", item.words):
                assert (ROOT / file.removeprefix("/opt/ws/src/space_clip_ros/")).is_file()
        if item.name in ("CMD", "ENTRYPOINT", "SHELL"):
            assert in_exec_form(item.words)


def check_command(words: list[str]) -> None:
    """Everything named in a command line is there."""
    if words[:2] == ["python3", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    elif words[:2] == ["ros2", "launch"]:
        package, file, *arguments = words[2:]
        assert package == "space_clip_ros"
        assert (ROOT / "launch" / file).is_file()
        known = (ROOT / "launch" / file).read_text(encoding="utf-8")
        assert all(f'"{argument.partition(":=")[0]}": (' in known for argument in arguments)
    else:
        assert words[:3] == ["ros2", "run", "space_clip_ros"]
        assert words[3] in EXECUTABLES


def test_what_they_start_exists(dockerfile: list[Instruction]) -> None:
    for item in dockerfile:
        if item.name == "CMD":
            check_command(in_exec_form(item.words) or [])


def test_what_the_page_runs_exists(compose: dict[str, Any]) -> None:
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = [word for word in shlex.split(line, comments=True) if "=" not in word or ":=" in word]
            if words[:2] == ["docker", "compose"]:
                assert set(words) & compose["services"].keys(), line
            if "ros2" in words:
                check_command(words[words.index("ros2") :])


def test_both_services_of_compose(compose: dict[str, Any]) -> None:
    assert compose.keys() == {"services"}
    assert compose["services"].keys() == {"depth", "demo"}
    for service in compose["services"].values():
        assert service["build"] == "."
        assert (ROOT / service["build"] / "Dockerfile").is_file()
        assert re.fullmatch(r"[\w/]+:(?!latest)[\w.-]+", service["image"])
        check_command(service["command"])
        for mount in service.get("volumes", ()):
            assert mount.startswith("./out:")


def test_a_container_shares_network_and_memory_with_the_host_or_neither(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert (service.get("network_mode") == "host") == (service.get("ipc") == "host")
        assert ("shm_size" in service) == ("ipc" not in service)
    assert compose["services"]["depth"]["network_mode"] == "host"


def test_the_demos_shared_memory_has_room_for_its_processes(compose: dict[str, Any]) -> None:
    number, unit = re.fullmatch(r"(\d+)(mb|gb)", compose["services"]["demo"]["shm_size"]).groups()  # type: ignore[union-attr]
    megabytes = int(number) * (1024 if unit == "gb" else 1)
    segment = re.search(r"<segment_size>(\d+)", (ROOT / "config" / "fastdds.xml").read_text(encoding="utf-8"))
    assert segment
    demo = (ROOT / "space_clip_ros" / "tools" / "demo" / "__main__.py").read_text(encoding="utf-8")
    processes = re.search(r"_PROCESSES = (\d)", demo)
    assert processes
    # with the recorder and the page
    assert megabytes * 2**20 >= 1.25 * int(segment[1]) * (int(processes[1]) + 2)


def test_jetpack_6_keeps_the_one_tag_that_there_is() -> None:
    assert "FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0" in PAGE
    assert "Keep its tag `r36.4.0` on\nevery L4T R36.4.x" in PAGE


def test_what_a_robot_installs_is_pinned() -> None:
    """Otherwise images built a week apart differ. NVIDIA's packages carry their version in the command."""
    pinned = {
        line.partition("==")[0]
        for line in (ROOT / "constraints" / "robot.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    asked = re.findall(
        r"pip install[^&]*?robot\.txt ([^&]*)", "\n".join(re.sub(r"\\\n\s*", " ", text) for text in TEXTS)
    )
    packages = {word for words in asked for word in words.splitlines()[0].split() if "==" not in word}
    assert {"onnx", "onnxruntime", "rosbags"} <= packages <= pinned
    # what those bring along
    assert pinned >= {"ml_dtypes", "protobuf", "apsw", "lz4", "ruamel.yaml", "backports.zstd"}
