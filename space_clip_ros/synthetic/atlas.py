"""All textures of a scene and their mip levels in one array, so that one call looks up every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.synthetic.noise import Rng

_LEVELS = 12


class Atlas:
    """Named, square, power-of-two RGBA textures, each with all its mip levels down to one pixel."""

    def __init__(self) -> None:
        """Start empty."""
        self._index: dict[str, int] = {}
        self._families: dict[str, list[str]] = {}
        self._levels: list[NDArray[np.uint32]] = []
        self._texels = 0
        self._offsets: list[list[int]] = []
        self._sizes: list[int] = []
        self._means: list[NDArray[np.float64]] = []
        self._frozen: tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32]] | None = None

    def copy(self) -> Atlas:
        """Return an atlas that further textures can be added to; the textures themselves are shared."""
        twin = Atlas()
        twin._index, twin._levels, twin._texels = dict(self._index), list(self._levels), self._texels
        twin._offsets, twin._sizes, twin._means = list(self._offsets), list(self._sizes), list(self._means)
        return twin

    def add(self, name: str, image: NDArray[np.uint8]) -> int:
        """Store a texture and return its index.

        Args:
            name: what :meth:`index` finds it by.
            image: (S, S, 4) uint8 RGBA, S a power of two up to 2048. On cutout quads, alpha below 128 is a hole; on
                solid quads, alpha is how much of the tint applies.

        Raises:
            InputError: ``image`` has another shape or dtype.
        """
        size = image.shape[0]
        if image.shape != (size, size, 4) or image.dtype != np.uint8 or size & (size - 1) or size > 2 ** (_LEVELS - 1):
            raise InputError(
                f"texture {name!r}", f"must be (S, S, 4) uint8, S a power of two, got {image.shape} {image.dtype}"
            )
        offsets = []
        while True:
            offsets.append(self._texels)
            level = np.ascontiguousarray(image).view(np.uint32).ravel()
            self._levels.append(level)
            self._texels += len(level)
            if image.shape[0] == 1:
                break
            half = image.shape[0] // 2
            smaller = cv2.resize(image, (half, half), interpolation=cv2.INTER_AREA)
            image = np.asarray(smaller, np.uint8).reshape(half, half, 4)
        self._offsets.append(offsets + [offsets[-1]] * (_LEVELS - len(offsets)))
        self._sizes.append(size)
        self._means.append(image.reshape(4)[:3] / 255.0)
        self._index[name] = len(self._index)
        self._families.clear()
        self._frozen = None
        return self._index[name]

    def index(self, name: str) -> int:
        """Return the index of the texture called ``name``."""
        return self._index[name]

    def pick(self, rng: Rng, names: Sequence[str], p: Sequence[float] | None = None) -> int:
        """Return the index of one of the textures called ``names``, drawn with the probabilities ``p``."""
        return self.index(str(rng.choice(names, p=p)))

    def pick_variant(self, rng: Rng, prefix: str) -> int:
        """Return the index of one of the textures whose names start with ``prefix``, drawn at random."""
        return self.pick(rng, self.family(prefix))

    def family(self, prefix: str) -> list[str]:
        """Return the names that start with ``prefix``, in the order they were added."""
        if prefix not in self._families:
            self._families[prefix] = [name for name in self._index if name.startswith(prefix)]
        return list(self._families[prefix])

    @property
    def sizes(self) -> NDArray[np.int32]:
        """Side of each texture, pixels, (T,) int32."""
        return self._freeze()[2]

    @property
    def brightness(self) -> NDArray[np.float64]:
        """Mean brightness of each texture in [0, 1], (T,)."""
        return np.asarray([mean.mean() for mean in self._means])

    def sample(
        self,
        texture: NDArray[np.int32],
        u: NDArray[np.float32],
        v: NDArray[np.float32],
        level: NDArray[np.int32],
        jitter: Sequence[NDArray[np.float32]],
    ) -> NDArray[np.uint8]:
        """Return (P, 4) uint8 RGBA of single texels. Coordinates repeat every 1; v grows downwards.

        Args:
            texture: (P,) indices of textures.
            u: (P,) horizontal coordinates.
            v: (P,) vertical coordinates.
            level: (P,) mip level: how often the texture is halved first; clipped to the levels there are.
            jitter: two (P,) arrays that shift u and v, texels; random shifts within half a texel replace interpolation.
        """
        texels, offsets, sizes = self._freeze()
        level = np.clip(level, 0, _LEVELS - 1)
        size = np.maximum(sizes.take(texture) >> level, 1)
        scale = size.astype(np.float32)
        mask = size - 1
        column = _cell(u, scale, jitter[0])
        column &= mask
        at = _cell(v, scale, jitter[1])
        at &= mask
        at *= size
        at += column
        at += offsets.take(texture * _LEVELS + level)
        return np.asarray(texels.take(at).view(np.uint8).reshape(-1, 4))

    def _freeze(self) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32]]:
        if self._frozen is None:
            self._frozen = (
                np.concatenate(self._levels),
                np.asarray(self._offsets, np.int32).ravel(),
                np.asarray(self._sizes, np.int32),
            )
        return self._frozen


def _cell(coordinate: NDArray[np.float32], size: NDArray[np.float32], shift: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return floor(coordinate * size + shift); float32 holds the product exactly, but would round the sum."""
    at = np.add(coordinate * size, shift, dtype=np.float64)
    return np.asarray(np.floor(at, out=at).astype(np.int32))
