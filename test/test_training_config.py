from __future__ import annotations

from typing import Any

import pytest

from space_clip_ros.errors import ConfigError
from space_clip_ros.settings import nest, parse
from space_clip_ros.training_config import TrainingConfig

ONLY_AUXILIARY = {"loss.silog": 0.0, "loss.ssim": 0.0}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"train_only": "uncertainty", "model.uncertainty": True},
            "train_only: uncertainty needs initial, the finished",
        ),
        ({"train_only": "refinement", "model.refinement": True}, "train_only: refinement needs initial, the finished"),
        (
            {**ONLY_AUXILIARY, "train_only": "coarse"},
            "loss: train_only: coarse needs a weight above 0 for a term beside",
        ),
        ({**ONLY_AUXILIARY, "loss.auxiliary": [0, 0, 0, 0, 1]}, "loss.auxiliary: all weights above 0 .* as it has 3"),
        ({**ONLY_AUXILIARY, "model.decoder.auxiliary_heads": False}, "loss.auxiliary: all weights above 0 .* it has 0"),
    ],
)
def test_what_could_not_be_trained_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse(TrainingConfig, nest(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"train_only": "uncertainty", "model.uncertainty": True, "initial": "best.safetensors"},
        {"train_only": "coarse", "loss.auxiliary": []},
        ONLY_AUXILIARY,
        {
            "model.decoder.channels": [16, 8],
            "model.decoder.semantic_states": [12, 6],
            "model.decoder.structural_states": [],
        },
    ],
)
def test_what_can_be_trained_is_not(changes: dict[str, Any]) -> None:
    parse(TrainingConfig, nest(changes))


def test_weights_of_heads_that_the_model_lacks_do_not_count() -> None:
    config = parse(TrainingConfig, nest({"loss.auxiliary": [0.1, 0.2, 0.3, 0.4]}))
    assert config.auxiliary_weights == (0.1, 0.2, 0.3)
