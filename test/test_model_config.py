"""Settings of a model are valid by default, and those that conflict are refused."""

from __future__ import annotations

import pytest

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError
from space_clip_ros.model_config import AdoptedConfig, DecoderConfig, EncoderConfig, ModelConfig


@pytest.mark.parametrize("cls", [ModelConfig, AdoptedConfig])
def test_the_defaults_pass_their_own_checks_and_explain_themselves(cls: type) -> None:
    assert settings.parse(cls, settings.to_dict(cls())) == cls()
    for item in settings.declared(cls):
        assert len(item.help) > 8, item.name


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (EncoderConfig, {"width": 100, "heads": 3}, "heads: must divide width 100"),
        (EncoderConfig, {"image_size": 100}, "image_size: must be a multiple of patch_size 16"),
        (ModelConfig, {"input_size": [100, 224]}, "input_size: must be multiples of patch_size 16"),
        (ModelConfig, {"decoder": {"semantic_states": [13, 9, 6, 3]}}, "decoder.semantic_states: a tower of 12"),
        (ModelConfig, {"uncertainty": True, "decoder": {"channels": [8]}}, "uncertainty: needs a decoder of at"),
        (DecoderConfig, {"channels": []}, "channels: must name at least one block"),
        (DecoderConfig, {"semantic_states": [9, 6]}, "semantic_states: must be empty or 4"),
        (DecoderConfig, {"structural_states": [4, 3, 2, 1, 0]}, "structural_states: must be at most 4"),
        (
            DecoderConfig,
            {"structural_states": [1], "use_structural_pathway": False},
            "structural_states: must be empty without use_structural_pathway",
        ),
        (
            DecoderConfig,
            {"fusion": "cross_attention", "use_structural_pathway": False},
            "fusion: cross_attention needs use_structural_pathway",
        ),
        (ModelConfig, {"min_depth": 90.0}, "min_depth: must be below max_depth 80"),
        (ModelConfig, {"training_camera": [1242, 375, 720]}, "training_camera: must be empty or"),
        (AdoptedConfig, {"min_depth": 90.0}, "min_depth: must be below max_depth 80"),
        (AdoptedConfig, {"training_camera": [1242, 375, 720, 0]}, "training_camera: must be empty or"),
    ],
)
def test_what_does_not_fit_together_is_refused(cls: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings.parse(cls, values)


@pytest.mark.parametrize(
    ("layers", "blocks", "semantic", "structural"),
    [
        (12, 4, (12, 9, 6, 3), (2, 1, 0)),
        (24, 4, (24, 18, 12, 6), (4, 2, 0)),
        (27, 4, (27, 20, 14, 7), (5, 2, 0)),
        (32, 4, (32, 24, 16, 8), (5, 3, 0)),
        (12, 3, (12, 8, 4), (1, 0)),
        (12, 1, (12,), (0,)),
        (2, 5, (2, 2, 1, 1, 0), (1, 0, 0, 0)),
    ],
)
def test_states_are_spread_as_the_papers(
    layers: int, blocks: int, semantic: tuple[int, ...], structural: tuple[int, ...]
) -> None:
    decoder = DecoderConfig(channels=(8,) * blocks)
    assert decoder.states(layers) == (semantic, structural)
    assert DecoderConfig(channels=(8,) * blocks, use_structural_pathway=False).states(layers) == (semantic, ())
