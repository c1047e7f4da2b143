"""Cameras, depth maps and point clouds, on NumPy and OpenCV alone."""
