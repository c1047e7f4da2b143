"""Several cameras: one ``depth_node`` with one model for all of them.

  ros2 launch space_clip_ros multi_camera.launch.py cameras:=front,rear image:=image_raw

Topics are ``front/image_raw``, ``front/depth/image`` and so on. Cameras take turns, and a backend that gains by it runs
their images together.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

FOLDER = Path(__file__).resolve().parent

ARGUMENTS = {
    "cameras": ("front,rear", "the cameras' names, separated by commas; their topics go below them"),
    "namespace": ("", "namespace of the node and its topics"),
    "params_file": (str(FOLDER.parent / "config" / "depth.yaml"), "parameters of depth_node"),
    "image": ("image", "topic of the images below each camera's name"),
    "camera_info": ("camera_info", "topic of their camera_info below each camera's name"),
    "model": ("", "bundled model's name or a file"),
    "backend": ("", "auto, onnxruntime, torch or tensorrt"),
    "autostart": ("", "false leaves configure and activate to a lifecycle manager"),
    "use_sim_time": ("false", "take the time from /clock"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=help)
        for name, (default, help) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=cameras)])


def cameras(context):
    value = context.launch_configurations
    names = [name.strip() for name in value["cameras"].split(",") if name.strip()]
    if not names:
        raise RuntimeError("cameras: give at least one name, e.g. cameras:=front,rear")
    if len(set(names)) < len(names):
        raise RuntimeError(f"cameras: every camera needs a name of its own, got {value['cameras']!r}")
    given = {name: value[name] for name in ARGUMENTS} | {"cameras": ",".join(names), "rviz": "false"}
    source = PythonLaunchDescriptionSource(str(FOLDER / "depth.launch.py"))
    return [IncludeLaunchDescription(source, launch_arguments=given.items())]
