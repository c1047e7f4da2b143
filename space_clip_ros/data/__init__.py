"""Data sets: KITTI, NYU and folders of listed frames, and their downloads."""
