"""Depth from an RGB image, on the fastest backend available."""

from space_clip_ros.inference.loading import load_predictor

__all__ = ["load_predictor"]
