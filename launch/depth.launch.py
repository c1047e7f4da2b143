"""Start ``depth_node`` for one camera or several, and RViz if you want it.

  ros2 launch space_clip_ros depth.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info rviz:=true

An empty argument is one that is left out: it has its default, or keeps the value of ``params_file``.
"""

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from space_clip_ros.config import BACKENDS
from space_clip_ros.ros.common import dds
from space_clip_ros.ros.common.launch_arguments import (
    LOG_LEVELS,
    TRANSPORTS,
    camera_names,
    choice,
    filled,
    parameter_file,
    simulated_time,
    topic,
    topic_below_cameras,
    truth,
)

SHARE = Path(__file__).resolve().parents[1]
PROCESSES = 2
RESPAWN_S = 2.0

ARGUMENTS = {
    "namespace": ("", "namespace of the node and its topics"),
    "params_file": (str(SHARE / "config" / "depth.yaml"), "YAML file with parameters of depth_node"),
    "image": ("image", "topic of the images; always without /compressed"),
    "camera_info": ("camera_info", "topic of the images' camera_info"),
    "cameras": ("", "names of several cameras, separated by commas; each camera's topics are below its name"),
    "model": ("", "name of a bundled model, or a file"),
    "backend": ("", ", ".join(BACKENDS)),
    "image_transport": ("", "raw or compressed"),
    "autostart": ("", "false: a lifecycle manager configures and activates the node"),
    "respawn": ("false", "start the node again whenever it ends, as after some GPU errors"),
    "use_sim_time": ("", "use the time of /clock"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "show depth and cloud in RViz; of several cameras those of the first"),
    "fixed_frame": ("camera_color_optical_frame", "RViz's fixed frame, usually the images' frame_id"),
}
# Arguments that become parameters of the node unless they are empty.
TEXTS = ("model", "backend", "image_transport")
_DEPTH = ("image", "color", "points", "obstacles", "scan", "uncertainty")
RVIZ_TOPICS = ("image", *(f"depth/{name}" for name in _DEPTH), "semantic/markers")


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=help)
        for name, (default, help) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, *dds_profile(), OpaqueFunction(function=nodes)])


def dds_profile():
    """Let DDS carry whole images, unless the user has set a profile or shared memory is too small for ours."""
    shipped = dds.shipped_environment(os.environ, SHARE / "config", PROCESSES)
    return [SetEnvironmentVariable(name, value) for name, value in shipped.items()]


def nodes(context):
    value = filled(context.launch_configurations, ARGUMENTS)
    for name, choices in (("backend", BACKENDS), ("image_transport", TRANSPORTS), ("log_level", LOG_LEVELS)):
        choice(name, value[name], choices)
    params_file = parameter_file("params_file", value["params_file"])
    simulated = truth("use_sim_time", value["use_sim_time"])
    # Without its type launch would read a model named 7 as a number.
    parameters = {name: ParameterValue(value[name], value_type=str) for name in TEXTS if value[name]}
    truths = {"autostart": truth("autostart", value["autostart"]), "use_sim_time": simulated}
    parameters.update({name: given for name, given in truths.items() if given is not None})
    cameras = camera_names(value["cameras"])
    if cameras:
        parameters["cameras"] = cameras
    moved = [name for name in ("image", "camera_info") if topic(name, value[name]) != name]
    folders = [f"{camera}/" for camera in cameras] or [""]
    if cameras:
        for name in moved:
            topic_below_cameras(name, value[name])
    remaps = [(f"{folder}{name}", f"{folder}{value[name]}") for folder in folders for name in moved]
    depth = Node(
        package="space_clip_ros",
        executable="depth_node",
        name="depth",
        namespace=value["namespace"],
        parameters=[params_file, parameters] if parameters else [params_file],
        # As in image_transport, moving the image moves its compressed form too.
        remappings=[
            *remaps,
            *((f"{name}/compressed", f"{to}/compressed") for name, to in remaps if name.endswith("image")),
        ],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
        respawn=truth("respawn", value["respawn"]) is True,
        respawn_delay=RESPAWN_S,
    )
    if not truth("rviz", value["rviz"]):
        return [depth]
    return [depth, rviz(value, folders[0], simulated_time(params_file) if simulated is None else simulated)]


def rviz(value, folder, simulated):
    # Before anything starts: launch would leave the node behind as an orphan.
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError as error:
        distribution = os.environ.get("ROS_DISTRO", "$ROS_DISTRO")
        raise RuntimeError(f"rviz: rviz2 is not installed; sudo apt install ros-{distribution}-rviz2") from error
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=value["namespace"],
        parameters=[{"use_sim_time": simulated}],
        # The view uses topics at the root; remap them to the node's.
        remappings=[(f"/{name}", f"{folder}{value.get(name, name)}") for name in RVIZ_TOPICS],
        arguments=["-d", str(SHARE / "config" / "depth.rviz"), "-f", value["fixed_frame"]],
        output="screen",
    )
