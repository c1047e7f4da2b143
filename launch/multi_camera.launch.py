"""Start one ``depth_node`` with one model for several cameras.

  ros2 launch space_clip_ros multi_camera.launch.py cameras:=front,rear image:=image_raw

Topics are ``front/image_raw``, ``front/depth/image`` and so on. Cameras take turns. If the backend can run several
images at once, those that wait together run together.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

from space_clip_ros.config import BACKENDS
from space_clip_ros.ros.common.launch_arguments import camera_names, filled

FOLDER = Path(__file__).resolve().parent

ARGUMENTS = {
    "cameras": ("front,rear", "names of the cameras, separated by commas; each camera's topics are below its name"),
    "namespace": ("", "namespace of the node and its topics"),
    "params_file": (str(FOLDER.parent / "config" / "depth.yaml"), "YAML file with parameters of depth_node"),
    "image": ("image", "topic of the images, below each camera's name"),
    "camera_info": ("camera_info", "topic of the images' camera_info, below each camera's name"),
    "model": ("", "name of a bundled model, or a file"),
    "backend": ("", ", ".join(BACKENDS)),
    "image_transport": ("", "raw or compressed"),
    "autostart": ("", "false: a lifecycle manager configures and activates the node"),
    "respawn": ("false", "start the node again whenever it ends, as after some GPU errors"),
    "use_sim_time": ("", "use the time of /clock"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=help)
        for name, (default, help) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=cameras)])


def cameras(context):
    value = filled(context.launch_configurations, ARGUMENTS)
    names = camera_names(value["cameras"])
    if not names:
        raise RuntimeError("cameras: give at least one name, e.g. cameras:=front,rear")
    given = {name: value[name] for name in ARGUMENTS} | {"cameras": ",".join(names), "rviz": "false"}
    source = PythonLaunchDescriptionSource(str(FOLDER / "depth.launch.py"))
    return [IncludeLaunchDescription(source, launch_arguments=given.items())]
