"""Bags: KITTI raw drives as rosbag2 folders, such folders read and written, messages as arrays; all without ROS."""
