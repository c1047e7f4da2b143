"""The option ``evaluate --scale``."""

from __future__ import annotations

import argparse

import pytest

from space_clip_ros.cli.scale_evaluation import scale_spec


@pytest.mark.parametrize(
    "text", ["", "ranges", "ranges:1", "ranges:2.5", "camera_height:0", "camera_height:x", "camera_height:165", "tf:1"]
)
def test_other_evidence_is_wrong_usage(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="camera_height:METRES"):
        scale_spec(text)
