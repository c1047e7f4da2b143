"""Bags: converts KITTI raw drives to rosbag2, reads and writes bags, and predicts depth for them; all without ROS."""
