"""The vision tower: one run gives every hidden state and the context vector."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from open_clip.transformer import LayerNorm, QuickGELU
from open_clip.transformer import VisionTransformer as ClipTower
from timm.models.vision_transformer import VisionTransformer as SiglipTower
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.errors import InputError
from space_clip_ros.model.adapters import adapter_parameters, add_adapters, packed_addition
from space_clip_ros.model.joint_features import (
    JointFeatures,
    gaussian_nearness,
    is_joint,
    joint_features,
    neighbour_attention,
)
from space_clip_ros.model.stem import ConvolutionalStem
from space_clip_ros.model_config import EncoderConfig, LanguageConfig

_ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "quick_gelu": QuickGELU,
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
}


class EncoderOutput(NamedTuple):
    """The tower's output.

    Attributes:
        states: hidden states 0 to ``layers``, each (B, T, width); state 0 is the first block's input, state i is block
            i's output. CLIP's have the class token first (T = 1 + grid height * grid width), SigLIP's have none.
        context: (B, width) global vector: CLIP's class token after the post-norm, SigLIP's attention-pooled vector.
        grid: height and width of the patch grid.
        joint: features in CLIP's joint space; None if the encoder has no projection to it.
    """

    states: tuple[Tensor, ...]
    context: Tensor
    grid: tuple[int, int]
    joint: JointFeatures | None = None


class Heads(NamedTuple):
    """Query, key and value of a block's attention, each (B, heads, T, head width)."""

    query: Tensor
    key: Tensor
    value: Tensor


class Encoder(nn.Module):
    """A ViT of the CLIP (open_clip) or SigLIP (timm, as open_clip uses it) family.

    If ``language`` wants features of CLIP's joint space, it has CLIP's projection, too; else no projection head.

    Unless ``config.trainable`` is set, the tower is frozen: its parameters require no gradients, :meth:`train` leaves
    it in evaluation mode, and it runs without autograd. With ``config.adapters``, only those require gradients.
    """

    def __init__(self, config: EncoderConfig, language: LanguageConfig | None = None) -> None:
        """Build the tower with random weights.

        Args:
            config: the tower's settings.
            language: what is wanted of CLIP's joint space; None for nothing.
        """
        super().__init__()
        self.config = config
        self.language = language or LanguageConfig()
        self.tower: Any = _clip_tower(config) if config.kind == "clip" else _siglip_tower(config)
        self.projection: nn.Linear | None = None
        if is_joint(self.language):
            # Leaves the random generator as it was, so the other weights are the same with and without language.
            with torch.random.fork_rng(devices=[]):
                self.projection = nn.Linear(config.width, self.language.embed_dim, bias=False)
        self.requires_grad_(config.trainable)
        if config.adapters.rank:
            add_adapters(self.tower, config)
        self.train(config.trainable)

    @property
    def prefix_tokens(self) -> int:
        """Number of tokens before the patches in every hidden state."""
        return 1 if self.config.kind == "clip" else 0

    def frozen_state(self) -> dict[str, Tensor]:
        """Return the tower's tensors without the adapters', by their names in the tower."""
        adapters = adapter_parameters(self.tower)
        return {name: tensor for name, tensor in self.tower.state_dict().items() if name not in adapters}

    def train(self, mode: bool = True) -> Encoder:
        """Set training mode; a frozen tower stays in evaluation mode."""
        return super().train(mode and self.config.trainable)

    def forward(self, images: Tensor) -> EncoderOutput:
        """Run the tower once.

        Args:
            images: (B, 3, H, W) float, normalised RGB; H and W multiples of the patch size. Sizes other than
                ``config.image_size`` interpolate the position embedding.

        Raises:
            InputError: the shape or dtype does not fit.
        """
        if not torch.onnx.is_in_onnx_export():
            self._check(images)
        if self.config.trainable or self.config.adapters.rank or not torch.is_grad_enabled():
            return self._run(images)
        with torch.no_grad():
            return self._run(images)

    def _run(self, images: Tensor) -> EncoderOutput:
        if self.config.kind == "siglip":
            return _run_siglip(self.tower, images)
        output, heads = _run_clip(self.tower, images)
        if self.projection is None:
            return output
        dense = self._dense_tokens(heads, output.grid) if "dense" in self.language.outputs else None
        return output._replace(joint=joint_features(self.projection, output.context, dense, output.grid))

    def _dense_tokens(self, heads: Heads, grid: tuple[int, int]) -> Tensor:
        tower = self.tower
        nearness = getattr(self, "fixed_nearness", None)
        if nearness is None:
            nearness = gaussian_nearness(grid, self.language.sigma, heads.key)
        attention = tower.transformer.resblocks[-1].attn
        tokens = neighbour_attention(attention, heads.key, heads.value, nearness.to(heads.key.dtype))
        # Half-precision products give halves; the norm is in float32.
        return cast(Tensor, tower.ln_post(tokens.to(tower.ln_post.weight.dtype)))

    def _check(self, images: Tensor) -> None:
        patch = self.config.patch_size
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise InputError(
                "images",
                "must be normalised RGB of shape (B, 3, H, W) and a float dtype, "
                f"got shape {tuple(images.shape)} and {images.dtype}",
            )
        height, width = images.shape[2:]
        if height < patch or width < patch or height % patch or width % patch:
            raise InputError("images", f"height and width must be multiples of {patch} pixels, got {height} x {width}")


