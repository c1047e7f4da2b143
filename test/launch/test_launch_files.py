"""Launch files: what they use is declared, and what they name exists.

They are built with stand-ins for ``launch`` and ``launch_ros`` that only remember what they were given, so that this
runs without ROS's launch system; where that is installed, they are built with it too.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from space_clip_ros.config import EvaluatorConfig, NodeConfig, PlayerConfig
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.messages import compressed_from_array
from space_clip_ros.messages.bag_types import BAGS
from space_clip_ros.settings import declared

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
SETTINGS = {"depth_node": NodeConfig, "kitti_player": PlayerConfig, "depth_evaluator": EvaluatorConfig}
EVERY_NODE_HAS = {"use_sim_time"}


class Remembered:
    """Stands in for every action: keeps its arguments."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        self.positional = positional
        self.named = named


def stand_ins() -> dict[str, types.ModuleType]:
    names = {
        "launch": ["LaunchDescription"],
        "launch.actions": [
            "DeclareLaunchArgument",
            "IncludeLaunchDescription",
            "OpaqueFunction",
            "SetEnvironmentVariable",
            "Shutdown",
        ],
        "launch.launch_description_sources": ["PythonLaunchDescriptionSource"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.parameter_descriptions": ["ParameterValue"],
        "ament_index_python.packages": ["PackageNotFoundError"],
    }
    modules = {}
    for module, classes in names.items():
        modules[module] = types.ModuleType(module)
        for name in classes:
            setattr(modules[module], name, type(name, (Remembered,), {}))
    packages = modules["ament_index_python.packages"]
    packages.PackageNotFoundError = KeyError  # type: ignore[attr-defined]
    packages.get_package_prefix = {"rviz2": "/opt/ros/some"}.__getitem__  # type: ignore[attr-defined]
    return modules


def load(path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem.replace(".", "_"), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Built:
    """A launch file, run with some arguments."""

    def __init__(self, path: Path, given: dict[str, str]) -> None:
        entities = load(path).generate_launch_description().positional[0]
        named = self.of_kind(entities, "DeclareLaunchArgument")
        self.defaults = {action.positional[0]: action.named["default_value"] for action in named}
        self.descriptions = {action.positional[0]: action.named["description"] for action in named}
        # A KeyError here means that something is used that was not declared.
        values = {name: default for name, default in self.defaults.items() if default is not None}
        context = types.SimpleNamespace(launch_configurations={**values, **given})
        functions = self.of_kind(entities, "OpaqueFunction")
        self.actions = [action for item in functions for action in item.named["function"](context)]
        self.nodes = self.of_kind(self.actions, "Node")
        self.includes = self.of_kind(self.actions, "IncludeLaunchDescription")

    @staticmethod
    def of_kind(actions: list[Remembered], kind: str) -> list[Remembered]:
        return [action for action in actions if type(action).__name__ == kind]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Built]]:
    for name, module in stand_ins().items():
        monkeypatch.setitem(sys.modules, name, module)
    yield lambda name, **given: Built(ROOT / "launch" / f"{name}.launch.py", {**needed(name), **given})


def needed(name: str) -> dict[str, str]:
    return {"drive": str(ROOT)} if name == "kitti" else {}


def parameters_of(node: Remembered) -> dict[str, Any]:
    own = [item for item in node.named["parameters"] if isinstance(item, dict)]
    return {name: plain(value) for item in own for name, value in item.items()}


def plain(value: Any) -> Any:
    """Return what a parameter will be: typed text as launch reads it, anything else as it is."""
    if not isinstance(value, Remembered):
        return value
    (text,), kind = value.positional, value.named["value_type"]
    return text if kind is str else yaml.safe_load(text)


