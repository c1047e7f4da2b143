"""Frames as PyTorch reads them: which frame each step sees, and what is done to it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from space_clip_ros.data.augmentation import augment
from space_clip_ros.data.collection import FrameCollection
from space_clip_ros.errors import ConfigError
from space_clip_ros.training_config import AugmentationConfig


class Draw(NamedTuple):
    """One look at one frame: which epoch, which place in its order, which frame of the collection."""

    epoch: int
    place: int
    frame: int


class Batch(NamedTuple):
    """A batch as the loader gives it.

    Attributes:
        images: (B, H, W, 3) uint8 RGB; of the network's input size in consistent geometry.
        depth: (B, 1, h, w) float32 metres, NaN where unknown.
        frames: (B,) int64 indices into the collection.
    """

    images: Tensor
    depth: Tensor
    frames: Tensor


class AugmentedFrames(Dataset[tuple[NDArray[np.uint8], NDArray[np.float32], int]]):
    """Varied frames; what a :class:`Draw` gives depends on nothing but the seed and itself.

    Args:
        frames: what to draw from.
        augmentation: how frames are varied.
        seed: decides every variation.
        input_size: height and width of the network's input. Consistent geometry resizes varied frames to it at once, so
            that frames of cameras that differ by a few pixels can share a batch; the training step resizes other views.
    """

    def __init__(
        self,
        frames: FrameCollection,
        augmentation: AugmentationConfig,
        seed: int,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        """Read nothing yet."""
        self._frames = frames
        self._input_size = input_size if augmentation.geometry == "consistent" else None
        self._augmentation = augmentation
        self._seed = seed

    def __getitem__(self, draw: Draw) -> tuple[NDArray[np.uint8], NDArray[np.float32], int]:
        """Return one varied frame: image, depth, index."""
        rng = np.random.default_rng((self._seed, draw.epoch, draw.place))
        image, depth = augment(self._frames[draw.frame], self._augmentation, rng)
        return image if self._input_size is None else _resize(image, self._input_size), depth, draw.frame


class StepSampler(Sampler[list[Draw]]):
    """Every step's draws, over all epochs of a run, so that reading never pauses between epochs.

    An epoch shows each frame ``weight`` times on average, in an order that follows from the seed; draws that do not
    fill a batch are left out. Each process takes its own slice of every batch, so the frames of a step do not depend on
    the number of processes.

    Args:
        weights: of each frame of the collection.
        batch_size: over all processes together.
        seed: of the order.
        rank: of this process.
        processes: how many there are.

    Raises:
        ConfigError: the batch cannot be shared out evenly, or an epoch has fewer draws than one batch.
    """

    def __init__(self, weights: Sequence[float], batch_size: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        """Count the steps of an epoch; all of one epoch until told otherwise."""
        if batch_size % processes:
            raise ConfigError(
                f"optimizer.batch_size: must be a multiple of the {processes} processes, got {batch_size}"
            )
        self._weights = np.asarray(weights)
        self._batch_size = batch_size
        self._seed = seed
        self._share = slice(rank * batch_size // processes, (rank + 1) * batch_size // processes)
        # Fractions are rounded at random, epoch by epoch, so only their floor is certain to be there.
        self.steps_per_epoch = int(np.floor(self._weights.sum() + 1e-9)) // batch_size
        if not self.steps_per_epoch:
            raise ConfigError(
                f"optimizer.batch_size: an epoch has {self._weights.sum():g} frames, fewer than a batch of {batch_size}"
            )
        self.first_step = 0
        self.end_step = self.steps_per_epoch

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield each step's draws of this process."""
        order: NDArray[np.intp] = np.empty(0, np.intp)
        for step in range(self.first_step, self.end_step):
            epoch, batch = divmod(step, self.steps_per_epoch)
            if step == self.first_step or not batch:
                order = self._order(epoch)
            places = range(batch * self._batch_size, (batch + 1) * self._batch_size)[self._share]
            yield [Draw(epoch, place, int(order[place])) for place in places]

    def __len__(self) -> int:
        """Return the number of steps left."""
        return self.end_step - self.first_step

    def _order(self, epoch: int) -> NDArray[np.intp]:
        rng = np.random.default_rng((self._seed, epoch))
        shuffled = rng.permutation(len(self._weights))
        # Systematic rounding: every frame comes floor(weight) or ceil(weight) times, and the total stays the sum.
        edges = np.floor(np.cumsum(self._weights[shuffled]) + rng.random() + 1e-9)
        counts = np.diff(edges, prepend=0.0).astype(np.intp)
        return rng.permutation(np.repeat(shuffled, counts))


def training_loader(
    dataset: AugmentedFrames, sampler: StepSampler, workers: int, pin_memory: bool = False
) -> DataLoader[Any]:
    """Return a loader of :class:`Batch` that goes through the sampler's steps, whatever the number of workers."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_prepare_worker,
        prefetch_factor=4 if workers else None,
    )


def _prepare_worker(number: int) -> None:
    # Ctrl-C reaches every process of a terminal; the training process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # One process for each core is enough; threads of its own would only get in the others' way.
    cv2.setNumThreads(0)


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize as inference does, with Pillow's antialiased bicubic kernel; Pillow's rounding comes with it."""
    if image.shape[:2] == size:
        return image
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, size, mode="bicubic", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def collate(samples: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32], int]]) -> Batch:
    """Stack samples of one size.

    Raises:
        ConfigError: the samples' sizes differ.
    """
    images, depths, frames = zip(*samples, strict=True)
    for name, arrays in (("images", images), ("depth maps", depths)):
        if len({array.shape for array in arrays}) > 1:
            raise ConfigError(
                f"{name} of a batch differ in size ({sorted({array.shape[:2] for array in arrays})}); "
                "set augmentation.crop or data.resolution, or augmentation.geometry to consistent"
            )
    return Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(depths))[:, None], torch.tensor(frames))