def resize_position_embedding(embedding: Tensor, side: int, grid: tuple[int, int]) -> Tensor:
    """Interpolate a square grid's position embedding to another grid: bicubic, no antialiasing, corners not aligned.

    Args:
        embedding: (side * side, width), row by row.
        side: patches per side of the grid that the embedding was trained for.
        grid: height and width of the new grid, patches.

    Returns:
        (height * width, width); the embedding itself if the grid is unchanged.
    """
    if grid == (side, side):
        return embedding
    square = embedding.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = functional.interpolate(square, size=grid, mode="bicubic", align_corners=False, antialias=False)
    return resized.flatten(2).transpose(1, 2).squeeze(0)


@torch.no_grad()
def fix_input_size(encoder: Encoder, size: tuple[int, int]) -> None:
    """Compute what depends on the images' size alone once, in place, for images of one size; for inference only.

    That is the position embedding, with the class token added to it, and how near the patches are to each other.
    Otherwise every run computes it again.

    Args:
        encoder: its checkpoint can no longer be written afterwards.
        size: height and width of the images, pixels; multiples of the patch size.
    """
    tower, patch = encoder.tower, encoder.config.patch_size
    grid = (size[0] // patch, size[1] // patch)
    if encoder.config.kind == "clip":
        trained, side = tower.positional_embedding, tower.grid_size[0]
        fixed = torch.cat([trained[:1], resize_position_embedding(trained[1:], side, grid)])
        tower.positional_embedding, tower.grid_size = nn.Parameter(fixed, requires_grad=False), grid
        tower.register_buffer("fixed_class_token", (tower.class_embedding + fixed[0])[None, None], persistent=False)
        if encoder.projection is not None and "dense" in encoder.language.outputs:
            nearness = gaussian_nearness(grid, encoder.language.sigma, fixed)
            encoder.register_buffer("fixed_nearness", nearness, persistent=False)
    else:
        embedding, side = tower.pos_embed[0], tower.patch_embed.grid_size[0]
        fixed = resize_position_embedding(embedding, side, grid)
        tower.pos_embed, tower.patch_embed.grid_size = nn.Parameter(fixed[None], requires_grad=False), grid


def _position_embedding(trained: Tensor, trained_grid: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    if grid == tuple(trained_grid):
        return trained
    return resize_position_embedding(trained, trained_grid[0], grid)


def _clip_tower(config: EncoderConfig) -> nn.Module:
    tower = ClipTower(
        image_size=config.image_size,
        patch_size=config.patch_size,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        mlp_ratio=config.mlp_ratio,
        act_layer=_ACTIVATIONS[config.activation],
        norm_layer=partial(LayerNorm, eps=config.layer_norm_eps),
    )
    if config.stem == "convolutional":
        tower.stem = ConvolutionalStem(config.width, config.patch_size)
    tower.proj = None  # The projection to the joint image-text space, if wanted, is the encoder's own.
    return cast(nn.Module, tower)


def _siglip_tower(config: EncoderConfig) -> nn.Module:
    tower = SiglipTower(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.width,
        depth=config.layers,
        num_heads=config.heads,
        mlp_ratio=config.mlp_ratio,
        act_layer=_ACTIVATIONS[config.activation],
        norm_layer=partial(nn.LayerNorm, eps=config.layer_norm_eps),
        class_token=False,
        global_pool="map",
        num_classes=0,
    )
    return cast(nn.Module, tower)


def _run_clip(tower: Any, images: Tensor) -> tuple[EncoderOutput, Heads]:
    """Return the tower's output, and the last block's query, key and value."""
    patches = tower.conv1(images)
    if hasattr(tower, "stem"):
        patches = patches + tower.stem(images)
    tokens, grid = _patch_tokens(patches)
    states = [tower.ln_pre(_with_class_token(tower, tokens, grid))]
    for block in tower.transformer.resblocks:
        state, heads = run_clip_block(block, states[-1])
        states.append(state)
    return EncoderOutput(tuple(states), tower.ln_post(states[-1][:, 0]), grid), heads


def _with_class_token(tower: Any, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the class token and those of the patches (B, N, width), with positions: (B, 1 + N, width)."""
    trained = tower.positional_embedding
    if hasattr(tower, "fixed_class_token"):
        class_token = tower.fixed_class_token.expand(tokens.shape[0], -1, -1)
        return torch.cat([class_token, tokens + trained[1:]], dim=1)
    tokens = torch.cat([tower.class_embedding.expand(tokens.shape[0], 1, -1), tokens], dim=1)
    return tokens + torch.cat([trained[:1], _position_embedding(trained[1:], tower.grid_size, grid)])


def _run_siglip(tower: Any, images: Tensor) -> EncoderOutput:
    tokens, grid = _patch_tokens(tower.patch_embed.proj(images))
    states = [tokens + _position_embedding(tower.pos_embed[0], tower.patch_embed.grid_size, grid)]
    for block in tower.blocks:
        states.append(block(states[-1]))
    return EncoderOutput(tuple(states), tower.attn_pool(tower.norm(states[-1])), grid)


def _patch_tokens(patches: Tensor) -> tuple[Tensor, tuple[int, int]]:
    # int() keeps the grid constant in a traced graph.
    return patches.flatten(2).transpose(1, 2), (int(patches.shape[2]), int(patches.shape[3]))


def run_clip_block(block: Any, tokens: Tensor, causal: bool = False) -> tuple[Tensor, Heads]:
    """Run one of open_clip's transformer blocks on tokens (B, T, width).

    Exporters do not know the fused path of its attention's own forward.

    Args:
        block: a ``ResidualAttentionBlock``.
        tokens: its input.
        causal: whether a token attends only to itself and those before it, as in CLIP's text tower.

    Returns:
        Its output, and the query, key and value of its attention.
    """
    attention = block.attn
    heads = _heads(attention, block.ln_1(tokens))
    attended = functional.scaled_dot_product_attention(*heads, is_causal=causal)
    tokens = tokens + attention.out_proj(attended.transpose(1, 2).reshape(tokens.shape))
    return tokens + block.mlp(block.ln_2(tokens)), heads


def _heads(attention: nn.MultiheadAttention, tokens: Tensor) -> Heads:
    batch, length, _ = tokens.shape
    projected = functional.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    added = packed_addition(attention, tokens)
    projected = projected if added is None else projected + added
    heads = projected.reshape(batch, length, 3, attention.num_heads, attention.head_dim).permute(2, 0, 3, 1, 4)
    return Heads(*heads.unbind(0))
