"""The key of a TensorRT engine: an engine runs only where every part of its key is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

TF32 = "tf32"
"""Precision of an fp32 file's engine whose products use TF32: 10 of float32's 23 mantissa bits, on tensor cores."""
_DIGITS = 16


def engine_precisions(own: str, precision: str) -> tuple[str, ...]:
    """Return which engines of a file serve a user's ``precision``, the preferred one first.

    Args:
        own: the file's own number format.
        precision: auto, or one that the file has.
    """
    return (TF32, own) if (own, precision) == ("fp32", "auto") else (own,)


@dataclass(frozen=True)
class Gpu:
    """A CUDA device.

    Attributes:
        index: its number in this process, N of ``cuda:N``.
        name: the driver's name for it.
        compute_capability: ``major.minor``.
        multiprocessors: how many are switched on; power modes of a Jetson switch some off.
    """

    index: int
    name: str
    compute_capability: str
    multiprocessors: int


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on; if any part changes, the engine is stale.

    Attributes:
        file_sha256: hash of the ONNX file's bytes, weights and metadata included.
        tensorrt: full version of the library; engines do not load in another one.
        gpu: name of the device; TensorRT chose kernels by timing them on it.
        compute_capability: of the device.
        multiprocessors: how many the device had; TensorRT chose kernels for that number.
        precision: the graph's own number format, or :data:`TF32`.
        shape: of the input, (1, height, width, 3), pixels.
    """

    file_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    multiprocessors: int
    precision: str
    shape: tuple[int, int, int, int]

    @property
    def digest(self) -> str:
        """Hash of the whole key, short enough for a file name."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:_DIGITS]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images, pixels."""
        return self.shape[1], self.shape[2]

    @property
    def size_text(self) -> str:
        """Width and height as users write them."""
        return f"{self.shape[2]}x{self.shape[1]}"

    def to_dict(self) -> dict[str, Any]:
        """Return the parts as a JSON object; :meth:`from_dict` reads it back."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, parts: Mapping[str, Any]) -> EngineKey:
        """Read what :meth:`to_dict` returned.

        Raises:
            TypeError: a part is missing or unknown.
            ValueError: the shape does not have four sizes.
        """
        batch, height, width, channels = parts["shape"]
        return cls(**{**parts, "shape": (batch, height, width, channels)})

    def of_size(self, height: int, width: int) -> EngineKey:
        """Return the key of the same graph on the same machine for images of another size, pixels."""
        return replace(self, shape=(1, height, width, 3))

    def differences(self, other: EngineKey) -> list[str]:
        """Return in words which parts of ``other`` differ, apart from the graph and the image size."""
        names = {
            "tensorrt": "TensorRT",
            "gpu": "GPU",
            "compute_capability": "compute capability",
            "multiprocessors": "a power mode with an SM count of",
            "precision": "",
        }
        mine, theirs = self.to_dict(), other.to_dict()
        return [f"{name} {theirs[part]}".strip() for part, name in names.items() if mine[part] != theirs[part]]
