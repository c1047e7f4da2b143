from pathlib import Path

from setuptools import find_packages, setup

NAME = "space_clip_ros"
ROS = ["rosbags-image>=0.9"]  # instead of cv_bridge, which has no wheel
TEST = ["hypothesis", "pytest", "pytest-timeout", "pytest-xdist"]


def share(folder, pattern="*"):
    """Install the files of one folder under share/, where ros2 and the package look for them."""
    files = sorted(str(path) for path in Path(folder).glob(pattern) if path.is_file())
    return (f"share/{NAME}/{folder}", files)


setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "data/splits/*.txt", "tools/reporting/page/*", "tools/live/page/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        share("launch", "*.launch.py"),
        share("config"),
        share("config/cluster"),
        share("config/nav2"),
        share("models"),
    ],
    python_requires=">=3.10",
    install_requires=[
        "numpy>=1.21.6",
        "opencv-python-headless>=4.5.4",
        "onnxruntime>=1.16",
        "PyYAML>=5.4",
        "tqdm>=4.57",
    ],
    extras_require={
        # ROS 2 as wheels: Jazzy, or Kilted. A sourced ROS 2 replaces both.
        "ros": ["ros-jazzy-rclpy", "ros-jazzy-common-interfaces", "ros-jazzy-rmw-fastrtps-cpp", "rosbags-image>=0.9"],
        "ros-kilted": [
            "ros-rclpy~=9.1",
            "ros-common-interfaces~=5.5",
            "ros-rmw-fastrtps-cpp~=9.3",
            "rosbags-image>=0.9",
        ],
        "bags": ["rosbags>=0.11", "backports.zstd; python_version < '3.14'"],
        "view": ["tornado>=6.1"],
        # Reads the queries that 'space_clip text' writes; with tokenizers, runs an exported text tower.
        "language": ["safetensors>=0.4", "tokenizers>=0.15"],
        "lerobot": ["rosbags>=0.11", "backports.zstd; python_version < '3.14'", "pyarrow>=14"],
        # With Ray's client for ray:// addresses, and its dashboard, to which KubeRay submits jobs. A bucket also needs
        # its own file system: s3fs, gcsfs or adlfs.
        "fleet": [
            "rosbags>=0.11",
            "backports.zstd; python_version < '3.14'",
            "ray[default,client]>=2.40",
            "fsspec>=2023.1",
        ],
        # Needed to build engines. TensorRT itself comes with JetPack, or as the wheel tensorrt of the CUDA version.
        "engine": ["onnx>=1.16"],
        "nyu": ["h5py", "scipy"],
        "train": [
            "torch>=2.4",
            "torchvision>=0.19",
            "open_clip_torch>=2.30",
            "safetensors>=0.4",
            "tokenizers>=0.15",
            "onnx>=1.16",
            "tensorboard",
        ],
        "wandb": ["wandb>=0.19"],
        # What the tests of every interpreter need, and those of ./test.sh --quick; the whole suite needs dev.
        "test": TEST,
        "quick": [*TEST, "mcap", "mcap-ros2-support", "pytest-rerunfailures", "ruff"],
        "dev": [
            *TEST,
            "colcon-core",
            "colcon-python-setup-py",
            "colcon-ros",
            "mcap",
            "mcap-ros2-support",
            "mypy",
            # NVIDIA's, which read the graphs that TensorRT is given; without them that test is skipped
            "onnx-graphsurgeon",
            "polygraphy",
            "pyarrow",
            "pytest-cov",
            "pytest-rerunfailures",
            "ray",
            "ruff",
            "setuptools",
            # whose architecture of Depth Anything V2 is adopted; without it that test is skipped
            "transformers; python_version >= '3.11'",
            "types-PyYAML",
        ],
    },
    zip_safe=False,
    author="The space_clip_ros maintainers",
    maintainer="The space_clip_ros maintainers",
    maintainer_email="maintainers@space-clip-ros.example",
    description="Metric monocular depth from a frozen CLIP encoder: a ROS 2 node with training and evaluation.",
    long_description=Path("README.md").read_text(encoding="utf-8") if Path("README.md").is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            f"space_clip = {NAME}.cli.main:main",
            f"depth_node = {NAME}.ros.executables:depth_node",
            f"kitti_player = {NAME}.ros.executables:kitti_player",
            f"depth_evaluator = {NAME}.ros.executables:depth_evaluator",
            f"bag_replay = {NAME}.tools.executables:bag_replay",
            f"live_view = {NAME}.tools.executables:live_view",
        ]
    },
)
