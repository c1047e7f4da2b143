"""CLIP's projection, given to a depth model afterwards; outputs, chosen and left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from space_clip_ros.errors import InputError, ModelError
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.joint_space import with_joint_space, with_outputs
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig

IMAGES = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def clip_file(shared_dir: Path) -> Path:
    return shared_dir / "reference" / "language_clip_tiny_open_clip.pt"


def depth_model(clip_file: Path | None, **language: object) -> SpaceClip:
    config = ModelConfig(
        encoder=EncoderConfig(width=64, heads=4, image_size=64),
        decoder=DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8),
        input_size=(64, 64),
        language=LanguageConfig(**language),
    )
    torch.manual_seed(0)
    return build(config, clip_file)


def test_a_model_trained_for_depth_alone_gets_language_from_its_clip(clip_file: Path) -> None:
    plain = depth_model(clip_file)
    joint = with_joint_space(plain, clip_file)
    trained = depth_model(clip_file, outputs=("embedding", "dense"), embed_dim=48)
    assert plain.encoder.projection is None and not plain.config.language.outputs
    assert joint.config.language == trained.config.language and joint.config.language.tower
    with torch.inference_mode():
        assert torch.equal(joint(IMAGES).depth, plain(IMAGES).depth)
        assert torch.equal(joint(IMAGES).dense, trained(IMAGES).dense)


def test_another_clip_is_refused(clip_file: Path) -> None:
    with pytest.raises(ModelError, match=r"is not the CLIP whose tower the model has: .* differs"):
        with_joint_space(depth_model(None), clip_file)


def test_towers_that_left_the_joint_space_are_refused(clip_file: Path) -> None:
    config = ModelConfig(
        encoder=EncoderConfig(width=64, heads=4, image_size=64, trainable=True),
        decoder=DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8),
        input_size=(64, 64),
    )
    with pytest.raises(InputError, match="training moves the tower away from CLIP's"):
        with_joint_space(build(config), clip_file)
    closed = depth_model(None, outputs=("dense",), embed_dim=1, vocabulary=("car",))
    with pytest.raises(InputError, match="has a closed list of names"):
        with_joint_space(closed, clip_file)


def test_outputs_are_chosen(clip_file: Path) -> None:
    model = depth_model(clip_file, outputs=("embedding", "dense"), embed_dim=48)
    assert list(with_outputs(model, None).config.outputs) == ["depth", "embedding", "dense"]
    assert list(with_outputs(model, ["dense"]).config.outputs) == ["depth", "dense"]
    assert model(IMAGES).embedding is None
    with pytest.raises(InputError, match="has no embedding; give CLIP's weights with --clip"):
        with_outputs(model, ["embedding", "dense"])
    assert list(with_outputs(model, ["depth"]).config.outputs) == ["depth"]
    assert model(IMAGES).dense is None and model.encoder.projection is None
    assert model.config.language == LanguageConfig()
