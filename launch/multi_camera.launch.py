"""Several cameras: one ``depth_node`` for each, in the camera's namespace.

  ros2 launch space_clip_ros multi_camera.launch.py cameras:=front,rear image:=image_raw

Every camera has a process and a copy of the model of its own: as fast as the machine lets so many models run side by
side, and no faster. Topics are ``/front/image_raw``, ``/front/depth/image`` and so on.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

FOLDER = Path(__file__).resolve().parent

ARGUMENTS = {
    "cameras": ("front,rear", "the cameras' namespaces, separated by commas"),
    "params_file": (str(FOLDER.parent / "config" / "depth.yaml"), "parameters of every depth_node"),
    "image": ("image", "topic of the images inside each namespace"),
    "camera_info": ("camera_info", "topic of their camera_info inside each namespace"),
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
        raise RuntimeError("cameras: give at least one namespace, e.g. cameras:=front,rear")
    if len(set(names)) < len(names):
        raise RuntimeError(f"cameras: every camera needs a namespace of its own, got {value['cameras']!r}")
    shared = {name: value[name] for name in ARGUMENTS if name != "cameras"}
    source = PythonLaunchDescriptionSource(str(FOLDER / "depth.launch.py"))
    return [
        IncludeLaunchDescription(source, launch_arguments={**shared, "namespace": name, "rviz": "false"}.items())
        for name in names
    ]
