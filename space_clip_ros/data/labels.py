"""Label maps, which give the class of every pixel, and the classes of synthetic drives."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import ConfigError, DataError
from space_clip_ros.geometry.image_file import read_image
from space_clip_ros.model_config import UNLABELLED


class Label(IntEnum):
    """Class of a surface; its number is the value of a pixel in a label map.

    ``OTHER`` is what fits no other class. ``WALL`` are free-standing walls, fences and guard rails.
    ``POLE`` are poles, signs, traffic lights and bollards. ``CYCLE`` are bicycles and motorcycles without their riders,
    who are ``PERSON``. ``TRUCK`` are lorries and buses.
    """

    OTHER = 0
    ROAD = 1
    PAVEMENT = 2
    TERRAIN = 3
    BUILDING = 4
    WALL = 5
    POLE = 6
    VEGETATION = 7
    SKY = 8
    PERSON = 9
    CYCLE = 10
    CAR = 11
    TRUCK = 12


LABEL_NAMES = tuple(label.name.lower() for label in Label)
"""Names of the classes, in the order of their numbers."""


class LabelReader:
    """Reads label maps, and numbers their classes as the settings list them.

    Args:
        wanted: the classes to tell apart, in order: a name, or ``name=a+b`` to merge several of the maps' classes.
        known: the maps' own names, by their numbers.

    Attributes:
        names: the classes, in order.

    Raises:
        ConfigError: a class is not among the maps' names, or is listed twice.
    """

    def __init__(self, wanted: Sequence[str], known: Sequence[str]) -> None:
        """Make the table of numbers."""
        self.names = tuple(text.partition("=")[0] for text in wanted)
        self._numbers = np.full(UNLABELLED + 1, UNLABELLED, np.uint8)
        for number, text in enumerate(wanted):
            name, _, members = text.partition("=")
            for member in (members or name).split("+"):
                if member not in known:
                    raise ConfigError("labels", f"{text!r}: no class {member!r}", f"choose from {', '.join(known)}")
                if self._numbers[known.index(member)] != UNLABELLED:
                    raise ConfigError("labels", f"class {member!r} is listed twice", "leave one of them out")
                self._numbers[known.index(member)] = number

    def read(self, path: Path, size: tuple[int, ...]) -> NDArray[np.uint8]:
        """Read a label map.

        Args:
            path: an 8-bit grey PNG.
            size: height and width that it must have.

        Returns:
            (H, W) uint8 indices into ``names``, :data:`UNLABELLED` elsewhere.

        Raises:
            DataError: the file is missing, damaged, or of another size.
        """
        numbers = read_image(path, cv2.IMREAD_UNCHANGED)
        if numbers.ndim != 2 or numbers.dtype != np.uint8:
            raise DataError(
                path,
                f"is not an 8-bit grey picture, but {numbers.dtype} {numbers.shape}",
                "store the number of each pixel's class",
            )
        if numbers.shape != tuple(size):
            raise DataError(
                path,
                f"is {numbers.shape[1]}x{numbers.shape[0]}, its picture is {size[1]}x{size[0]}",
                "store labels at the picture's size",
            )
        return np.asarray(self._numbers[numbers], np.uint8)
