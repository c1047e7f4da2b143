"""The description of the machine."""

from __future__ import annotations

import platform

import numpy as np

from space_clip_ros.tools.machine import describe_machine, usable_cores


def test_the_description_is_complete() -> None:
    result = describe_machine()
    assert {"processor", "cores", "memory", "system", "load", "python", "space_clip_ros", "onnxruntime"} <= set(result)
    assert result["numpy"] == np.__version__ and result["python"] == platform.python_version()
    assert all(result.values())
    assert result["cores"].startswith(f"{usable_cores()} usable of ")
