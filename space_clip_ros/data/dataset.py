"""PyTorch data set, sampler and loader: which frames each training step sees, and how they are augmented."""

from __future__ import annotations

import contextlib
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

from space_clip_ros.data.augmentation import augment, labels_or_unlabelled, splice
from space_clip_ros.data.collection import FrameCollection
from space_clip_ros.data.frames import RgbdFrame, SkippedFrameError
from space_clip_ros.errors import ConfigError, DataError, SpaceClipError
from space_clip_ros.training_config import AugmentationConfig


class Draw(NamedTuple):
    """One draw of a frame: the epoch, the place in the epoch's order, and the frame's index in the collection."""

    epoch: int
    place: int
    frame: int


class Batch(NamedTuple):
    """A batch from the loader.

    Attributes:
        images: (B, H, W, 3) uint8 RGB; at the network's input size if the geometry is ``consistent``.
        depth: (B, 1, h, w) float32 metres, NaN where unknown.
        frames: (B,) int64 indices into the collection.
        labels: (B, h, w) uint8 classes, :data:`~space_clip_ros.model_config.UNLABELLED` where unknown; None if no frame
            has any.
    """

    images: Tensor
    depth: Tensor
    frames: Tensor
    labels: Tensor | None = None


class AugmentedFrames(Dataset[tuple[RgbdFrame, int]]):
    """Augmented frames; the frame of a :class:`Draw` depends only on the draw and the seed.

    Args:
        frames: the frames to draw from.
        augmentation: how frames are varied.
        seed: seed of every variation.
        input_size: height and width of the network's input. With consistent geometry, frames are resized to it here,
            so that cameras whose sizes differ by a few pixels can share a batch; otherwise the training step resizes.
    """

    def __init__(
        self,
        frames: FrameCollection,
        augmentation: AugmentationConfig,
        seed: int,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        """Keep the settings; nothing is read yet."""
        self._frames = frames
        self._input_size = input_size if augmentation.geometry == "consistent" else None
        self._augmentation = augmentation
        self._seed = seed
        self._cumulated: NDArray[np.float64] | None = None

    def __getitem__(self, draw: Draw) -> tuple[RgbdFrame, int]:
        """Return one augmented frame, and its index in the collection.

        Raises:
            DataError: the frame cannot be read, or no frame can and the broken ones are skipped.
        """
        rng = np.random.default_rng((self._seed, draw.epoch, draw.place))
        config = self._augmentation
        frame = self._varied(draw.frame, rng)
        if config.splice and rng.random() < config.splice:
            frame = splice(frame, self._varied(self._partner(rng), rng), rng)
        image = frame.image if self._input_size is None else _resize(frame.image, self._input_size)
        return frame._replace(image=image), draw.frame

    def __getitems__(self, draws: Sequence[Draw]) -> list[tuple[RgbdFrame, int]] | SpaceClipError:
        """Return the frames of a batch, or the error of one as a value: PyTorch would add a worker's traceback."""
        try:
            return [self[draw] for draw in draws]
        except SpaceClipError as error:
            return error

    def _varied(self, index: int, rng: np.random.Generator) -> RgbdFrame:
        config = self._augmentation
        borrows = config.spectrum and rng.random() < config.spectrum
        other = self._readable(self._partner(rng)) if borrows else None
        return augment(self._readable(index), config, rng, other)

    def _readable(self, index: int) -> RgbdFrame:
        """Return a frame; in place of one that is skipped, the next one that is not."""
        for candidate in (*range(index, len(self._frames)), *range(index)):
            with contextlib.suppress(SkippedFrameError):
                return self._frames[candidate]
        raise DataError("data.train", "no frame can be read", "check it with 'space_clip data check CONFIG'")

    def _partner(self, rng: np.random.Generator) -> int:
        """Draw another frame, by the same weights as an epoch."""
        if self._cumulated is None:
            self._cumulated = np.cumsum(self._frames.weights)
        return int(np.searchsorted(self._cumulated, rng.uniform(0.0, self._cumulated[-1])))


class StepSampler(Sampler[list[Draw]]):
    """Yields the draws of every step of a run, across epochs, so that reading never pauses between epochs.

    An epoch shows each frame ``weight`` times on average, in an order that depends on the seed; the last draws that do
    not fill a batch are dropped. Each process takes its own slice of every batch, so the frames of a step do not depend
    on the number of processes.

    Args:
        weights: the weight of each frame of the collection.
        batch_size: samples per step, over all processes together.
        seed: seed of the order.
        rank: this process's number, from 0.
        processes: number of processes.

    Attributes:
        steps_per_epoch: batches in one epoch.
        first_step: step to start at; set it to resume.
        end_step: step to stop before; one epoch unless set.

    Raises:
        ConfigError: the processes cannot share a batch evenly, or an epoch has fewer draws than one batch.
    """

    def __init__(self, weights: Sequence[float], batch_size: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        """Count the steps of an epoch."""
        if batch_size % processes:
            raise ConfigError(
                "optimizer.batch_size",
                f"must be a multiple of the {processes} processes, got {batch_size}",
                "set such a number, or start as many processes as divide it",
            )
        self._weights = np.asarray(weights)
        self._batch_size = batch_size
        self._seed = seed
        self._share = slice(rank * batch_size // processes, (rank + 1) * batch_size // processes)
        # Fractional weights are rounded at random each epoch, so only the floor of their sum is certain.
        self.steps_per_epoch = int(np.floor(self._weights.sum() + 1e-9)) // batch_size
        if not self.steps_per_epoch:
            raise ConfigError(
                "optimizer.batch_size",
                f"an epoch has {self._weights.sum():g} frames, fewer than a batch of {batch_size}",
                "lower it, or add frames or a weight to a source of data.train",
            )
        self.first_step = 0
        self.end_step = self.steps_per_epoch

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield this process's draws of each step."""
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
        # Systematic sampling: every frame appears floor(weight) or ceil(weight) times, and the total stays the sum.
        edges = np.floor(np.cumsum(self._weights[shuffled]) + rng.random() + 1e-9)
        counts = np.diff(edges, prepend=0.0).astype(np.intp)
        return rng.permutation(np.repeat(shuffled, counts))


def training_loader(
    dataset: AugmentedFrames, sampler: StepSampler, workers: int, pin_memory: bool = False
) -> DataLoader[Any]:
    """Return a loader that yields a :class:`Batch` for each step of the sampler, the same for any number of workers.

    Iterating raises the SpaceClipError of a frame that cannot be read, or of a batch that cannot be stacked.
    """
    return _Loader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate_or_error,
        pin_memory=pin_memory,
        worker_init_fn=_prepare_worker,
        prefetch_factor=4 if workers else None,
    )


class _Loader(DataLoader[Any]):
    """Raises the errors that come from the workers as values."""

    # PyTorch declares a class of its own as the iterator, and needs no more of it than this.
    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, SpaceClipError):
                raise batch
            yield batch


def _prepare_worker(number: int) -> None:
    # Ctrl-C, and SIGTERM of timeout or systemd, reach every process; the training process decides what they mean.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)
    # There is a worker for each core already; OpenCV's own threads would only compete with them.
    cv2.setNumThreads(0)


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize as inference does: with Pillow's antialiased bicubic kernel and rounding."""
    if image.shape[:2] == size:
        return image
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, size, mode="bicubic", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def _collate_or_error(samples: Sequence[tuple[RgbdFrame, int]] | SpaceClipError) -> Batch | SpaceClipError:
    if isinstance(samples, SpaceClipError):
        return samples
    try:
        return collate(samples)
    except SpaceClipError as error:
        return error


def collate(samples: Sequence[tuple[RgbdFrame, int]]) -> Batch:
    """Stack frames of one size, each with its index, into a batch.

    Raises:
        ConfigError: the sizes differ.
    """
    frames, indices = zip(*samples, strict=True)
    images, depths = [frame.image for frame in frames], [frame.depth for frame in frames]
    for name, arrays in (("images", images), ("depth maps", depths)):
        if len({array.shape for array in arrays}) > 1:
            raise ConfigError(
                f"{name} of a batch differ in size ({sorted({array.shape[:2] for array in arrays})})",
                remedy="set augmentation.crop or data.resolution, or augmentation.geometry to consistent",
            )
    labels = None
    if any(frame.labels is not None for frame in frames):
        labels = torch.from_numpy(np.stack([labels_or_unlabelled(frame) for frame in frames]))
    truth = torch.from_numpy(np.stack(depths))[:, None]
    return Batch(torch.from_numpy(np.stack(images)), truth, torch.tensor(indices), labels)
