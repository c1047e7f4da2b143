"""Variation of training frames; everything follows from the random generator that is passed in."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.color_augmentation import vary_color
from space_clip_ros.data.frames import Frame
from space_clip_ros.errors import InputError
from space_clip_ros.training_config import AugmentationConfig

_DENSE_SHARE = 0.3


class Placement(NamedTuple):
    """Where a crop comes from.

    Attributes:
        matrix: (2, 3) float64, takes source pixels (x, y, 1) to crop pixels; centres at whole numbers.
        zoom: how much larger things appear in the crop.
        size: height and width of the crop, pixels.
    """

    matrix: NDArray[np.float64]
    zoom: float
    size: tuple[int, int]


def augment(frame: Frame, config: AugmentationConfig, rng: np.random.Generator) -> Frame:
    """Return a varied copy of a frame: rotated, cropped, zoomed, flipped, recoloured.

    Args:
        frame: at least as large as ``config.view``.
        config: what to vary and how much.
        rng: decides everything; the same state gives the same frame.

    Raises:
        InputError: the frame is smaller than the crop.
    """
    placement = place(frame.depth.shape, config, rng)
    image = _cut(frame.image, placement, cv2.INTER_LINEAR)
    depth = move_depth(frame.depth, placement, config.loss_size)
    return Frame(vary_color(image, config, rng), depth)


def place(source: tuple[int, ...], config: AugmentationConfig, rng: np.random.Generator) -> Placement:
    """Choose rotation, zoom, crop and flip for a source of that height and width.

    Raises:
        InputError: the source is smaller than the crop.
    """
    height, width = source[:2]
    crop_height, crop_width = config.view or (height, width)
    if crop_height > height or crop_width > width:
        raise InputError(
            f"a frame of {width} x {height} pixels cannot give a crop of {crop_width} x {crop_height}; "
            "make augmentation.crop smaller"
        )
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation)) if config.rotation else 0.0
    zoom = float(np.exp(rng.uniform(0.0, np.log(config.zoom)))) if config.zoom > 1.0 else 1.0
    room_y, room_x = height - crop_height / zoom, width - crop_width / zoom
    # Unzoomed crops start at whole pixels, so that without rotation they are plain slices.
    top = rng.uniform(0.0, room_y) if zoom > 1.0 else float(rng.integers(0, int(room_y) + 1))
    left = rng.uniform(0.0, room_x) if zoom > 1.0 else float(rng.integers(0, int(room_x) + 1))
    flipped = rng.random() < config.flip

    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.empty((2, 3))
    matrix[:, :2] = zoom * rotation
    matrix[:, 2] = zoom * (centre - rotation @ centre + 0.5 - (left, top)) - 0.5
    if flipped:
        matrix[0] *= -1.0
        matrix[0, 2] += crop_width - 1
    return Placement(matrix, zoom, (crop_height, crop_width))


def move_depth(
    depth: NDArray[np.float32], placement: Placement, truth_size: tuple[int, ...] = ()
) -> NDArray[np.float32]:
    """Cut depth like its image, to the crop's size or to ``truth_size``, and divide it by the zoom.

    Dense depth takes the nearest source pixel. Of sparse depth every return is moved on its own, the nearest winning
    where several meet, so that a smaller size loses few of them.

    Args:
        depth: (H, W) float32 metres, NaN where unknown.
        placement: the crop.
        truth_size: height and width wanted; the crop's where empty.

    Returns:
        (h, w) float32 metres, NaN where unknown.
    """
    height, width = truth_size or placement.size
    matrix = placement.matrix.copy()
    scale = np.array([width / placement.size[1], height / placement.size[0]])
    matrix *= scale[:, None]
    matrix[:, 2] += 0.5 * scale - 0.5
    resized = Placement(matrix, placement.zoom, (height, width))
    known = ~np.isnan(depth)
    move = _cut_dense if known.mean() > _DENSE_SHARE else _scatter
    moved = move(depth, known, resized)
    return moved if placement.zoom == 1.0 else moved / np.float32(placement.zoom)


def _cut_dense(depth: NDArray[np.float32], known: NDArray[np.bool_], placement: Placement) -> NDArray[np.float32]:
    return _cut(depth, placement, cv2.INTER_NEAREST, border=float("nan"))


def _scatter(depth: NDArray[np.float32], known: NDArray[np.bool_], placement: Placement) -> NDArray[np.float32]:
    height, width = placement.size
    rows, columns = np.nonzero(known)
    matrix = placement.matrix
    x = np.rint(matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]).astype(np.intp)
    y = np.rint(matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]).astype(np.intp)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    values = depth[rows[inside], columns[inside]]
    cells = (y * width + x)[inside]
    # Of equal indices NumPy keeps the last write, so writing from far to near lets the nearest win.
    order = np.argsort(values, kind="stable")[::-1]
    moved = np.full(height * width, np.nan, np.float32)
    moved[cells[order]] = values[order]
    return moved.reshape(height, width)


def _cut(array: NDArray[Any], placement: Placement, interpolation: int, border: float = 0.0) -> NDArray[Any]:
    height, width = placement.size
    matrix = placement.matrix
    if np.array_equal(np.abs(matrix[:, :2]), np.eye(2)) and matrix[1, 1] == 1.0:
        left = int(-matrix[0, 2]) if matrix[0, 0] > 0 else int(matrix[0, 2]) - width + 1
        top = int(-matrix[1, 2])
        cut = array[top : top + height, left : left + width]
        return np.ascontiguousarray(cut if matrix[0, 0] > 0 else cut[:, ::-1])
    # OpenCV wants the border value of every channel.
    return cv2.warpAffine(array, matrix, (width, height), flags=interpolation, borderValue=(border,) * 4)
