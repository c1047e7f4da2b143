"""Measures ``scale.mode`` on folders of frames: ``python scripts/measure_scale.py MODEL FOLDER=HEIGHT...``.

Each folder is read as ``kind: frames`` reads it; HEIGHT is its camera's height above the ground, metres. Prints a
Markdown table of abs_rel (standard protocol, Garg crop): without a scale, with that of the camera's height, with that
of every 64th row of the truth, and with each frame scaled to the truth's median. Each frame stands alone.
"""

from __future__ import annotations

import sys

import numpy as np

from space_clip_ros.cli.console import say
from space_clip_ros.cli.scale_evaluation import scale_spec
from space_clip_ros.data.frame_folder import FrameFolder
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.evaluation.scale_measurement import ScaleMeasurement
from space_clip_ros.inference import load_predictor
from space_clip_ros.perception.focal_scaling import focal_scaling
from space_clip_ros.training_config import SourceConfig


def measure(model: str, folders: dict[str, float]) -> None:
    """Print the table."""
    protocol = standard_protocol()
    say("| frames | | unscaled | camera height | used | every 64th row | used | truth's median |")
    say("|---|---|---|---|---|---|---|---|")
    with load_predictor(model) as predict:
        for folder, height in folders.items():
            frames = FrameFolder(SourceConfig(path=folder, kind="frames"))
            specs = (f"camera_height:{height:g}", "ranges:64")
            scales = [ScaleMeasurement(scale_spec(spec), protocol, [folder] * len(frames), 0.0, 1.0) for spec in specs]
            for index in range(len(frames)):
                frame = frames.frame(index)
                trained = predict.info.trained_for(frame.image.shape[1], frame.image.shape[0])
                factor = focal_scaling("auto", frame.camera, trained).factor
                depth = predict(frame.image) * np.float32(factor)
                for scale in scales:
                    scale(index, depth, frame)
            ground, ranges = (scale.result() for scale in scales)
            say(
                f"| {folder} | {len(frames)} | {ground.unscaled:.3f} | {ground.scaled:.3f} | {ground.used} | "
                f"{ranges.scaled:.3f} | {ranges.used} | {ground.median:.3f} |"
            )


if __name__ == "__main__":
    if len(sys.argv) < 3 or not all("=" in argument for argument in sys.argv[2:]):
        sys.exit(__doc__)
    pairs = (argument.rpartition("=") for argument in sys.argv[2:])
    measure(sys.argv[1], {folder: float(height) for folder, _, height in pairs})
