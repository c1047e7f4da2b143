"""Metric monocular depth from a frozen CLIP encoder, as a ROS 2 node and a Python library."""

__version__ = "0.1.0"
