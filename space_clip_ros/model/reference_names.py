"""Maps our tensors' names to those of the reference implementation, which for the tower are Hugging Face's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from space_clip_ros.errors import ModelError

REFERENCE_TOWER = "clip_vision_model."
"""Prefix of the vision tower in the reference implementation's checkpoints."""


@dataclass(frozen=True)
class TensorSource:
    """Where one of our tensors comes from in a file.

    Attributes:
        names: the file's tensors that are stacked along the first axis, in this order.
        rows: part of the first axis to take, (start, stop) in thirds; None takes all of it.
    """

    names: tuple[str, ...]
    rows: tuple[int, int] | None = None

    def shape(self, ours: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that each of ``names`` must have so that our tensor gets shape ``ours``."""
        if self.rows is not None:
            return (ours[0] * 3 // (self.rows[1] - self.rows[0]), *ours[1:])
        if self.names[0].endswith("embeddings.position_embedding.weight"):
            return ours[-2:]
        return (ours[0] // len(self.names), *ours[1:]) if ours else ours

    def assemble(self, tensors: Mapping[str, Tensor], ours: tuple[int, ...]) -> Tensor:
        """Build our tensor of shape ``ours``."""
        named = [tensors[name] for name in self.names]
        stacked = torch.cat(named) if len(named) > 1 else named[0]
        if self.rows is not None:
            third = stacked.shape[0] // 3
            stacked = stacked[self.rows[0] * third : self.rows[1] * third]
        return stacked.reshape(ours)


_BLOCK = "encoder.layers."
_CLIP_RULES = (
    (r"class_embedding", "embeddings.class_embedding"),
    (r"positional_embedding", "embeddings.position_embedding.weight"),
    (r"conv1\.weight", "embeddings.patch_embedding.weight"),
    (r"ln_pre\.(weight|bias)", r"pre_layrnorm.\1"),
    (r"ln_post\.(weight|bias)", r"post_layernorm.\1"),
    (r"transformer\.resblocks\.(\d+)\.ln_([12])\.(weight|bias)", rf"{_BLOCK}\1.layer_norm\2.\3"),
    (r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", rf"{_BLOCK}\1.self_attn.*_proj.\2"),
    (r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(weight|bias)", rf"{_BLOCK}\1.self_attn.out_proj.\2"),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(weight|bias)", rf"{_BLOCK}\1.mlp.fc1.\2"),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(weight|bias)", rf"{_BLOCK}\1.mlp.fc2.\2"),
)
_SIGLIP_RULES = (
    (r"pos_embed", "embeddings.position_embedding.weight"),
    (r"patch_embed\.proj\.(weight|bias)", r"embeddings.patch_embedding.\1"),
    (r"norm\.(weight|bias)", r"post_layernorm.\1"),
    (r"blocks\.(\d+)\.norm([12])\.(weight|bias)", rf"{_BLOCK}\1.layer_norm\2.\3"),
    (r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)", rf"{_BLOCK}\1.self_attn.*_proj.\2"),
    (r"blocks\.(\d+)\.attn\.proj\.(weight|bias)", rf"{_BLOCK}\1.self_attn.out_proj.\2"),
    (r"blocks\.(\d+)\.mlp\.fc([12])\.(weight|bias)", rf"{_BLOCK}\1.mlp.fc\2.\3"),
    (r"attn_pool\.latent", "head.probe"),
    (r"attn_pool\.(?:q|kv)\.(weight|bias)", r"head.attention.in_proj_\1"),
    (r"attn_pool\.proj\.(weight|bias)", r"head.attention.out_proj.\1"),
    (r"attn_pool\.norm\.(weight|bias)", r"head.layernorm.\1"),
    (r"attn_pool\.mlp\.fc([12])\.(weight|bias)", r"head.mlp.fc\1.\2"),
)
_TOWER_RULES = {"clip": _CLIP_RULES, "siglip": _SIGLIP_RULES}
_POOL_ROWS = {"attn_pool.q.": (0, 1), "attn_pool.kv.": (1, 3)}

_PATHWAYS = (
    (r"semantic_blocks\.", "main_decoder_blocks."),
    (r"structural_blocks\.", "structural_decoder_blocks."),
    (r"semantic_projections\.", "main_path_projections."),
    (r"structural_projections\.", "structural_path_projections."),
    (r"film\.(\d+)\.hidden\.", r"film_param_generators.\1.0."),
    (r"film\.(\d+)\.modulation\.", r"film_param_generators.\1.2."),
)
_BLOCK_LAYERS = (
    (r"\.upsample\.transposed\.", ".upsample_low.upsample."),
    (r"\.upsample\.smooth\.conv\.", ".upsample_low.conv.0."),
    (r"\.upsample\.smooth\.norm\.", ".upsample_low.conv.1."),
    (r"\.semantic_skip\.gate\.", ".skip_clip_gate.0."),
    (r"\.structural_skip\.gate\.", ".skip_struct_gate.0."),
    (r"\.fuse\.conv\.", ".fusion_conv.0."),
    (r"\.fuse\.norm\.", ".fusion_conv.1."),
    (r"\.residual\.", ".fusion_conv.3."),
)
_HEADS = (
    (r"^depth_head\.", "depth_prediction_head."),
    (r"^auxiliary_heads\.", "aux_depth_heads."),
    (r"\.refine\.conv\.", ".0."),
    (r"\.refine\.norm\.", ".1."),
    (r"\.depth\.", ".3."),
)


def tower_source(name: str, kind: str, prefix: str) -> TensorSource:
    """Return where a vision tower's tensor lies in a file with Hugging Face's names.

    Args:
        name: our name inside the tower, for example ``conv1.weight``.
        kind: ``clip`` or ``siglip``.
        prefix: the file's prefix to Hugging Face's names.

    Raises:
        ModelError: Hugging Face has no counterpart.
    """
    for pattern, replacement in _TOWER_RULES[kind]:
        match = re.fullmatch(pattern, name)
        if match:
            theirs = prefix + match.expand(replacement)
            rows = next((rows for start, rows in _POOL_ROWS.items() if name.startswith(start)), None)
            names = tuple(theirs.replace("*", letter) for letter in "qkv") if "*" in theirs else (theirs,)
            return TensorSource(names, rows)
    raise ModelError(name, f"no counterpart among Hugging Face's {kind} names")


def reference_source(name: str, kind: str) -> TensorSource:
    """Return where our model's tensor ``name`` lies in a reference checkpoint.

    Raises:
        ModelError: it is a tensor of the tower that Hugging Face has no counterpart for.
    """
    module, _, rest = name.partition(".")
    if module == "encoder":
        return tower_source(rest.removeprefix("tower."), kind, REFERENCE_TOWER)
    rules = (*_PATHWAYS, *_BLOCK_LAYERS) if module == "decoder" else _HEADS
    theirs = rest if module == "decoder" else name
    for pattern, replacement in rules:
        theirs = re.sub(pattern, replacement, theirs)
    return TensorSource((theirs,))
