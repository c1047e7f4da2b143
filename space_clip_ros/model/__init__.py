"""The network: a frozen vision tower, the dual-pathway decoder, and its checkpoints."""

from space_clip_ros.model.checkpoint import load_checkpoint, save_checkpoint
from space_clip_ros.model.space_clip import SpaceClip, SpaceClipOutput, build, predict_flip_averaged

__all__ = ["SpaceClip", "SpaceClipOutput", "build", "load_checkpoint", "predict_flip_averaged", "save_checkpoint"]
