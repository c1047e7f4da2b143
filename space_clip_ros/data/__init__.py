"""Data sets: KITTI, NYU and synthetic drives."""
