"""``colcon build`` makes the package, and what it installs runs from the install folder alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SOURCES = ("space_clip_ros", "launch", "config", "models", "resource")
FILES = ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package built by colcon in a workspace of its own; returns its install prefix."""
    pytest.importorskip("colcon_core", reason="colcon is not installed")
    root = Path(__file__).resolve().parents[1]
    workspace = tmp_path_factory.mktemp("workspace")
    source = workspace / "src" / "space_clip_ros"
    source.mkdir(parents=True)
    for folder in SOURCES:
        shutil.copytree(root / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(root / name, source / name)
    result = subprocess.run(
        [sys.executable, "-m", "colcon", "build", "--event-handlers", "console_direct+"],
        cwd=workspace,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return workspace / "install" / "space_clip_ros"


@pytest.fixture(scope="module")
def environment(install: Path) -> dict[str, str]:
    """What sourcing the workspace gives: its packages first, and no trace of the source tree."""
    site = next(install.glob("lib/python3*/site-packages"))
    return {**os.environ, "PYTHONPATH": str(site), "AMENT_PREFIX_PATH": str(install)}


def test_share_holds_what_a_robot_needs(install: Path) -> None:
    share = install / "share" / "space_clip_ros"
    assert (share / "package.xml").is_file()
    assert (share / "launch" / "depth.launch.py").is_file()
    assert (share / "config" / "depth.yaml").is_file()
    assert (share / "models" / "road_tiny.onnx").is_file()
    site = next(install.glob("lib/python3*/site-packages"))
    assert all(
        (site / "space_clip_ros/tools/live/page" / name).is_file() for name in ("live.html", "live.css", "live.js")
    )
    assert (install / "share/ament_index/resource_index/packages/space_clip_ros").is_file()


@pytest.mark.parametrize("name", ["depth_node", "kitti_player", "depth_evaluator", "bag_replay", "live_view"])
def test_ros2_run_finds_every_executable(install: Path, name: str) -> None:
    assert os.access(install / "lib" / "space_clip_ros" / name, os.X_OK)


def test_the_installed_node_loads_the_installed_model_and_ends_on_sigint(
    install: Path, environment: dict[str, str], tmp_path: Path, domain: int
) -> None:
    process = subprocess.Popen(
        [install / "lib" / "space_clip_ros" / "depth_node"],
        cwd=tmp_path,
        env={**environment, "ROS_DOMAIN_ID": str(domain)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "active, waiting for images on /image" in line:
                break
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, "".join(lines) + rest
    assert any(str(install) in line for line in lines), f"the model was not loaded from {install}: {lines}"


def test_the_installed_command_runs(install: Path, environment: dict[str, str], tmp_path: Path) -> None:
    command = install / "lib" / "space_clip_ros" / "space_clip"
    result = subprocess.run(
        [command, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout.startswith("space_clip 0."), result.stderr


def test_the_package_asks_for_the_plugins_that_its_tests_need() -> None:
    """Without pytest-timeout, ``colcon test`` fails at pyproject.toml before the first test."""
    root = Path(__file__).resolve().parents[1]
    needed = {element.text for element in ElementTree.parse(root / "package.xml").iter("test_depend")}
    plugins = ("hypothesis", "pytest", "pytest-timeout", "pytest-xdist")
    assert needed == {f"python3-{name}" for name in plugins}
    assert f"TEST = {list(plugins)}".replace("'", '"') in (root / "setup.py").read_text(encoding="utf-8")
