"""``space_clip benchmark --training``: our training step next to a plain eager loop of the same model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from space_clip_ros.cli.console import progress_bar, say


def measure(settings: Sequence[str], steps: int) -> dict[str, Any]:
    """Measure, print the main figures, and return the content of the JSON file.

    Args:
        settings: a YAML file, then any number of ``key=value``.
        steps: training steps per side.

    Raises:
        SpaceClipError: settings, data or device cannot be used, or a process failed.
    """
    from space_clip_ros.tools.benchmark.report import opening
    from space_clip_ros.tools.benchmark.training import SIDES, measure_training
    from space_clip_ros.tools.benchmark.training_report import training_summary
    from space_clip_ros.training.configuration import load_training

    config = load_training(settings[0], settings[1:])
    result = opening()
    with progress_bar(steps * len(SIDES), "training") as bar:
        result["training"] = measure_training(config, steps, bar.update)
    say(training_summary(result["training"]))
    return result
