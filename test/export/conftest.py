"""A small model with random weights whose depth varies over the picture, and its graph for accelerators."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest

from space_clip_ros.export.onnx import _traced
from space_clip_ros.export.simplify import with_merged_adapters
from space_clip_ros.model import SpaceClip


@pytest.fixture(scope="session")
def model(tiny_model: Callable[..., SpaceClip]) -> SpaceClip:
    return tiny_model(training_camera=(1242.0, 375.0, 721.5, 721.5))


@pytest.fixture(scope="module")
def plainly_traced(model: SpaceClip) -> onnx.ModelProto:
    """The graph that becomes fp16, or int8 for TensorRT: for one image of 60 x 40 pixels."""
    return _traced(with_merged_adapters(model), (40, 60), 1, bands=1)
