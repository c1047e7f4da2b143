"""The habits of the house: who may import whom, what loads without what, no circles, one version."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

import space_clip_ros

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "space_clip_ros"
FOUNDATION = {"errors", "settings", "ros_parameters", "config", "model_config", "training_config", "files", "libraries"}
EVERYBODY = FOUNDATION | {"geometry", "__version__"}
ROOMS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
PRODUCT = ROOMS - {"tools"}
MAY_IMPORT = {
    "geometry": set(),
    "model": set(),
    "messages": set(),
    "data": set(),
    "synthetic": {"data"},
    "inference": {"language"},
    "export": {"model", "inference", "language"},
    "language": {"model"},
    "evaluation": {"data", "inference", "language", "perception"},
    "training": {"model", "data", "evaluation"},
    "perception": {"inference", "language"},
    "ros": {"messages", "perception", "inference", "language", "data", "evaluation"},
    "tools": ROOMS,
    "cli": ROOMS - {"ros"},
}
# A file that may reach further than its room, and why.
EXCEPTIONS = {
    "inference/torch_backend.py": {"model"},  # it runs checkpoints, which only the model can read
}
# Heavy or optional libraries, and the only places that may name them.
ONLY_IN = {
    "torch": r"model/|export/|training/|inference/(torch_\w+|gpu/cuda_torch)\.py"
    r"|data/dataset\.py|language/clip\w*\.py|tools/benchmark/(device_roofline|eager|plain_training|training_side)\.py"
    r"|tools/doctor/library_facts\.py",
    "open_clip": r"model/|language/clip\w*\.py",
    "timm": r"model/",
    "safetensors": r"model/|language/queries\.py",
    "wandb": r"training/wandb_log\.py",
    "onnx": r"export/",
    "tokenizers": r"language/tokens\.py",
    "onnxruntime": r"inference/onnx_(sessions|gpu_session|cuda)\.py|language/text_encoder\.py|export/"
    r"|tools/doctor/library_facts\.py",
    "tensorrt": r"inference/gpu/tensorrt_runtime\.py|export/tensorrt\.py|tools/doctor/library_facts\.py",
    "cuda": r"inference/gpu/cuda_python\.py|tools/doctor/library_facts\.py",
    "rosbags": r"messages/(bag_types|color_images)\.py|tools/bags/",
    "cv_bridge": r"messages/color_images\.py",
    "pyarrow": r"tools/lerobot/tables\.py",
    "ray": r"tools/fleet/ray_pool\.py",
    "fsspec": r"tools/fleet/storage\.py|data/shard_files\.py",
    "tornado": r"tools/live/",
    "tqdm": r"cli/console\.py",
    "rclpy": r"ros/|tools/",
    "tf2_ros": r"ros/node/(transforms|level_frame)\.py",
    "sensor_msgs": r"messages/|ros/|tools/",
    "std_msgs": r"messages/|ros/|tools/",
    "diagnostic_msgs": r"messages/|ros/|tools/",
    "lifecycle_msgs": r"ros/|tools/",
    "rcl_interfaces": r"ros/",
    "geometry_msgs": r"ros/|tools/",
    "rosgraph_msgs": r"ros/|tools/",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in modules()}


def imports(path: Path) -> set[str]:
    """Every module a file imports, also inside functions and under TYPE_CHECKING."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: imports are absolute here"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in MODULES or node.module == "space_clip_ros" else node.module)
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    own = relative.partition("/")[0].removesuffix(".py")
    if own in FOUNDATION or own == "__init__":
        allowed = FOUNDATION
    else:
        allowed = EVERYBODY | {own} | MAY_IMPORT[own] | EXCEPTIONS.get(relative, set())
    for name in imports(path):
        if name.startswith("space_clip_ros."):
            assert name.split(".")[1] in allowed, f"{relative} imports {name}"
        top = name.partition(".")[0]
        if top in ONLY_IN:
            assert re.match(ONLY_IN[top], relative), f"{relative} imports {name}"


