"""The habits of docs and STYLE that hold the house together: who imports whom, what loads without what, one version."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import space_clip_ros

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "space_clip_ros"
FOUNDATION = {"errors", "config", "settings", "training_config"}
MAY_IMPORT = {
    "geometry": set(),
    "model": set(),
    "data": {"geometry"},
    "inference": {"geometry"},
    "export": {"model", "geometry", "inference"},
    "evaluation": {"data", "geometry", "inference"},
    "training": {"model", "data", "evaluation", "geometry"},
    "perception": {"geometry", "inference"},
    "bags": {"data", "geometry", "inference", "perception"},
    "ros": {"inference", "geometry", "data", "evaluation", "bags", "perception", "live"},
    "live": {"reporting"},
    "reporting": {"geometry", "data", "evaluation", "perception", "bags"},
    "benchmark": {"geometry", "inference"},
    "cli": {
        "geometry",
        "model",
        "data",
        "inference",
        "export",
        "evaluation",
        "training",
        "bags",
        "benchmark",
        "reporting",
    },
}
# A file that may reach further than its package.
EXCEPTIONS = {
    "inference/torch_backend.py": {"model", "export"},
    "benchmark/eager.py": {"model", "export"},
    "benchmark/plain_training.py": {"model", "data", "training"},
    "benchmark/training_side.py": {"model", "data", "training"},
}
# Heavy or optional libraries, and the only places that may name them.
ONLY_IN = {
    "torch": r"model/|export/|training/|inference/(torch_backend|torch_runner|cuda_torch)\.py"
    r"|data/(dataset|loading)\.py|benchmark/(device_roof|eager|plain_training|training_side)\.py",
    "open_clip": r"model/",
    "timm": r"model/",
    "safetensors": r"model/",
    "onnx": r"export/",
    "onnxruntime": r"inference/onnxruntime_backend\.py|export/",
    "tensorrt": r"inference/tensorrt_backend\.py|export/tensorrt\.py",
    "cuda": r"inference/cuda_python\.py",
    "rosbags": r"ros/|bags/",
    "cv_bridge": r"bags/",
    "tornado": r"live/",
    "rclpy": r"ros/",
    "sensor_msgs": r"ros/",
    "std_msgs": r"ros/",
    "diagnostic_msgs": r"ros/",
    "lifecycle_msgs": r"ros/",
    "rcl_interfaces": r"ros/",
    "rosgraph_msgs": r"ros/",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every dotted name a file imports, also inside functions and under TYPE_CHECKING."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names.add(node.module or "")
            if node.module == "space_clip_ros":
                names.update(f"space_clip_ros.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_floor_may(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    own = relative.partition("/")[0].removesuffix(".py")
    allowed = FOUNDATION | {own, "__version__"} | MAY_IMPORT.get(own, set()) | EXCEPTIONS.get(relative, set())
    for name in imports(path):
        if name.startswith("space_clip_ros."):
            assert name.split(".")[1] in allowed, f"{relative} imports {name}"
        top = name.partition(".")[0]
        if top in ONLY_IN:
            assert re.match(ONLY_IN[top], relative), f"{relative} imports {name}"


def test_the_foundation_imports_nothing_of_ours_above_it() -> None:
    for name in FOUNDATION:
        if (PACKAGE / f"{name}.py").exists():
            ours = {found.split(".")[1] for found in imports(PACKAGE / f"{name}.py") if found.startswith("space_clip_")}
            assert ours <= FOUNDATION


def run_blocked(blocked: list[str], statement: str) -> None:
    """Run a statement in a fresh interpreter that has none of the blocked packages."""
    program = f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n{statement}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


# Loaded on a machine with TensorRT only; their own tests load them with a stand-in.
NEEDS_TENSORRT = {
    "inference/tensorrt_backend.py",
    "inference/cuda_python.py",
    "export/tensorrt.py",
    "export/engine.py",
}
NO_ROS = ["rclpy", "sensor_msgs", "std_msgs", "diagnostic_msgs", "rosbags", "cv_bridge"]
NO_TORCH = ["torch", "torchvision", "open_clip", "timm", "onnx", "safetensors"]


@pytest.mark.parametrize("floor", ["geometry", "data", "inference", "perception", "evaluation", "benchmark"])
def test_the_core_loads_without_ros_and_without_torch(floor: str) -> None:
    running = {"torch_backend", "torch_runner", "cuda_torch", "device_roof", "eager"}
    torch_files = running | {"dataset", "loading", "plain_training", "training_side"}
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (PACKAGE / floor).rglob("*.py")
        if path.stem not in torch_files and str(path.relative_to(PACKAGE)) not in NEEDS_TENSORRT
    ]
    run_blocked(NO_ROS + NO_TORCH, "; ".join(f"import {name}" for name in names))


def test_the_model_and_training_load_without_ros() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules()
        if str(path.relative_to(PACKAGE)) not in NEEDS_TENSORRT and path.parts[-2] not in ("ros", "bags", "reporting")
    ]
    run_blocked(NO_ROS, "; ".join(f"import {name}" for name in names if name != "space_clip_ros.__init__"))


def test_every_command_shows_its_help_without_torch_and_ros() -> None:
    run_blocked(NO_ROS + NO_TORCH, "from space_clip_ros.cli.main import build_parser; build_parser().format_help()")


def test_one_version_everywhere() -> None:
    package_xml = ElementTree.parse(ROOT / "package.xml").getroot()
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert package_xml.findtext("version") == space_clip_ros.__version__
    assert f'version="{space_clip_ros.__version__}"' in setup
    assert space_clip_ros.__version__ in changelog


def test_modules_stay_small() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long, f"split these: {long}"
