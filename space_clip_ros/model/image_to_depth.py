"""The whole pipeline as one module: a camera's image in, metric depth of the same size out."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from space_clip_ros.model import SpaceClip
from space_clip_ros.model.resize import CENTRE, ResizeBand, half_weights, resize_bands, resize_centred, shrinks
from space_clip_ros.model_config import ModelConfig

RESIZE_BANDS = 8
"""Bands of the resize on a CPU: 0.10 instead of 0.74 GFLOP for 1242 x 375 pixels. On a GPU use 1: fewer kernels."""


class _ResizeWeights(NamedTuple):
    rows: tuple[ResizeBand, ...]
    columns: tuple[ResizeBand, ...]


def normalisation(config: ModelConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what grey levels are multiplied by and what is then added: (1, 3, 1, 1) float64 each.

    They are ``(x / 255 - mean) / std`` as one multiplication and one addition.
    """
    mean, std = (
        torch.tensor(one, dtype=torch.float64, device=device).reshape(1, 3, 1, 1) for one in (config.mean, config.std)
    )
    return 1.0 / (255.0 * std), -mean / std


class HalfResize(nn.Module):
    """The resize of an image with weights that half precision holds exactly; computed in float32 here.

    :func:`space_clip_ros.export.fp16.to_fp16` computes it in half precision.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, image_size: tuple[int, int], input_size: tuple[int, int], device: torch.device) -> None:
        """Compute the weights from one size to the other, height and width."""
        super().__init__()
        axes = zip(image_size, input_size, strict=True)
        rows, columns = (half_weights(resize_bands(*axis, 1, device)[0].weights).float() for axis in axes)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, planes: Tensor) -> Tensor:
        """Map (B, 3, H, W) uint8 grey levels to (B, 3, height, width), less :data:`CENTRE`."""
        small = resize_centred(planes.float() - CENTRE, self.rows, self.columns)
        return small.clamp(-CENTRE, 255.0 - CENTRE)


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
            half_resize: if images of a fixed size shrink, resize them by a :class:`HalfResize`, which a graph's
                conversion to half precision finds by its name.
        """
        super().__init__()
        self.model = model
        self.half_resize: HalfResize | None = None
        self.bands = bands
        device = next(model.parameters()).device
        gain, offset = normalisation(model.config, device)
        self.register_buffer("gain", gain.float(), persistent=False)
        self.register_buffer("offset", offset.float(), persistent=False)
        self._fixed = None if image_size is None else self._weights(*image_size, device)
        if half_resize and image_size is not None and shrinks(image_size, model.config.input_size):
            self.half_resize = HalfResize(image_size, model.config.input_size, device)

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
        if self.half_resize is not None:
            centred: Tensor = self.half_resize(planes)
            return (centred + CENTRE) * self.gain + self.offset
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
