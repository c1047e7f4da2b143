"""Depth from an RGB image, on whichever backend is there."""
