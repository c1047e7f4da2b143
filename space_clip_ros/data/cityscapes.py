"""Pictures with label maps in Cityscapes' layout (Cordts et al., CVPR 2016), for ``space_clip evaluate --semantic``.

``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png`` and ``gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.labels import LabelReader
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.image_file import read_rgb
from space_clip_ros.training_config import SourceConfig

_CLASSES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
CITYSCAPES_CLASSES = tuple(_CLASSES)
"""The 19 classes that the benchmark scores, in its order."""
_KNOWN = tuple({number: name for name, number in _CLASSES.items()}.get(number, "") for number in range(34))
_PICTURE, _LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"


class CityscapesFrames:
    """The pictures below a folder that have label maps; they have no depth.

    Args:
        config: ``path`` is the folder that holds ``leftImg8bit`` and ``gtFine``, or one split or city of its
            ``leftImg8bit``; ``labels`` are the classes to tell apart, all 19 if empty.

    Attributes:
        weight: how often an epoch shows each frame, on average.

    Raises:
        DataError: there is no such picture.
        ConfigError: a class is not one of Cityscapes'.
    """

    def __init__(self, config: SourceConfig) -> None:
        """List the pictures."""
        self.weight = config.weight
        self._reader = LabelReader(config.labels or CITYSCAPES_CLASSES, _KNOWN)
        root = Path(config.path).expanduser()
        self._pictures = sorted(root.glob(f"**/*{_PICTURE}"))[config.chosen]
        if not self._pictures:
            raise DataError(
                root, f"holds no picture of Cityscapes' layout (…{_PICTURE})", "give the folder with leftImg8bit in it"
            )

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._pictures)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by their numbers in a frame's labels."""
        return self._reader.names

    def label(self, index: int) -> str:
        """Return the picture's name."""
        return self._pictures[index].name.removesuffix(_PICTURE)

    def scene(self, index: int) -> str:
        """Return the city."""
        return self._pictures[index].parent.name

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the picture and its label map."""
        picture = self._pictures[index]
        split, city = picture.parent.parent.name, picture.parent.name
        name = picture.name.removesuffix(_PICTURE) + _LABELS
        return picture, picture.parents[3] / "gtFine" / split / city / name

    def frame(self, index: int) -> RgbdFrame:
        """Read one picture and its labels.

        Raises:
            DataError: a file is missing or damaged.
        """
        picture, labels = self.files(index)
        image = read_rgb(picture)
        size = image.shape[:2]
        return RgbdFrame(image, np.full(size, np.nan, np.float32), labels=self._reader.read(labels, size))
