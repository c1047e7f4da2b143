"""Half precision: where it is used, where it is not, and how far the depth moves."""

from __future__ import annotations

import copy

import pytest
import torch

from space_clip_ros.errors import InputError
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.half import fold_norms, fuse_quick_gelu, halve
from space_clip_ros.model_config import AdapterConfig, DecoderConfig, EncoderConfig, ModelConfig

IMAGES = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1)) * 4 - 2


def model(kind: str, adapters: AdapterConfig | None = None) -> SpaceClip:
    """Return a model whose batch norms and adapters differ from their neutral initial values."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    encoder = EncoderConfig(kind=kind, width=32, heads=2, image_size=32, adapters=adapters or AdapterConfig())
    built = build(ModelConfig(encoder=encoder, decoder=DecoderConfig(channels=(8, 8, 8, 8)), input_size=(32, 48)))
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    for name, parameter in built.named_parameters():
        if ".up." in name:
            torch.nn.init.normal_(parameter, std=0.1)
    torch.nn.init.constant_(built.depth_head.depth.bias, 20.0)
    torch.nn.init.normal_(built.depth_head.depth.weight, std=2.0)
    return built


@torch.inference_mode()
def depth(network: SpaceClip) -> torch.Tensor:
    return network(IMAGES, (60, 100), auxiliary=False).depth


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_folded_norms_give_the_same_depth(kind: str) -> None:
    plain = model(kind, AdapterConfig(rank=2))
    folded = copy.deepcopy(plain)
    fold_norms(folded)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.depth_head.modules())
    assert depth(plain).std() > 0.01
    torch.testing.assert_close(depth(folded), depth(plain), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_fused_activation_gives_the_same_depth(kind: str) -> None:
    plain = model(kind)
    fused = copy.deepcopy(plain)
    fuse_quick_gelu(fused)
    assert any(isinstance(module, torch.nn.SiLU) for module in fused.modules()) == (kind == "clip")
    torch.testing.assert_close(depth(fused), depth(plain), rtol=1e-4, atol=1e-3)


def test_a_model_in_training_is_not_folded() -> None:
    with pytest.raises(InputError, match=r"call model\.eval\(\) first"):
        fold_norms(model("clip").train())


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("dtype, moved", [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_moves_depth_by_its_rounding_only(kind: str, dtype: torch.dtype, moved: float) -> None:
    plain = model(kind)
    halved = copy.deepcopy(plain)
    fold_norms(halved)
    halve(halved, dtype)
    got, expected = depth(halved), depth(plain)
    assert got.dtype == torch.float32
    assert ((got - expected).abs() / expected).mean() < moved
    assert not torch.equal(got, expected)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_products_are_halved_except_where_float32_is_needed(kind: str) -> None:
    halved = model(kind)
    fold_norms(halved)
    halve(halved)
    for name, module in halved.named_modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            kept = name.startswith(("decoder.film", "depth_head.depth", "encoder.tower.attn_pool"))
            assert module.weight.dtype == (torch.float32 if kept else torch.float16), name
        elif isinstance(module, torch.nn.LayerNorm):
            assert module.weight.dtype == torch.float32, name
    packed = [value.dtype for name, value in halved.named_parameters() if "in_proj" in name]
    assert set(packed) == ({torch.float16} if kind == "clip" else set())


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_towers_states_stay_in_float32(kind: str) -> None:
    halved = model(kind)
    fold_norms(halved)
    halve(halved)
    with torch.inference_mode():
        features = halved.features(IMAGES)
    assert {state.dtype for state in features.states} == {torch.float32}
    assert features.context.dtype == torch.float32
    assert {found.dtype for found in features.semantic_decoder} == {torch.float16}
