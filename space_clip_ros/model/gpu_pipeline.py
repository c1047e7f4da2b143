"""The whole pipeline on a GPU in half precision: as few kernels as possible from the image to the tower's input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from space_clip_ros.model import SpaceClip
from space_clip_ros.model.fused import PatchProduct, in_one_kernel
from space_clip_ros.model.image_to_depth import ImageToEstimate, normalisation
from space_clip_ros.model.resize import CENTRE, half_weights, resize_bands, resize_centred, shrinks

_UNIT = 64.0
"""Grey levels to a unit of what the patch embedding reads: its weights then keep their size, and their digits."""
_LIMITS = (-CENTRE / _UNIT, (255.0 - CENTRE) / _UNIT)


class HalfImageToEstimate(ImageToEstimate):
    """An :class:`~space_clip_ros.model.image_to_depth.ImageToEstimate` in half precision, its resize too if it shrinks.

    Normalisation is folded into the patch embedding if nothing else reads the image, else it is one kernel.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, model: SpaceClip, image_size: tuple[int, int]) -> None:
        """Prepare for one image size.

        Args:
            model: after :func:`fold_normalisation`, in half precision.
            image_size: height and width of all images, pixels.
        """
        super().__init__(model)
        device = next(model.parameters()).device
        axes = zip(image_size, model.config.input_size, strict=True)
        rows, columns = (resize_bands(before, after, 1, device)[0].weights for before, after in axes)
        rounded = half_weights if shrinks(image_size, model.config.input_size) else Tensor.float
        self.register_buffer("rows", rounded(rows / _UNIT), persistent=False)
        self.register_buffer("columns", rounded(columns), persistent=False)
        self._folded = patch_product(model).limits == _LIMITS
        self.gain, self.offset = _affine(model)

    def preprocess(self, image: Tensor) -> Tensor:
        """Return the model's input, (B, 3, *input_size), for image (B, H, W, 3) uint8 RGB.

        It is float16; or float32 if the image is enlarged and nothing but the patch embedding reads it.
        """
        planes = image.permute(0, 3, 1, 2)
        centred = in_one_kernel(planes, self.rows.dtype, torch.sub, planes, CENTRE)
        small = resize_centred(centred, self.rows, self.columns)
        if self._folded:
            return small
        clamped = small.clamp(*_LIMITS)
        return in_one_kernel(small, torch.float16, torch.addcmul, self.offset, clamped, self.gain)


def fold_normalisation(model: SpaceClip) -> None:
    """Make the patch embedding read images that are not normalised, in place, if nothing else reads them.

    Args:
        model: after :func:`~space_clip_ros.model.fused.fuse`, still in float32.
    """
    if not hasattr(model.encoder.tower, "stem") and model.language_head is None:
        gain, offset = _affine(model)
        patch_product(model).fold(gain.flatten(), offset.flatten(), _LIMITS)


def patch_product(model: SpaceClip) -> PatchProduct:
    """Return the patch embedding of a model after :func:`~space_clip_ros.model.fused.fuse`."""
    tower: Any = model.encoder.tower
    found: PatchProduct = tower.conv1 if model.config.encoder.kind == "clip" else tower.patch_embed.proj
    return found


def _affine(model: SpaceClip) -> tuple[Tensor, Tensor]:
    """Return the factor and the summand, (1, 3, 1, 1) float32 each, that normalise a resized image."""
    gain, offset = normalisation(model.config, next(model.parameters()).device)
    return (_UNIT * gain).float(), (CENTRE * gain + offset).float()
