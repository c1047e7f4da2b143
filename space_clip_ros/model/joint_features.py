"""Features in the space that CLIP's images and texts share: one for the image, one for each patch.

The embedding is CLIP's own: the last state's class token after the post-norm, projected. The dense features are
NACLIP's (Hajimiri et al., Pay Attention to Your Neighbours, WACV 2025, arXiv:2404.08181): in the last block patches
attend to patches with similar keys, and more to those nearby; the block's residual and its MLP are left out. Both take
what they need from the tower's own run, so they cost little, and change nothing in it.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model_config import LanguageConfig

PROJECTION = "projection."
"""What the names of the projection's tensors begin with, in an encoder."""


class JointFeatures(NamedTuple):
    """Features in the joint space, of length 1.

    Attributes:
        embedding: (B, D), the image's.
        dense: (B, rows, columns, D), one for each patch; None if not wanted.
    """

    embedding: Tensor
    dense: Tensor | None


def is_joint(language: LanguageConfig) -> bool:
    """Return whether a model's language features are CLIP's, in the space of any text."""
    return bool(language.outputs) and not language.vocabulary


def joint_features(
    projection: nn.Module, context: Tensor, tokens: Tensor | None, grid: tuple[int, int]
) -> JointFeatures:
    """Project what the post-norm gives to the joint space.

    Args:
        projection: maps (..., width) to (..., D).
        context: (B, width), the class token after the post-norm.
        tokens: (B, rows * columns, width), the patches' after the post-norm; None for none.
        grid: rows and columns.
    """
    embedding = functional.normalize(projection(context), dim=-1)
    if tokens is None:
        return JointFeatures(embedding, None)
    dense = functional.normalize(projection(tokens), dim=-1)
    return JointFeatures(embedding, dense.reshape(dense.shape[0], *grid, -1))


def neighbour_attention(attention: Any, key: Tensor, value: Tensor, nearness: Tensor) -> Tensor:
    """Return the patches' features by NACLIP, in place of a block's attention.

    Args:
        attention: the block's, for its output projection.
        key: (B, heads, 1 + patches, head width), the class token's first.
        value: likewise.
        nearness: of :func:`gaussian_nearness`, in the key's type.

    Returns:
        (B, patches, width).
    """
    attended = functional.scaled_dot_product_attention(key[:, :, 1:], key, value, attn_mask=nearness)
    batch, _, patches, _ = attended.shape
    joined: Tensor = attention.out_proj(attended.transpose(1, 2).reshape(batch, patches, -1))
    return joined


def gaussian_nearness(grid: tuple[int, int], sigma: float, like: Tensor) -> Tensor:
    """Return (patches, 1 + patches): exp(-d^2 / (2 sigma^2)) for each two patches at distance d, 0 to the class token.

    Args:
        grid: rows and columns.
        sigma: in patches, like d.
        like: gives the device and the dtype.
    """
    row, column = (torch.arange(count, dtype=torch.float32, device=like.device) for count in grid)
    places = torch.cartesian_prod(row, column)
    squared = (places[:, None] - places[None]).square().sum(dim=-1)
    return functional.pad(torch.exp(squared * (-0.5 / sigma**2)), (1, 0)).to(like.dtype)


def tower_hash(encoder: Any) -> str:
    """Return the hash of a CLIP tower and its projection, hexadecimal: text vectors are for one of them.

    Args:
        encoder: a :class:`~space_clip_ros.model.encoder.Encoder` with its projection.
    """
    digest = hashlib.sha256()
    tensors = {**encoder.frozen_state(), PROJECTION: encoder.projection.weight}
    for name in sorted(tensors):
        digest.update(f"{name} {list(tensors[name].shape)}\n".encode())
        digest.update(tensors[name].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
