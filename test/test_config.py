"""The defaults are valid, describe themselves, and refuse what does not fit together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from space_clip_ros import config, settings
from space_clip_ros.errors import ConfigError

ALL = (config.ModelConfig, config.NodeConfig, config.PlayerConfig, config.EvaluatorConfig)


@pytest.mark.parametrize("cls", ALL)
def test_the_defaults_pass_their_own_checks_and_explain_themselves(cls: type) -> None:
    assert settings.parse(cls, settings.to_dict(cls())) == cls()
    for item in settings.declared(cls):
        assert len(item.help) > 8, item.name


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (config.EncoderConfig, {"width": 100, "heads": 3}, "heads: must divide width 100"),
        (config.EncoderConfig, {"image_size": 100}, "image_size: must be a multiple of patch_size 16"),
        (config.ModelConfig, {"input_size": [100, 224]}, "input_size: must be multiples of patch_size 16"),
        (config.ModelConfig, {"decoder": {"semantic_states": [13, 9, 6, 3]}}, "decoder.semantic_states: a tower of 12"),
        (config.ModelConfig, {"uncertainty": True, "decoder": {"channels": [8]}}, "uncertainty: needs a decoder of at"),
        (config.DecoderConfig, {"channels": []}, "channels: must name at least one block"),
        (config.DecoderConfig, {"semantic_states": [9, 6]}, "semantic_states: must be empty or 4"),
        (config.DecoderConfig, {"structural_states": [4, 3, 2, 1, 0]}, "structural_states: must be at most 4"),
        (
            config.DecoderConfig,
            {"structural_states": [1], "use_structural_pathway": False},
            "structural_states: must be empty without use_structural_pathway",
        ),
        (
            config.DecoderConfig,
            {"fusion": "cross_attention", "use_structural_pathway": False},
            "fusion: cross_attention needs use_structural_pathway",
        ),
        (config.ModelConfig, {"min_depth": 90.0}, "min_depth: must be below max_depth 80"),
        (config.ModelConfig, {"training_camera": [1242, 375, 720]}, "training_camera: must be empty or"),
        (config.NodeConfig, {"min_depth": 90.0}, "min_depth: must be below max_depth 80"),
        (config.NodeConfig, {"points": {"clearing": True, "max_range": 0}}, "points.clearing: needs points.max_range"),
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
    decoder = config.DecoderConfig(channels=(8,) * blocks)
    assert decoder.states(layers) == (semantic, structural)
    assert config.DecoderConfig(channels=(8,) * blocks, use_structural_pathway=False).states(layers) == (semantic, ())


def test_the_documented_tables_are_the_declared_ones(project_root: Path) -> None:
    script = project_root / "scripts" / "parameter_tables.py"
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert (project_root / "docs" / "parameters.md").read_text(encoding="utf-8") == made
