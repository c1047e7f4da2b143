"""Random augmentation of training frames: rotation, zoom, crop, flip and colour (recipe of arXiv:2601.17657).

All randomness comes from the generator that is passed in.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.color_augmentation import augment_color, borrow_spectrum
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import InputError
from space_clip_ros.model_config import UNLABELLED
from space_clip_ros.training_config import AugmentationConfig

_DENSE_SHARE = 0.3
_SPLICED_SHARE = (0.25, 0.75)
_NEIGHBOURS = 5
_NYU_SIZE = (480, 640)
_NYU_INSIDE = (slice(41, 472), slice(45, 608))
"""Rows and columns of an NYU Depth V2 picture inside its white border, as the reference implementation cuts it."""


class CropTransform(NamedTuple):
    """The affine transform from a source frame to a crop.

    Attributes:
        matrix: (2, 3) float64, maps source pixels (x, y, 1) to crop pixels; pixel centres are at whole numbers.
        zoom: magnification of the crop; if its axes differ, the square root of their product.
        size: height and width of the crop, pixels.
    """

    matrix: NDArray[np.float64]
    zoom: float
    size: tuple[int, int]

    def resized(self, size: tuple[int, ...]) -> CropTransform:
        """Return the transform to the same crop at another size, (height, width) pixels; an empty one keeps its own."""
        height, width = size or self.size
        matrix = self.matrix.copy()
        scale = np.array([width / self.size[1], height / self.size[0]])
        matrix *= scale[:, None]
        matrix[:, 2] += 0.5 * scale - 0.5
        return CropTransform(matrix, self.zoom, (height, width))


def augment(
    frame: RgbdFrame, config: AugmentationConfig, rng: np.random.Generator, other: RgbdFrame | None = None
) -> RgbdFrame:
    """Return a randomly rotated, zoomed, cropped, flipped and recoloured copy of a frame.

    Args:
        frame: at least as large as ``config.view``.
        config: what to vary and how much.
        rng: the only source of randomness; the same state gives the same frame.
        other: a frame whose low frequencies the image takes; see :func:`borrow_spectrum`.

    Returns:
        The image at the crop's size, depth and labels at ``config.loss_size`` (the crop's size if empty).

    Raises:
        InputError: the frame is smaller than the crop, or not NYU's with ``config.do_nyu_crop``.
    """
    if config.do_nyu_crop:
        frame = without_nyu_border(frame)
    transform = random_crop(frame.depth.shape, config, rng)
    image = _warp(frame.image, transform, cv2.INTER_LINEAR)
    if other is not None:
        image = borrow_spectrum(image, other.image, rng)
    depth = warp_depth(frame.depth, transform, config.loss_size)
    labels = None if frame.labels is None else warp_labels(frame.labels, transform, config.loss_size)
    return RgbdFrame(augment_color(image, config, rng), depth, labels=labels)


def without_nyu_border(frame: RgbdFrame) -> RgbdFrame:
    """Return an NYU Depth V2 frame of 640 x 480 pixels without its white border, 563 x 431.

    Raises:
        InputError: the frame has another size.
    """
    if frame.depth.shape != _NYU_SIZE:
        height, width = frame.depth.shape
        raise InputError(
            f"a frame of {width} x {height} pixels has no NYU border", remedy="set augmentation.do_nyu_crop to false"
        )
    labels = None if frame.labels is None else frame.labels[_NYU_INSIDE]
    return RgbdFrame(frame.image[_NYU_INSIDE], frame.depth[_NYU_INSIDE], labels=labels)


def splice(frame: RgbdFrame, other: RgbdFrame, rng: np.random.Generator) -> RgbdFrame:
    """Join two frames of the same sizes at a random column: one gives the left part, the other the right.

    On a road, depth depends mainly on the image row, so both parts stay plausible, and a few real places give many
    pictures (CutMix, Yun et al., 2019, applied to depth).
    """
    share = rng.uniform(*_SPLICED_SHARE)
    left, right = (frame, other) if rng.random() < 0.5 else (other, frame)

    def joined(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
        column = round(share * ours.shape[1])
        return np.concatenate([ours[:, :column], theirs[:, column:]], axis=1)

    labels = None
    if left.labels is not None or right.labels is not None:
        labels = joined(labels_or_unlabelled(left), labels_or_unlabelled(right))
    return RgbdFrame(joined(left.image, right.image), joined(left.depth, right.depth), labels=labels)


def labels_or_unlabelled(frame: RgbdFrame) -> NDArray[np.uint8]:
    """Return a frame's labels, (H, W) uint8; all pixels are unlabelled if it has none."""
    return np.full(frame.depth.shape, UNLABELLED, np.uint8) if frame.labels is None else frame.labels


def without_occluded(depth: NDArray[np.float32], tolerance: float) -> NDArray[np.float32]:
    """Return sparse depth without the points that lie behind near neighbours.

    A scanner above the camera looks past near objects; in the image, those points seem to lie inside the objects.

    Args:
        depth: (H, W) float32 metres, NaN where unknown.
        tolerance: drop points farther than the nearest depth around them by more than this share.

    Returns:
        The same shape; dense depth is returned as it is.
    """
    known = ~np.isnan(depth)
    if known.mean() > _DENSE_SHARE:
        return depth
    nearest = cv2.erode(np.where(known, depth, np.float32(np.inf)), np.ones((_NEIGHBOURS, _NEIGHBOURS), np.uint8))
    return np.where(depth / (1.0 + tolerance) > nearest, np.float32(np.nan), depth)


