"""Bags: KITTI raw drives into rosbag2 folders, and reading and writing such folders without rosbag2 installed."""
