"""Start ``depth_node`` for one camera or several, and RViz if you want it.

  ros2 launch space_clip_ros depth.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info rviz:=true

Arguments left empty keep the value of ``params_file``.
"""

import os
from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from space_clip_ros.ros.common import dds

SHARE = Path(__file__).resolve().parents[1]
PROCESSES = 2

ARGUMENTS = {
    "namespace": ("", "namespace of the node and its topics"),
    "params_file": (str(SHARE / "config" / "depth.yaml"), "YAML file with parameters of depth_node"),
    "image": ("image", "topic of the images; always without /compressed"),
    "camera_info": ("camera_info", "topic of the images' camera_info"),
    "cameras": ("", "names of several cameras, separated by commas; each camera's topics are below its name"),
    "model": ("", "name of a bundled model, or a file"),
    "backend": ("", "auto, onnxruntime, torch or tensorrt"),
    "image_transport": ("", "raw or compressed"),
    "autostart": ("", "false: a lifecycle manager configures and activates the node"),
    "use_sim_time": ("false", "use the time of /clock"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "show depth and cloud in RViz"),
    "fixed_frame": ("camera_color_optical_frame", "RViz's fixed frame, usually the images' frame_id"),
}
# Arguments that become parameters of the node unless they are empty.
TEXTS = ("model", "backend", "image_transport")
RVIZ_TOPICS = ("image", "depth/image", "depth/color", "depth/points")


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
    value = context.launch_configurations
    simulated = yaml.safe_load(value["use_sim_time"])
    # Without the type, launch would read a model named 7 as a number.
    parameters = {name: ParameterValue(value[name], value_type=str) for name in TEXTS if value[name]}
    if value["autostart"]:
        parameters["autostart"] = yaml.safe_load(value["autostart"])
    cameras = [name for name in value["cameras"].split(",") if name]
    if cameras:
        parameters["cameras"] = cameras
    moved = [name for name in ("image", "camera_info") if value[name] != name]
    folders = [f"{camera}/" for camera in cameras] or [""]
    remaps = [(f"{folder}{name}", f"{folder}{value[name]}") for folder in folders for name in moved]
    depth = Node(
        package="space_clip_ros",
        executable="depth_node",
        name="depth",
        namespace=value["namespace"],
        parameters=[value["params_file"], {**parameters, "use_sim_time": simulated}],
        # As in image_transport, remapping the image also remaps its compressed form.
        remappings=[
            *remaps,
            *((f"{name}/compressed", f"{to}/compressed") for name, to in remaps if name.endswith("image")),
        ],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
    )
    return [depth, rviz(value, simulated)] if yaml.safe_load(value["rviz"]) is True else [depth]


def rviz(value, simulated):
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=value["namespace"],
        parameters=[{"use_sim_time": simulated}],
        # The view uses topics at the root; remap them to the node's.
        remappings=[(f"/{topic}", value["image"] if topic == "image" else topic) for topic in RVIZ_TOPICS],
        arguments=["-d", str(SHARE / "config" / "depth.rviz"), "-f", value["fixed_frame"]],
        output="screen",
    )