def executables() -> set[str]:
    return set(re.findall(r"f\"(\w+) = \{NAME\}\.(?:ros|tools)\.", (ROOT / "setup.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", [path.name.removesuffix(".launch.py") for path in FILES])
class TestEveryFile:
    def test_arguments_are_described(self, name: str, build: Callable[..., Built]) -> None:
        assert all(build(name).descriptions.values())

    def test_executables_are_installed(self, name: str, build: Callable[..., Built]) -> None:
        built = build(name)
        for node in built.nodes:
            assert node.named["package"] == "space_clip_ros"
            assert node.named["executable"] in executables()

    def test_parameters_exist_and_have_their_type(self, name: str, build: Callable[..., Built]) -> None:
        for node in build(name, model="m.onnx", backend="torch", autostart="false").nodes:
            settings = SETTINGS.get(node.named["executable"])
            known = {setting.name: setting.type for setting in declared(settings)} if settings else {}
            for parameter, value in parameters_of(node).items():
                if parameter in EVERY_NODE_HAS:
                    assert isinstance(value, bool)
                else:
                    kind = list if typing.get_origin(known[parameter]) is tuple else known[parameter]
                    assert isinstance(value, kind), parameter

    def test_includes_exist_and_get_only_what_they_declare(self, name: str, build: Callable[..., Built]) -> None:
        for include in build(name).includes:
            path = Path(include.positional[0].positional[0])
            included = Built(path, {})
            given = set(dict(include.named["launch_arguments"]))
            assert given <= set(included.defaults)
            # An included file sees every argument of its includer's, so one of the same name must mean the same.
            assert set(build(name).defaults) & set(included.defaults) <= given

    def test_files_named_by_default_exist(self, name: str, build: Callable[..., Built]) -> None:
        for default in build(name).defaults.values():
            if default and default.endswith((".yaml", ".rviz", ".xml")):
                assert Path(default).is_file()

    def test_it_builds_with_the_real_launch_system(self, name: str) -> None:
        pytest.importorskip("launch_ros", reason="ROS's launch system is not installed")
        description = load(ROOT / "launch" / f"{name}.launch.py").generate_launch_description()
        assert description.get_launch_arguments()


def test_all_promised_launch_files_are_here() -> None:
    assert {path.name for path in FILES} == {"depth.launch.py", "kitti.launch.py", "multi_camera.launch.py"}


def test_the_parameter_file_rules_where_no_argument_is_given(build: Callable[..., Built]) -> None:
    (node,) = build("depth").nodes
    assert node.named["parameters"][0] == str(ROOT / "config" / "depth.yaml")
    assert parameters_of(node) == {}
    assert node.named["remappings"] == []


def test_arguments_become_parameters_and_remaps(build: Callable[..., Built]) -> None:
    (node,) = build("depth", namespace="front", image="/cam/image", model="7", autostart="false").nodes
    assert parameters_of(node) == {"model": "7", "autostart": False}
    assert node.named["namespace"] == "front"
    assert node.named["remappings"] == [("image", "/cam/image"), ("image/compressed", "/cam/image/compressed")]


@pytest.mark.parametrize(("given", "expected"), [("", None), ("true", True), ("1", True), ("off", False)])
def test_simulated_time_is_the_files_unless_it_is_given(
    given: str, expected: bool | None, build: Callable[..., Built], tmp_path: Path
) -> None:
    path = tmp_path / "depth.yaml"
    path.write_text("/**:\n  ros__parameters:\n    use_sim_time: true\n", encoding="utf-8")
    node, rviz = build("depth", params_file=str(path), use_sim_time=given, rviz="yes").nodes
    assert parameters_of(node).get("use_sim_time") is expected
    # RViz reads no such file, and must have the node's time.
    assert parameters_of(rviz) == {"use_sim_time": expected is not False}


def test_rviz_that_is_not_installed_is_told_before_anything_starts(
    build: Callable[..., Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["ament_index_python.packages"], "get_package_prefix", {}.__getitem__)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    with pytest.raises(RuntimeError, match="rviz2 is not installed; sudo apt install ros-jazzy-rviz2"):
        build("depth", rviz="true")


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("depth", {"rviz": "maybe"}, "rviz: must be true or false"),
        ("depth", {"params_file": "/no/such.yaml"}, "params_file: /no/such.yaml is not there"),
        (
            "depth",
            {"cameras": "a, b", "image": "/cam/image_raw"},
            "image: is /cam/image_raw, which starts with a slash",
        ),
        ("depth", {"cameras": "a,a"}, "a name of its own"),
        ("multi_camera", {"cameras": "a b"}, "begin with a letter, got"),
        ("kitti", {"rate": "fast"}, "rate: must be a number"),
        ("kitti", {"loop": "2"}, "loop: must be true or false"),
        ("kitti", {"drive": "/no/such/drive"}, "drive: /no/such/drive is no folder"),
        ("kitti", {"backend": "cuda"}, "backend: must be one of auto, "),
        ("depth", {"backend": "cuda"}, "backend: must be one of auto, "),
        ("depth", {"log_level": "bogus"}, "log_level: must be one of debug, info, warn, error, fatal, got 'bogus'"),
        ("kitti", {"log_level": "bogus"}, "log_level: must be one of"),
        ("depth", {"image_transport": "theora"}, "image_transport: must be one of raw, compressed"),
        ("depth", {"image": "/camera/image raw"}, "image: must be letters, digits and _"),
        ("depth", {"camera_info": "a//b"}, "camera_info: must be letters, digits and _"),
        ("depth", {"image": "/c/image/compressed"}, "give /c/image, with image_transport:=compressed"),
    ],
)
def test_arguments_that_mean_nothing_are_one_line(
    name: str, given: dict[str, str], text: str, build: Callable[..., Built]
) -> None:
    with pytest.raises(InputError, match=text) as caught:
        build(name, **given)
    assert "\n" not in str(caught.value)


def test_a_table_that_cannot_be_written_is_refused(build: Callable[..., Built], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        build("kitti", json=str(tmp_path))


@pytest.mark.parametrize("name", ["depth", "kitti", "multi_camera"])
def test_empty_arguments_are_those_left_out(name: str, build: Callable[..., Built]) -> None:
    """A launch file that includes these and has an empty default of its own passes it on."""
    left_out = build(name)
    empty = build(name, **{argument: "" for argument in left_out.defaults if argument != "drive"})
    for one, other in zip(left_out.actions, empty.actions, strict=True):
        assert plainly(one) == plainly(other)


def plainly(value: Any) -> Any:
    """Return an action and everything in it as plain values."""
    if isinstance(value, Remembered):
        return type(value).__name__, plainly(value.positional), plainly(value.named)
    if isinstance(value, dict):
        return {name: plainly(item) for name, item in value.items()}
    # what launch_arguments of an include are
    return [plainly(item) for item in value] if isinstance(value, (list, tuple, type({}.items()))) else value


def test_rviz_has_a_frame_if_the_argument_is_empty(build: Callable[..., Built]) -> None:
    _, rviz = build("depth", rviz="true", fixed_frame="").nodes
    assert rviz.named["arguments"][-2:] == ["-f", "camera_color_optical_frame"]


@pytest.mark.parametrize(("given", "expected"), [("false", False), ("true", True), ("", False)])
def test_the_node_is_started_again_only_if_asked(given: str, expected: bool, build: Callable[..., Built]) -> None:
    (node,) = build("depth", respawn=given).nodes
    assert (node.named["respawn"], node.named["respawn_delay"]) == (expected, 2.0)
    (include,) = build("multi_camera", respawn=given).includes
    assert dict(include.named["launch_arguments"])["respawn"] == (given or "false")


def test_blanks_around_camera_names_do_not_count(build: Callable[..., Built]) -> None:
    (node,) = build("depth", cameras="a, b ").nodes
    assert parameters_of(node) == {"cameras": ["a", "b"]}


def test_the_drives_player_waits_until_the_node_is_ready(build: Callable[..., Built]) -> None:
    player = next(node for node in build("kitti", loop="1").nodes if node.named["executable"] == "kitti_player")
    assert parameters_of(player)["wait_for_depth"] == parameters_of(player)["wait_for_subscribers"] == 60.0
    assert parameters_of(player)["loop"] is True


def test_rviz_shows_topics_that_exist_and_follows_them(build: Callable[..., Built]) -> None:
    node, rviz = build("depth", rviz="true", namespace="front", image="/cam/image").nodes
    view = yaml.safe_load((ROOT / "config" / "depth.rviz").read_text(encoding="utf-8"))
    displays = view["Visualization Manager"]["Displays"]
    shown = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    moved = dict(rviz.named["remappings"])
    assert node.named["executable"] == "depth_node"
    assert rviz.named["namespace"] == "front"
    depth = (f"/depth/{name}" for name in ("color", "points", "obstacles", "scan", "uncertainty"))
    assert shown == {"/image", *depth, "/semantic/markers"} <= set(moved)
    assert (moved["/image"], moved["/depth/points"]) == ("/cam/image", "depth/points")


def test_rviz_shows_the_first_of_several_cameras(build: Callable[..., Built]) -> None:
    _, rviz = build("depth", rviz="true", cameras="left,right", image="image_raw").nodes
    moved = dict(rviz.named["remappings"])
    assert (moved["/image"], moved["/depth/points"]) == ("left/image_raw", "left/depth/points")


def test_a_profile_of_the_users_own_is_left_alone(monkeypatch: pytest.MonkeyPatch, build: Callable[..., Built]) -> None:
    module = load(ROOT / "launch" / "depth.launch.py")
    monkeypatch.setattr(module.dds, "free_shared_memory", lambda: 1 << 30)
    for variable in (*module.dds.PROFILE_VARIABLES, "RMW_IMPLEMENTATION"):
        monkeypatch.delenv(variable, raising=False)
    (profile,) = (action.positional for action in module.dds_profile())
    assert profile[1] == str(ROOT / "config" / "fastdds.xml")
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")
    assert module.dds_profile() == []


def test_without_room_for_the_profile_it_is_not_set(
    monkeypatch: pytest.MonkeyPatch, build: Callable[..., Built]
) -> None:
    module = load(ROOT / "launch" / "depth.launch.py")
    monkeypatch.setattr(module.dds, "free_shared_memory", lambda: 64 << 20)
    assert module.dds_profile() == []


def test_cyclone_gets_its_own_profile(monkeypatch: pytest.MonkeyPatch, build: Callable[..., Built]) -> None:
    module = load(ROOT / "launch" / "depth.launch.py")
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    monkeypatch.delenv("CYCLONEDDS_URI", raising=False)
    (action,) = module.dds_profile()
    assert action.positional == ("CYCLONEDDS_URI", (ROOT / "config" / "cyclonedds.xml").as_uri())


def test_the_drive_decides_when_kitti_ends(build: Callable[..., Built]) -> None:
    built = build("kitti")
    ends = {node.named["executable"]: "on_exit" in node.named for node in built.nodes}
    assert ends == {"depth_evaluator": False, "kitti_player": True}


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bag on the plain topics, and one of compressed images below /rear."""
    pytest.importorskip("rosbags")
    from space_clip_ros.tools.bags import messages, qos
    from space_clip_ros.tools.bags.writer import BagWriter

    folder = tmp_path_factory.mktemp("bags")
    head, rgb = messages.header(5, "camera"), np.zeros((4, 6, 3), np.uint8)
    for name, topic, kind in (("plain", "/image", "Image"), ("rear", "/rear/image/compressed", "CompressedImage")):
        with BagWriter(folder / name) as bag:
            bag.add(topic, f"sensor_msgs/msg/{kind}", qos.SENSOR)
            picture = messages.image(rgb, head) if kind == "Image" else compressed_from_array(rgb, "png", head, BAGS)
            bag.write(topic, 5, picture)
    return {name: folder / name for name in ("plain", "rear")}


def test_a_bag_takes_the_drives_place(build: Callable[..., Built], bags: dict[str, Path]) -> None:
    built = build("kitti", drive="", bag=str(bags["plain"]), rate="0.5", loop="true")
    (depth,) = built.includes
    # RViz shows clouds in the frame of the bag's own camera.
    assert dict(depth.named["launch_arguments"])["fixed_frame"] == "camera"
    evaluator, player = built.nodes
    assert (evaluator.named["executable"], player.named["executable"]) == ("depth_evaluator", "bag_replay")
    words = player.named["arguments"]
    assert words[: words.index("--ros-args")] == [
        str(bags["plain"]),
        "--rate=0.5",
        "--loop",
        "--clock",
        "--wait=60.0",
        "--wait-for=/image",
    ]
    assert player.named["remappings"] == []
    assert "on_exit" in player.named
    assert {"bag_replay"} <= executables()
    assert dict(built.includes[0].named["launch_arguments"])["image_transport"] == ""


def test_a_bags_other_camera_is_moved_to_the_plain_topics(build: Callable[..., Built], bags: dict[str, Path]) -> None:
    built = build("kitti", drive="", bag=str(bags["rear"]), use_sim_time="false")
    player = built.nodes[-1]
    assert "--stamps=now" in player.named["arguments"]
    assert "--clock" not in player.named["arguments"]
    assert player.named["remappings"] == [
        ("/rear/image/compressed", "image/compressed"),
        ("/rear/camera_info", "camera_info"),
        ("/rear/ground_truth/image", "ground_truth/image"),
    ]
    given = dict(built.includes[0].named["launch_arguments"])
    assert parameters_of(build("depth", **given).nodes[0])["image_transport"] == "compressed"


def test_a_bags_player_understands_what_it_is_told(build: Callable[..., Built], bags: dict[str, Path]) -> None:
    from space_clip_ros.tools.bags.options import ReplayOptions

    parser = argparse.ArgumentParser()
    ReplayOptions.add_to(parser)
    for simulated in ("true", "false"):
        words = build("kitti", drive="", bag=str(bags["plain"]), use_sim_time=simulated).nodes[-1].named["arguments"]
        options = ReplayOptions.parsed(parser.parse_args(words[: words.index("--ros-args")]))
        assert (options.bag, options.clock) == (str(bags["plain"]), simulated == "true")


def test_a_bag_without_its_library_says_what_to_install(
    build: Callable[..., Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ("rosbags", "rosbags.interfaces"):
        monkeypatch.setitem(sys.modules, missing, None)
    for again in ("image_topics", "reader"):
        monkeypatch.delitem(sys.modules, f"space_clip_ros.tools.bags.{again}", raising=False)
    with pytest.raises(RuntimeError, match=r"rosbags: is not installed.*pip install.*python3 \$\(which ros2\) launch"):
        build("kitti", drive="", bag="/data/drive_0005")


def test_useless_choices_are_refused(build: Callable[..., Built], bags: dict[str, Path]) -> None:
    for given, message in (
        ({"drive": ""}, "give a drive or a bag"),
        ({"bag": str(bags["plain"])}, "give a drive or a bag"),
        ({"drive": "", "bag": "/nowhere"}, "/nowhere: no such bag"),
        ({"bag_image": "/rear/image"}, "bag_image chooses a topic of a bag"),
        ({"drive": "", "bag": str(bags["plain"]), "bag_image": "/rear/image"}, "no colour images on /rear/image"),
    ):
        with pytest.raises(RuntimeError, match=message):
            build("kitti", **given)


def test_simulated_time_comes_with_a_clock(build: Callable[..., Built]) -> None:
    for simulated, stamps in (("true", "drive"), ("false", "now")):
        built = build("kitti", use_sim_time=simulated)
        player = parameters_of(next(node for node in built.nodes if node.named["executable"] == "kitti_player"))
        assert (player["clock"], player["stamps"]) == (simulated == "true", stamps)
        assert dict(built.includes[0].named["launch_arguments"])["use_sim_time"] == simulated


def test_several_cameras_are_one_node(build: Callable[..., Built]) -> None:
    (include,) = build("multi_camera", cameras="front, rear", image="image_raw").includes
    given = dict(include.named["launch_arguments"])
    (node,) = build("depth", **given).nodes
    assert parameters_of(node) == {"cameras": ["front", "rear"]}
    assert node.named["remappings"] == [
        ("front/image", "front/image_raw"),
        ("rear/image", "rear/image_raw"),
        ("front/image/compressed", "front/image_raw/compressed"),
        ("rear/image/compressed", "rear/image_raw/compressed"),
    ]


def test_an_empty_camera_list_is_refused(build: Callable[..., Built]) -> None:
    with pytest.raises(RuntimeError, match="at least one"):
        build("multi_camera", cameras=" , ")
