"""Libraries that are missing or built for something else: one line that says so, and the remedy."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros import libraries
from space_clip_ros.libraries import LibraryError, check_numeric_libraries, import_error, pip_install

# What OpenCV 4.5.4 and others say when they are imported beside a NumPy that they were not built for.
OTHER_NUMPY = (
    "numpy.core.multiarray failed to import",
    "_ARRAY_API not found",
    "\nA module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.2.6 as it may crash.",
    "numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject",
    "module compiled against ABI version 0x1000009 but this version of numpy is 0x2000000",
)
BROKEN_OPENCV = """
import sys
sys.stderr.write("A module that was compiled using NumPy 1.x cannot be run in NumPy 2.2.6 as it may crash.\\n")
raise ImportError("numpy.core.multiarray failed to import")
"""
CLONE = "in the clone of space_clip_ros: "


@pytest.fixture
def installed_numpy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda version: monkeypatch.setattr(importlib.metadata, "version", lambda name: version)


@pytest.fixture
def broken_opencv(tmp_path: Path) -> str:
    """A PYTHONPATH with an OpenCV as apt has it, beside the NumPy that pip brought."""
    (tmp_path / "cv2.py").write_text(BROKEN_OPENCV, encoding="utf-8")
    return f"{tmp_path}:{Path(__file__).resolve().parents[1]}"


@pytest.mark.parametrize("text", OTHER_NUMPY)
def test_another_numpy(text: str, installed_numpy: Callable[[str], None]) -> None:
    installed_numpy("2.2.6")
    line = str(import_error(ImportError(text), "cv2"))
    assert line == "cv2: is built for another NumPy than the installed 2.2.6; pip install 'numpy<2'"
    installed_numpy("1.21.5")
    assert "1.21.5; pip install 'numpy>=1.26,<2'" in str(import_error(ImportError(text), "cv2"))


@pytest.mark.parametrize(
    ("library", "distro", "remedy"),
    [
        ("rclpy", "", f"source /opt/ros/DISTRO/setup.bash, or {CLONE}pip install -c constraints/jazzy.txt -e '.[ros]'"),
        ("diagnostic_msgs", "humble", "sudo apt install ros-humble-diagnostic-msgs"),
        ("torch", "", f"{CLONE}pip install -c constraints/wheels.txt -e '.[train]'"),
        ("yaml", "", "pip install PyYAML"),
        ("elsewhere", "", "pip install elsewhere"),
    ],
)
def test_a_missing_one(library: str, distro: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_numpy_version", lambda: "2.2.6")
    monkeypatch.setenv("ROS_DISTRO", distro)
    error = import_error(ModuleNotFoundError(f"No module named '{library}'", name=f"{library}.part"))
    assert error.what == library
    assert sys.executable in error.reason
    assert error.remedy == remedy


def test_ros_built_for_another_python_is_not_taken_for_a_missing_one() -> None:
    text = "No module named 'rclpy._rclpy_pybind11'\nThe C extension '_rclpy_pybind11' isn't present on the system."
    line = str(import_error(ModuleNotFoundError(text, name="rclpy._rclpy_pybind11")))
    assert line.startswith("rclpy: ROS 2's modules are built for another Python than this 3.")
    assert line.endswith(
        "use the one of your ROS 2, usually /usr/bin/python3, with no conda or pyenv before it on PATH"
    )
    assert "\n" not in line


def test_ros_that_is_not_sourced_lacks_its_libraries() -> None:
    text = "librcl_action.so: cannot open shared object file\nThe C extension 'rclpy.so' failed to be imported"
    assert str(import_error(ImportError(text), "rclpy")) == (
        "rclpy: is installed, but cannot be loaded (ImportError: librcl_action.so: cannot open shared object file); "
        "source /opt/ros/DISTRO/setup.bash"
    )


def test_one_that_cannot_be_loaded_is_named_by_the_import_on_the_way(tmp_path: Path) -> None:
    file = tmp_path / "wheel.py"
    file.write_text("import space_clip_ros\nimport broken_library.part\n", encoding="utf-8")
    (tmp_path / "broken_library").mkdir()
    text = 'raise ImportError("libcudart.so.12: cannot open shared object file:\\n No such file or directory")\n'
    (tmp_path / "broken_library" / "__init__.py").write_text(text, encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(ImportError) as caught:
            importlib.import_module("wheel")
    finally:
        sys.path.remove(str(tmp_path))
    assert str(import_error(caught.value)) == (
        "broken_library: is installed, but cannot be loaded (ImportError: libcudart.so.12: cannot open shared object "
        "file: No such file or directory); install it again, for this machine's versions"
    )


@pytest.mark.parametrize(("version", "kept"), [("1.21.5", " 'numpy<2'"), ("2.2.6", "")])
def test_pip_keeps_numpy_1_where_it_is(version: str, kept: str, installed_numpy: Callable[[str], None]) -> None:
    installed_numpy(version)
    assert pip_install("onnxruntime") == f"pip install onnxruntime{kept}"
    constraints = "constraints/robot.txt" if kept else "constraints/wheels.txt"
    assert pip_install("rosbags") == f"{CLONE}pip install -c {constraints} -e '.[bags]'"


@pytest.mark.parametrize("library", sorted(libraries._EXTRAS))
def test_an_extra_that_brings_a_library_is_there(library: str) -> None:
    extras = (Path(__file__).resolve().parents[1] / "setup.py").read_text(encoding="utf-8")
    assert f'"{libraries._EXTRAS[library]}": [' in extras


def test_pip_on_an_externally_managed_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ubuntu 24.04's own Python, outside of a virtual environment."""
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(libraries, "_numpy_version", lambda: "1.26.4")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert pip_install("onnxruntime") == "pip install --break-system-packages onnxruntime 'numpy<2'"
    monkeypatch.setattr(sys, "prefix", "/home/robot/venv")
    assert "--break" not in pip_install("onnxruntime")


def test_here() -> None:
    check_numeric_libraries()


def test_what_a_library_says_is_passed_on_if_it_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "talkative.py").write_text("import sys\nsys.stderr.write('mind the gap\\n')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(libraries, "_NUMERIC", ("talkative",))
    check_numeric_libraries()
    assert capsys.readouterr().err == "mind the gap\n"
    monkeypatch.setattr(libraries, "_NUMERIC", ("not_there",))
    with pytest.raises(LibraryError, match="not_there: is not installed"):
        check_numeric_libraries()


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("depth_node", "from space_clip_ros.ros import executables; executables.depth_node()"),
        ("kitti_player", "from space_clip_ros.ros import executables; executables.kitti_player()"),
        ("live_view", "from space_clip_ros.tools import executables; executables.live_view()"),
        ("space_clip predict", "from space_clip_ros.cli.main import main; sys.exit(main(['predict', 'street.png']))"),
    ],
)
def test_every_program_ends_in_one_line(name: str, program: str, broken_opencv: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}"],
        env={"PYTHONPATH": broken_opencv},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"{name}: cv2: is built for another NumPy than the installed ")
    assert "pip install 'numpy" in result.stderr


def test_debug_shows_the_traceback(broken_opencv: str) -> None:
    program = "import sys; from space_clip_ros.cli.main import main; sys.exit(main(['predict', 'x.png', '--debug']))"
    result = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": broken_opencv}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("space_clip predict: cv2: is built for another NumPy")
