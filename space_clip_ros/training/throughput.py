"""Measures how fast training frames are read, which shows whether a GPU would wait for them."""

from __future__ import annotations

import time
from typing import NamedTuple

from space_clip_ros.data.dataset import AugmentedFrames, StepSampler, training_loader
from space_clip_ros.training.assembly import open_frames
from space_clip_ros.training_config import TrainingConfig


class ReadingSpeed(NamedTuple):
    """A measured reading rate.

    Attributes:
        samples_per_s: samples read, augmented and stacked per second, over all workers.
        workers: reading processes; 0 if the measuring process read the samples itself.
        samples: number of samples measured.
    """

    samples_per_s: float
    workers: int
    samples: int

    @property
    def samples_per_s_per_worker(self) -> float:
        """Samples per second of one reading process."""
        return self.samples_per_s / max(self.workers, 1)


def measure_reading(config: TrainingConfig, seconds: float = 10.0) -> ReadingSpeed:
    """Read training batches as training would and discard them, and return the rate.

    Args:
        config: data, augmentation, batch size and workers.
        seconds: duration of the measurement, without the start of the workers and the first batches.

    Raises:
        ConfigError: the settings name no source, or too few frames for a batch.
        DataError: a frame cannot be read.
    """
    frames = open_frames("train", config)
    sampler = StepSampler(frames.weights, config.optimizer.batch_size, config.seed)
    sampler.end_step = sampler.steps_per_epoch * 1_000_000
    dataset = AugmentedFrames(frames, config.augmentation, config.seed, config.model.input_size)
    batches = iter(training_loader(dataset, sampler, config.data.workers))
    for _ in range(max(config.data.workers, 1)):
        next(batches)
    start, samples = time.monotonic(), 0
    while not samples or time.monotonic() - start < seconds:
        samples += len(next(batches).images)
    return ReadingSpeed(samples / (time.monotonic() - start), config.data.workers, samples)
