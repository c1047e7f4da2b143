# depth_node on the CPU, with ROS 2 Jazzy (Ubuntu 24.04); x86-64 and aarch64.
#   docker build -t space_clip_ros .
#   docker build -t space_clip_ros:humble --build-arg ROS_IMAGE=ros:humble-ros-base .
# NVIDIA GPUs and Jetson: docs/docker.md.
ARG ROS_IMAGE=ros:jazzy-ros-base
FROM ${ROS_IMAGE}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# What changes seldom comes first, so that a changed source does not install everything again.
WORKDIR /opt/ws/src/space_clip_ros
COPY package.xml ./
COPY constraints ./constraints
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths . --ignore-src --rosdistro "$ROS_DISTRO" --dependency-types exec --skip-keys rviz2 -y \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
# Beside ROS 2's own NumPy 1 and OpenCV, which the constraints keep.
RUN python3 -m venv --system-site-packages /opt/venv \
    && /opt/venv/bin/python3 -m pip install --no-cache-dir -c constraints/robot.txt onnxruntime rosbags

COPY setup.py setup.cfg pyproject.toml README.md LICENSE ./
COPY resource ./resource
COPY launch ./launch
COPY config ./config
COPY models ./models
COPY space_clip_ros ./space_clip_ros
WORKDIR /opt/ws
# The environment's Python builds, so that the installed programs run on it.
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" \
    && /opt/venv/bin/python3 -m colcon build --packages-select space_clip_ros \
    && rm -rf build log

ENV PATH=/opt/venv/bin:$PATH
ENTRYPOINT ["/bin/bash", "-c", "source /opt/ws/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "space_clip_ros", "depth.launch.py"]
