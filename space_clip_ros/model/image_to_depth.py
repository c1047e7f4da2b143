"""The whole pipeline as one module: a camera's image in, metric depth of the same size out."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from space_clip_ros.model import SpaceClip
from space_clip_ros.model.resize import CENTRE, ResizeBand, half_weights, resize_bands, resize_centred, shrinks

RESIZE_BANDS = 8
"""Bands of the resize on a CPU: 0.10 instead of 0.74 GFLOP for 1242 x 375 pixels. On a GPU use 1: fewer kernels."""


class _ResizeWeights(NamedTuple):
    rows: tuple[ResizeBand, ...]
    columns: tuple[ResizeBand, ...]


class ImageToDepth(nn.Module):
    """Resizes as Pillow does, normalises, estimates depth, resizes back; uint8 in, float32 metres out.

    Each pass of the resize clamps values to 0-255, as Pillow does for 8-bit images, but does not round them to whole
    numbers.
    """

    gain: Tensor
    offset: Tensor

    def __init__(
        self,
        model: SpaceClip,
        image_size: tuple[int, int] | None = None,
        bands: int = RESIZE_BANDS,
        half_resize: bool = False,
    ) -> None:
        """Prepare for one image size, or for any.

        Args:
            model: used in place; move it to its device first.
            image_size: height and width of all images, pixels; the resize's weights are then constants. None computes
                the weights from each image's size.
            bands: number of pieces that each axis of the resize is cut into.
            half_resize: resize images of a fixed size in half precision if they shrink, for a network in half
                precision; in one band.
        """
        super().__init__()
        self.model = model
        self.half_resize = half_resize and image_size is not None and shrinks(image_size, model.config.input_size)
        self.bands = 1 if self.half_resize else bands
        device = next(model.parameters()).device
        # (x / 255 - mean) / std as one multiplication and one addition.
        mean = torch.tensor(model.config.mean, dtype=torch.float64, device=device).reshape(1, 3, 1, 1)
        std = torch.tensor(model.config.std, dtype=torch.float64, device=device).reshape(1, 3, 1, 1)
        self.register_buffer("gain", (1.0 / (255.0 * std)).float(), persistent=False)
        self.register_buffer("offset", (-mean / std).float(), persistent=False)
        self._fixed = None if image_size is None else self._weights(*image_size, device)
        if self.half_resize and self._fixed is not None:
            halves = ((axis[0]._replace(weights=half_weights(axis[0].weights)),) for axis in self._fixed)
            self._fixed = _ResizeWeights(*halves)

    def forward(self, image: Tensor) -> Tensor:
        """Estimate depth.

        Args:
            image: (B, H, W, 3) uint8 RGB.

        Returns:
            (B, H, W) float32 metres, at least 0.
        """
        size = (image.shape[1], image.shape[2])
        return cast(Tensor, self.model(self.preprocess(image), size, auxiliary=False).depth[:, 0])

    def preprocess(self, image: Tensor) -> Tensor:
        """Return the model's input, (B, 3, *input_size) float32, normalised, for image (B, H, W, 3) uint8 RGB."""
        rows, columns = self._fixed or self._weights(image.shape[1], image.shape[2], image.device)
        planes = image.permute(0, 3, 1, 2)
        if self.half_resize:
            centred = (planes.float() - CENTRE).half()
            small = resize_centred(centred, rows[0].weights, columns[0].weights).float()
            return (small.clamp(-CENTRE, 255.0 - CENTRE) + CENTRE) * self.gain + self.offset
        # Width first: shrinking the longer axis first costs less.
        narrow = torch.cat([planes[..., band.begin : band.end].float() @ band.weights.T for band in columns], dim=3)
        narrow = narrow.clamp(0.0, 255.0)
        small = torch.cat([band.weights @ narrow[:, :, band.begin : band.end] for band in rows], dim=2)
        return small.clamp(0.0, 255.0) * self.gain + self.offset

    def _weights(self, height: int | Tensor, width: int | Tensor, device: torch.device) -> _ResizeWeights:
        rows, columns = self.model.config.input_size
        return _ResizeWeights(
            resize_bands(height, rows, self.bands, device), resize_bands(width, columns, self.bands, device)
        )


class ImageToEstimate(ImageToDepth):
    """An :class:`ImageToDepth` that gives everything that the model can: its ``config.outputs``, in their order.

    Uncertainty stays at the size that the network makes it. Resizing it to the image costs more than the network's own
    work on it, so it is done outside and only when it is wanted.
    """

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Estimate depth and, if the model can, one standard deviation of it and language features.

        Args:
            image: (B, H, W, 3) uint8 RGB.

        Returns:
            (B, H, W) float32 metres, at least 0; and perhaps (B, h, w) float32, one standard deviation as a share of
            depth, at a quarter of the network's input size; perhaps (B, D) float32, the image's embedding; and perhaps
            (B, rows, columns, D) float32, the dense features.
        """
        output = self.model(self.preprocess(image), (image.shape[1], image.shape[2]), auxiliary=False)
        relative = self.model.relative_deviation(output)
        maps = (output.depth[:, 0], None if relative is None else relative[:, 0], output.embedding, output.dense)
        return tuple(one for one in maps if one is not None)