def random_crop(source: tuple[int, ...], config: AugmentationConfig, rng: np.random.Generator) -> CropTransform:
    """Choose a rotation, zoom, narrowing, crop and flip for a frame whose shape is ``source`` (height, width).

    With ``config.do_nyu_crop``, a frame smaller than the crop is stretched to its size, as the reference does.

    Raises:
        InputError: the frame is smaller than the crop.
    """
    height, width = source[:2]
    crop_height, crop_width = config.view or (height, width)
    smaller = crop_height > height or crop_width > width
    if smaller and config.do_nyu_crop:
        whole = dataclasses.replace(config, crop=(height, width))
        return random_crop(source, whole, rng).resized((crop_height, crop_width))
    if smaller:
        raise InputError(
            f"a frame of {width} x {height} pixels cannot give a crop of {crop_width} x {crop_height}",
            remedy="make augmentation.crop smaller",
        )
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation)) if config.rotation else 0.0
    zoom = float(np.exp(rng.uniform(0.0, np.log(config.zoom)))) if config.zoom > 1.0 else 1.0
    narrow = (
        float(np.exp(rng.uniform(0.0, np.log(config.narrow)))) if config.narrow > 1.0 and rng.random() < 0.5 else 1.0
    )
    magnified = np.array([zoom * narrow, zoom])
    room_x, room_y = np.array([width, height]) - np.array([crop_width, crop_height]) / magnified
    # Unzoomed crops start at whole pixels, so that without rotation they are plain slices.
    top = rng.uniform(0.0, room_y) if zoom > 1.0 else float(rng.integers(0, int(room_y) + 1))
    left = rng.uniform(0.0, room_x) if zoom * narrow > 1.0 else float(rng.integers(0, int(room_x) + 1))
    flipped = rng.random() < config.flip

    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.empty((2, 3))
    matrix[:, :2] = magnified[:, None] * rotation
    matrix[:, 2] = magnified * (centre - rotation @ centre + 0.5 - (left, top)) - 0.5
    if flipped:
        matrix[0] *= -1.0
        matrix[0, 2] += crop_width - 1
    return CropTransform(matrix, zoom * narrow**0.5, (crop_height, crop_width))


def warp_depth(
    depth: NDArray[np.float32], transform: CropTransform, truth_size: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Crop depth as its image is cropped, and divide it by the zoom.

    Dense depth is sampled at the nearest source pixel. Each pixel of sparse depth is moved on its own, and where
    several meet the nearest depth wins, so that a smaller size loses few LiDAR returns.

    Args:
        depth: (H, W) float32 metres, NaN where unknown.
        transform: the crop.
        truth_size: height and width of the result; empty for the crop's.

    Returns:
        (h, w) float32 metres, NaN where unknown.
    """
    resized = transform.resized(truth_size)
    known = ~np.isnan(depth)
    warped: NDArray[np.float32]
    if known.mean() > _DENSE_SHARE:
        warped = _warp(depth, resized, cv2.INTER_NEAREST, border=float("nan"))
    else:
        warped = _scatter(depth, known, resized)
    return warped if transform.zoom == 1.0 else warped / np.float32(transform.zoom)


def warp_labels(
    labels: NDArray[np.uint8], transform: CropTransform, truth_size: tuple[int, ...] = ()
) -> NDArray[np.uint8]:
    """Crop labels as their image is cropped; each pixel takes the class of the nearest source pixel.

    Args:
        labels: (H, W) uint8.
        transform: the crop.
        truth_size: height and width of the result; empty for the crop's.

    Returns:
        (h, w) uint8, :data:`UNLABELLED` outside the frame.
    """
    return np.asarray(_warp(labels, transform.resized(truth_size), cv2.INTER_NEAREST, border=UNLABELLED), np.uint8)


def _scatter(depth: NDArray[np.float32], known: NDArray[np.bool_], transform: CropTransform) -> NDArray[np.float32]:
    """Move each known pixel to its place in the crop."""
    height, width = transform.size
    rows, columns = np.nonzero(known)
    matrix = transform.matrix
    x = np.rint(matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]).astype(np.intp)
    y = np.rint(matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]).astype(np.intp)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    values = depth[rows[inside], columns[inside]]
    cells = (y * width + x)[inside]
    # NumPy keeps the last write to an index, so writing from far to near lets the nearest depth win.
    order = np.argsort(values, kind="stable")[::-1]
    scattered = np.full(height * width, np.nan, np.float32)
    scattered[cells[order]] = values[order]
    return scattered.reshape(height, width)


def _warp(array: NDArray[Any], transform: CropTransform, interpolation: int, border: float = 0.0) -> NDArray[Any]:
    height, width = transform.size
    matrix = transform.matrix
    if np.array_equal(np.abs(matrix[:, :2]), np.eye(2)) and matrix[1, 1] == 1.0:
        left = int(-matrix[0, 2]) if matrix[0, 0] > 0 else int(matrix[0, 2]) - width + 1
        top = int(-matrix[1, 2])
        crop = array[top : top + height, left : left + width]
        return np.ascontiguousarray(crop if matrix[0, 0] > 0 else crop[:, ::-1])
    # OpenCV wants a border value for every channel.
    return cv2.warpAffine(array, matrix, (width, height), flags=interpolation, borderValue=(border,) * 4)
