from __future__ import annotations

import pytest

from space_clip_ros.errors import ConfigError
from space_clip_ros.training.throughput import ReadingSpeed, measure_reading


@pytest.mark.parametrize("workers", [0, 1])
def test_whole_batches_are_counted(tiny, workers):
    speed = measure_reading(tiny(data__workers=workers), seconds=0.0)
    assert speed.samples == 4 and speed.workers == workers and speed.samples_per_s > 0


def test_frames_are_opened_as_in_training(tiny):
    with pytest.raises(ConfigError, match=r"data\.canonical: needs model\.training_camera"):
        measure_reading(tiny(data__canonical=True), seconds=0.0)
    with pytest.raises(ConfigError, match=r"data\.train: names no source"):
        measure_reading(tiny(data__train=[]), seconds=0.0)


def test_a_worker_s_share():
    assert ReadingSpeed(30.0, 3, 100).samples_per_s_per_worker == 10.0
    assert ReadingSpeed(30.0, 0, 100).samples_per_s_per_worker == 30.0
