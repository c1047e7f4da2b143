from __future__ import annotations

import json
from pathlib import Path

import pytest

from space_clip_ros.errors import ModelError
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.reference_names import reference_source, tower_source
from space_clip_ros.model_config import EncoderConfig


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("encoder.tower.conv1.weight", ["clip_vision_model.embeddings.patch_embedding.weight"]),
        (
            "encoder.tower.transformer.resblocks.11.attn.in_proj_bias",
            [f"clip_vision_model.encoder.layers.11.self_attn.{part}_proj.bias" for part in "qkv"],
        ),
        ("decoder.film.3.modulation.bias", ["film_param_generators.3.2.bias"]),
        ("decoder.semantic_blocks.1.upsample.smooth.norm.bias", ["main_decoder_blocks.1.upsample_low.conv.1.bias"]),
        ("decoder.semantic_blocks.0.residual.norm2.weight", ["main_decoder_blocks.0.fusion_conv.3.norm2.weight"]),
        ("decoder.structural_blocks.2.fuse.conv.weight", ["structural_decoder_blocks.2.fusion_conv.0.weight"]),
        ("depth_head.depth.weight", ["depth_prediction_head.3.weight"]),
        ("auxiliary_heads.2.refine.norm.running_var", ["aux_depth_heads.2.1.running_var"]),
    ],
)
def test_names(ours: str, theirs: list[str]) -> None:
    assert list(reference_source(ours, "clip").names) == theirs


def test_shapes_are_the_references(reference_dir: Path, clip_reference: object) -> None:
    """Every name and shape the reference lists, from our own names and shapes."""
    shapes = json.loads((reference_dir / "configs.json").read_text())["clip_tiny_shapes"]
    model: SpaceClip = clip_reference.model
    ours = {
        theirs: list(source.shape(tuple(tensor.shape)))
        for name, tensor in model.state_dict().items()
        for source in [reference_source(name, "clip")]
        for theirs in source.names
    }
    assert ours == shapes


def test_every_tensor_of_a_tower_has_a_counterpart(encoder_config: EncoderConfig) -> None:
    for name in Encoder(encoder_config).tower.state_dict():
        assert tower_source(name, encoder_config.kind, "vision_model.").names[0].startswith("vision_model.")


def test_an_unknown_name() -> None:
    with pytest.raises(ModelError, match="ln_extra: no counterpart among Hugging Face's clip names"):
        tower_source("ln_extra", "clip", "")
