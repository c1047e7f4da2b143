"""A small model with random weights whose depth varies over the picture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from space_clip_ros.model import SpaceClip


@pytest.fixture(scope="session")
def model(tiny_model: Callable[..., SpaceClip]) -> SpaceClip:
    return tiny_model(training_camera=(1242.0, 375.0, 721.5, 721.5))