def test_every_room_is_in_the_table_and_the_product_never_imports_tools() -> None:
    assert set(MAY_IMPORT) == ROOMS
    # Two commands of the product take a bag too; nothing else of it knows a tool.
    assert not any("tools" in MAY_IMPORT[room] for room in PRODUCT - {"cli"})
    assert [name for name, path in MODULES.items() if name.split(".")[1:2] == ["cli"] and reaches_tools(path)] == [
        "space_clip_ros.cli.predict_bag"
    ]


def reaches_tools(path: Path) -> bool:
    return any(name.startswith("space_clip_ros.tools") for name in imports(path))


def circles() -> Iterator[list[str]]:
    """Yield each way that leads from a module back to itself, deferred imports included."""
    links = {name: sorted(imports(path) & MODULES.keys() - {name}) for name, path in MODULES.items()}
    finished: set[str] = set()
    for first in links:
        way: list[str] = []

        def visit(name: str, way: list[str] = way) -> Iterator[list[str]]:
            if name in way:
                yield [*way[way.index(name) :], name]
            elif name not in finished:
                way.append(name)
                for other in links[name]:
                    yield from visit(other)
                way.pop()
                finished.add(name)

        yield from visit(first)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not [" -> ".join(circle) for circle in circles()]


def run_blocked(blocked: list[str], statement: str) -> None:
    """Run a statement in a fresh interpreter that has none of the blocked packages."""
    program = f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n{statement}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


# Loaded on a machine with TensorRT only; their own tests load them with a stand-in.
NEEDS_TENSORRT = {
    "inference/gpu/tensorrt_backend.py",
    "inference/gpu/tensorrt_runtime.py",
    "inference/gpu/cuda_python.py",
    "export/tensorrt.py",
    "export/engine.py",
}
NO_ROS = ["rclpy", "sensor_msgs", "std_msgs", "diagnostic_msgs", "rosbags", "cv_bridge"]
NO_TORCH = ["torch", "torchvision", "open_clip", "timm", "onnx", "safetensors"]


@pytest.mark.parametrize(
    "room",
    [
        "geometry",
        "messages",
        "data",
        "synthetic",
        "inference",
        "language",
        "perception",
        "evaluation",
        "tools/benchmark",
    ],
)
def test_the_core_loads_without_ros_and_without_torch(room: str) -> None:
    needs_torch = re.compile(ONLY_IN["torch"])
    names = [
        name
        for name, path in MODULES.items()
        if (relative := str(path.relative_to(PACKAGE))).startswith(f"{room}/")
        and not needs_torch.match(relative)
        and relative not in NEEDS_TENSORRT
        and name not in {*ROS_ONLY, NEEDS_ROSBAGS}
    ]
    assert names
    run_blocked(NO_ROS + NO_TORCH, "; ".join(f"import {name}" for name in names))


# Loaded where bags are, which needs rosbags.
NEEDS_ROSBAGS = "space_clip_ros.messages.bag_types"
# Parts of the benchmark that are ROS nodes, or that start them.
ROS_ONLY = {f"space_clip_ros.tools.benchmark.{name}" for name in ("camera_sender", "conversions", "end_to_end")}


def test_the_model_and_training_load_without_ros() -> None:
    pytest.importorskip("torch")
    names = [
        name
        for name, path in MODULES.items()
        if str(path.relative_to(PACKAGE)) not in NEEDS_TENSORRT
        and name.split(".")[1:2] not in (["ros"], ["tools"])
        and name != NEEDS_ROSBAGS
    ]
    run_blocked(NO_ROS, "; ".join(f"import {name}" for name in names))


def test_every_command_shows_its_help_without_torch_and_ros() -> None:
    run_blocked(NO_ROS + NO_TORCH, "from space_clip_ros.cli.main import build_parser; build_parser().format_help()")


def test_one_version_everywhere() -> None:
    package_xml = ElementTree.parse(ROOT / "package.xml").getroot()
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert package_xml.findtext("version") == space_clip_ros.__version__
    assert f'version="{space_clip_ros.__version__}"' in setup
    assert space_clip_ros.__version__ in changelog
