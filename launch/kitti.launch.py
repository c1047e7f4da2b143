"""A KITTI raw drive played into ``depth_node``, with ``depth_evaluator`` and RViz; ends when the drive is over.

ros2 launch space_clip_ros kitti.launch.py drive:=/data/2011_09_26/2011_09_26_drive_0005_sync rviz:=true
"""

from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

FOLDER = Path(__file__).resolve().parent

ARGUMENTS = {
    "drive": (None, "folder of one KITTI raw drive (..._drive_NNNN_sync)"),
    "rate": ("1.0", "playback speed; 1 is the drive's own"),
    "loop": ("false", "start again at the end"),
    "json": ("", "file for the evaluator's final table"),
    "params_file": (str(FOLDER.parent / "config" / "depth.yaml"), "parameters of depth_node"),
    "model": ("", "bundled model's name or a file"),
    "backend": ("", "auto, onnxruntime, torch or tensorrt"),
    "use_sim_time": (
        "true",
        "true: the drive's stamps and /clock; false: every frame is stamped when it is sent",
    ),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "show image, depth and cloud in RViz"),
}
# Arguments that depth.launch.py takes as they are.
SHARED = ("params_file", "model", "backend", "use_sim_time", "log_level", "rviz")


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=help)
        for name, (default, help) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])


def nodes(context):
    value = context.launch_configurations
    simulated = yaml.safe_load(value["use_sim_time"]) is True
    # First, as it also sets the DDS profile for what starts after it.
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(FOLDER / "depth.launch.py")),
        launch_arguments={name: value[name] for name in SHARED}.items(),
    )
    evaluator = node("depth_evaluator", value, {"json": text(value["json"]), "use_sim_time": simulated})
    player = node(
        "kitti_player",
        value,
        {
            "drive": text(value["drive"]),
            "rate": float(value["rate"]),
            "loop": yaml.safe_load(value["loop"]) is True,
            "clock": simulated,
            "stamps": "drive" if simulated else "now",
            "wait_for_subscribers": 60.0,
        },
        on_exit=[Shutdown(reason="the drive is over")],
    )
    return [depth, evaluator, player]


def node(executable, value, parameters, **more):
    return Node(
        package="space_clip_ros",
        executable=executable,
        name=executable,
        parameters=[parameters],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
        **more,
    )


def text(value):
    """Keep text as it is: launch would read an empty one as nothing and a folder named 2011 as a number."""
    return ParameterValue(value, value_type=str)
