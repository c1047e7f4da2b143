"""Cameras, depth maps and point clouds; needs only NumPy and OpenCV."""
