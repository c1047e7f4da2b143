"""The description of the machine."""

from __future__ import annotations

import platform

import numpy as np

from space_clip_ros.tools.benchmark.machine import describe_machine, usable_cores


def test_the_description_is_complete() -> None:
    found = describe_machine()
    assert {"processor", "cores", "memory", "system", "load", "python", "space_clip_ros", "onnxruntime"} <= set(found)
    assert found["numpy"] == np.__version__ and found["python"] == platform.python_version()
    assert all(found.values())
    assert found["cores"].startswith(f"{usable_cores()} usable of ")
