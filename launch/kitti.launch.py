"""Play a KITTI raw drive or a bag into ``depth_node``, with ``depth_evaluator`` and RViz; end with the drive or bag.

  ros2 launch space_clip_ros kitti.launch.py drive:=/data/2011_09_26/2011_09_26_drive_0005_sync rviz:=true
  ros2 launch space_clip_ros kitti.launch.py bag:=/data/drive_0005 rviz:=true

This package's own players wait for ``depth_node`` to subscribe, so ``ros2 bag play`` is not needed. A drive's also
waits until the node is ready for images; a bag's does not, and images that come before that get no depth.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from space_clip_ros.config import BACKENDS
from space_clip_ros.errors import SpaceClipError
from space_clip_ros.files import check_output_files
from space_clip_ros.libraries import import_error
from space_clip_ros.ros.common.launch_arguments import LOG_LEVELS, choice, filled, folder, number, truth
from space_clip_ros.tools.bags.options import ReplayOptions

FOLDER = Path(__file__).resolve().parent
WAIT_S = 60.0

ARGUMENTS = {
    "drive": ("", "folder of one KITTI raw drive (..._drive_NNNN_sync)"),
    "bag": ("", "a rosbag2 instead of a drive, such as space_clip bag writes: a folder, or one .mcap or .db3 file"),
    "bag_image": ("", "the bag's image topic, if it has several"),
    "rate": ("1.0", "playback speed; 1 is the drive's or bag's own"),
    "loop": ("false", "start again at the end"),
    "json": ("", "file to write the evaluator's final table to"),
    "params_file": (str(FOLDER.parent / "config" / "depth.yaml"), "YAML file with parameters of depth_node"),
    "model": ("", "name of a bundled model, or a file"),
    "backend": ("", ", ".join(BACKENDS)),
    "use_sim_time": (
        "true",
        "true: stamps of the drive or bag, with /clock; false: messages are stamped when they are sent",
    ),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "show image, depth and cloud in RViz"),
}
# Arguments passed on to depth.launch.py unchanged.
SHARED = ("params_file", "model", "backend", "use_sim_time", "log_level", "rviz")


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=help)
        for name, (default, help) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])


def nodes(context):
    value = filled(context.launch_configurations, ARGUMENTS)
    choice("log_level", value["log_level"], LOG_LEVELS)
    choice("backend", value["backend"], BACKENDS)
    simulated = truth("use_sim_time", value["use_sim_time"]) is not False
    if bool(value["drive"]) == bool(value["bag"]):
        raise RuntimeError("give a drive or a bag: drive:=/data/..._drive_NNNN_sync or bag:=/data/drive_0005")
    if value["bag_image"] and not value["bag"]:
        raise RuntimeError("bag_image chooses a topic of a bag, and there is none")
    if value["drive"]:
        folder("drive", value["drive"])
    check_output_files(Path(value["json"]) if value["json"] else None)
    camera, frame_id = images(value) if value["bag"] else (None, "")
    own = {
        **({"fixed_frame": frame_id} if frame_id else {}),
        "image_transport": "compressed" if camera and camera.compressed else "",
        "use_sim_time": str(simulated).lower(),
    }
    # First, because it also sets the DDS profile for everything that starts after it.
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(FOLDER / "depth.launch.py")),
        launch_arguments={**{name: value[name] for name in SHARED}, **own}.items(),
    )
    evaluator = node("depth_evaluator", value, {"json": text(value["json"]), "use_sim_time": simulated})
    player = bag_player(value, simulated, camera) if camera else drive_player(value, simulated)
    return [depth, evaluator, player]


def drive_player(value, simulated):
    parameters = {
        "drive": text(value["drive"]),
        "rate": number("rate", value["rate"]),
        "loop": truth("loop", value["loop"]) is True,
        "clock": simulated,
        "stamps": "drive" if simulated else "now",
        "wait_for_subscribers": WAIT_S,
        "wait_for_depth": WAIT_S,
    }
    return node("kitti_player", value, parameters, on_exit=[Shutdown(reason="the drive is over")])


def images(value):
    """Return the bag's image topic and its images' frame_id. The imports are here because drives need no rosbags."""
    try:
        from space_clip_ros.tools.bags.image_topics import choose_images
        from space_clip_ros.tools.bags.reader import BagReader
    except ImportError as error:
        hint = "if it is in a virtual environment, activate that and start with 'python3 $(which ros2) launch'"
        raise RuntimeError(f"{import_error(error)}; {hint}") from error
    try:
        with BagReader(value["bag"]) as bag:
            camera = choose_images(bag, [value["bag_image"]] if value["bag_image"] else [])[0]
            first = next(bag.messages([camera.name]), None)
            return camera, bag.decode(camera.name, first[2]).header.frame_id if first else ""
    except SpaceClipError as error:
        raise RuntimeError(str(error)) from error


def bag_player(value, simulated, camera):
    options = ReplayOptions(
        value["bag"],
        rate=number("rate", value["rate"]),
        loop=truth("loop", value["loop"]) is True,
        clock=simulated,
        wait=WAIT_S,
        wait_for=camera.name,
        stamps="bag" if simulated else "now",
    )
    # The node, the evaluator and RViz use the plain topics.
    ours = ("image/compressed" if camera.compressed else "image", "camera_info", "ground_truth/image")
    names = (camera.name, camera.info, f"{camera.namespace}ground_truth/image")
    return node(
        "bag_replay",
        value,
        {},
        options.arguments(),
        remappings=[(name, to) for name, to in zip(names, ours, strict=True) if name != f"/{to}"],
        on_exit=[Shutdown(reason="the bag is over")],
    )


def node(executable, value, parameters, words=(), **more):
    return Node(
        package="space_clip_ros",
        executable=executable,
        name=executable,
        parameters=[parameters] if parameters else [],
        arguments=[*words, "--ros-args", "--log-level", value["log_level"]],
        output="screen",
        **more,
    )


def text(value):
    """Keep text as text: launch would read an empty one as nothing and a folder named 2011 as a number."""
    return ParameterValue(value, value_type=str)
