"""Depth from an RGB image, on whichever backend is there."""

from space_clip_ros.inference.loading import load_predictor

__all__ = ["load_predictor"]
