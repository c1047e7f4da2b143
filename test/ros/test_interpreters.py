"""Everything that needs no PyTorch, the node over real DDS included, on every other CPython 3.10 to 3.13 found.

Each gets an environment of its own beside ``.venv-test``, made once by ``scripts/environment.sh``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
GIGABYTES = 2
SET_UP_AND_RUN_S = 1800
SUBSET = (
    "test/geometry",
    "test/perception",
    "test/test_config.py",
    "test/test_model_config.py",
    "test/test_settings.py",
    "test/tools/bags/test_reader.py",
    "test/cli/test_main.py",
    "test/data/test_file_lists.py",
    "test/data/test_kitti.py",
    "test/evaluation/test_metrics.py",
    "test/tools/live/test_update.py",
    "test/tools/live/test_server.py",
    "test/ros/node/test_depth_node_cameras.py",
    "test/ros/node/test_depth_node_lifecycle.py",
    "test/messages/test_image_building.py",
    "test/messages/test_messages.py",
    "test/ros/common/test_parameters.py",
    "test/ros/common/test_qos.py",
    "test/tools/live/test_view.py",
    "test/ros/node/test_scheduler.py",
)
# As they are imported, the wheels of ROS 2 put their libraries, which are for one Python, on the last two, and say so.
_OF_THIS_PYTHON = (
    *("PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH"),
    *("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"),
)
PROBE = "import ensurepip, sys, venv; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
SET_UP = 'cd "$0" && . scripts/environment.sh && make_environment "$1" ros,bags,view,test "$2"'


@pytest.mark.parametrize("path", SUBSET)
def test_what_it_runs_is_there(path: str) -> None:
    assert (ROOT / path).exists(), f"{path} has moved; SUBSET in {Path(__file__).name} must follow it"


@pytest.mark.every_interpreter
@pytest.mark.timeout(SET_UP_AND_RUN_S)
@pytest.mark.parametrize("version", VERSIONS)
def test_on(version: str) -> None:
    if version == "{}.{}".format(*sys.version_info):
        pytest.skip("the whole suite runs on it")
    if os.environ.get("ROS_DISTRO"):
        pytest.skip(f"ROS 2 {os.environ['ROS_DISTRO']} is sourced, and is for one Python")
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no CPython {version} with venv on PATH or among pyenv's versions")
    folder = ROOT / f".venv-test-{version}"
    finished(["bash", "-c", SET_UP, str(ROOT), folder.name, str(GIGABYTES)], PYTHON=python)
    options = ("-q", "-p", "no:cacheprovider", "-n", "4", "--dist", "loadfile")
    command = [folder / "bin" / "python", "-m", "pytest", *options, *SUBSET]
    output = finished(command, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    assert " passed" in output


def interpreter(version: str) -> str | None:
    """Return the real executable of a CPython that can make environments, or None."""
    for candidate in candidates(version):
        # pyenv's python3.N on PATH is there even while that version is not chosen, and then only fails
        probe = subprocess.run([candidate, "-c", PROBE], capture_output=True, text=True, check=False)
        if probe.returncode == 0 and probe.stdout.split()[:2] == ["cpython", version]:
            return str(candidate)
    return None


def candidates(version: str) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))


def finished(command: list[object], **environment: str) -> str:
    """Run a command from the project's folder to its good end, and return what it said."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PYTHON}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-3000:]}"
    return done.stdout
