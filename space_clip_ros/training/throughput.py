"""How fast training frames are read, so that one knows whether a GPU waits for them."""

from __future__ import annotations

import time
from typing import NamedTuple

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.dataset import AugmentedFrames, StepSampler, training_loader
from space_clip_ros.training_config import TrainingConfig, sources


class ReadingSpeed(NamedTuple):
    """What was measured.

    Attributes:
        samples_per_s: samples read, varied and stacked each second, over all workers.
        workers: reading processes; 0 where the measuring process read by itself.
        samples: number of samples measured.
    """

    samples_per_s: float
    workers: int
    samples: int

    @property
    def samples_per_s_per_worker(self) -> float:
        """Samples each second of one reading process."""
        return self.samples_per_s / max(self.workers, 1)


def measure_reading(config: TrainingConfig, seconds: float = 10.0) -> ReadingSpeed:
    """Read training batches for a while, as training would, and do nothing with them.

    Args:
        config: data, augmentation, batch size and workers.
        seconds: how long to measure; the workers' start and the first batches are not counted.

    Raises:
        ConfigError: the settings name no source, or too few frames for a batch.
        DataError: a frame cannot be read.
    """
    frames = FrameCollection(open_sources(sources(config.data.train)), config.data.resolution, config.data.skip_broken)
    sampler = StepSampler(frames.weights, config.optimizer.batch_size, config.seed)
    sampler.end_step = sampler.steps_per_epoch * 1_000_000
    dataset = AugmentedFrames(frames, config.augmentation, config.seed, config.model.input_size)
    batches = iter(training_loader(dataset, sampler, config.data.workers))
    for _ in range(max(config.data.workers, 1)):
        next(batches)
    begun, samples = time.monotonic(), 0
    while not samples or time.monotonic() - begun < seconds:
        samples += len(next(batches).images)
    return ReadingSpeed(samples / (time.monotonic() - begun), config.data.workers, samples)
