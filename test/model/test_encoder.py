from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional

from space_clip_ros.errors import InputError
from space_clip_ros.model.encoder import Encoder, fix_input_size, resize_position_embedding
from space_clip_ros.model_config import EncoderConfig


@pytest.fixture
def encoder(encoder_config: EncoderConfig) -> Encoder:
    torch.manual_seed(0)
    return Encoder(encoder_config)


def trainable(config: EncoderConfig) -> Encoder:
    return Encoder(dataclasses.replace(config, trainable=True))


def test_thirteen_states_of_the_patch_grid(encoder: Encoder) -> None:
    encoded = encoder(torch.randn(2, 3, 48, 80))
    assert encoded.grid == (3, 5)
    assert [tuple(state.shape) for state in encoded.states] == [(2, encoder.prefix_tokens + 15, 32)] * 13
    assert encoded.context.shape == (2, 32)


def test_states_and_context_are_the_ones_of_the_librarys_own_run(encoder: Encoder, images: torch.Tensor) -> None:
    tower = encoder.tower.eval()
    encoded = encoder(images)
    with torch.inference_mode():
        if encoder.config.kind == "clip":
            own = tower.forward_intermediates(images, output_fmt="NLC", output_extra_tokens=True)
            pairs = zip(own["image_intermediates_prefix"], own["image_intermediates"], strict=True)
            states = [torch.cat(pair, dim=1) for pair in pairs]
            context = own["image_features"]
        else:
            last, states = tower.forward_intermediates(images, output_fmt="NLC")
            context = tower.forward_head(last)
    for ours, theirs in zip(encoded.states[1:], states, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoded.context, context, rtol=1e-4, atol=1e-5)


def test_state_0_enters_block_1_and_each_block_runs_once(encoder: Encoder, images: torch.Tensor) -> None:
    clip = encoder.config.kind == "clip"
    blocks = encoder.tower.transformer.resblocks if clip else encoder.tower.blocks
    norms = [block.ln_1 if clip else block.norm1 for block in blocks]
    entered: list[torch.Tensor] = []
    handles = [norm.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0])) for norm in norms]
    encoded = encoder(images)
    for handle in handles:
        handle.remove()
    assert len(entered) == 12
    assert all(torch.equal(tokens, state) for tokens, state in zip(entered, encoded.states, strict=False))


def test_heads_activation_and_epsilon_matter(images: torch.Tensor) -> None:
    plain = EncoderConfig(width=32, heads=2, image_size=32)
    weights = Encoder(plain).state_dict()
    contexts = []
    for change in ({}, {"heads": 4}, {"activation": "gelu"}, {"activation": "gelu_tanh"}, {"layer_norm_eps": 1e-2}):
        encoder = Encoder(dataclasses.replace(plain, **change))
        encoder.load_state_dict(weights)
        contexts.append(encoder(images).context)
    assert all(not torch.equal(contexts[0], other) for other in contexts[1:])


def test_frozen_stays_in_evaluation_mode_without_gradients(encoder: Encoder, images: torch.Tensor) -> None:
    encoder.train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    encoded = encoder(images.requires_grad_())
    assert not encoded.context.requires_grad
    assert not any(state.requires_grad for state in encoded.states)


def test_trainable_trains(encoder_config: EncoderConfig, images: torch.Tensor) -> None:
    encoder = trainable(encoder_config)
    assert encoder.training
    assert not encoder.eval().training
    assert encoder.train().training
    encoded = encoder(images)
    sum(state.square().mean() for state in (*encoded.states, encoded.context)).backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_position_embedding_of_its_own_grid_is_untouched() -> None:
    embedding = torch.randn(16, 8)
    assert resize_position_embedding(embedding, 4, (4, 4)) is embedding


def test_position_embedding_is_interpolated_rows_first() -> None:
    # A plane that rises by 1 a row and 10 a column: twice as large, two pixels further is one row or column further.
    steps = torch.arange(8, dtype=torch.float64)
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    plane = (rows + 10 * columns).reshape(64, 1)
    inside = resize_position_embedding(plane, 8, (16, 16)).reshape(16, 16)[4:12, 4:12]
    torch.testing.assert_close(inside[2:] - inside[:-2], torch.full((6, 8), 1.0, dtype=torch.float64))
    torch.testing.assert_close(inside[:, 2:] - inside[:, :-2], torch.full((8, 6), 10.0, dtype=torch.float64))


def test_position_embedding_is_not_antialiased() -> None:
    embedding = torch.randn(64, 3, dtype=torch.float64)
    expected = functional.interpolate(embedding.T.reshape(1, 3, 8, 8), size=(3, 5), mode="bicubic", align_corners=False)
    torch.testing.assert_close(resize_position_embedding(embedding, 8, (3, 5)), expected.reshape(3, 15).T)


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ((3, 32, 32), torch.float32, r"got shape \(3, 32, 32\)"),
        ((1, 4, 32, 32), torch.float32, r"got shape \(1, 4, 32, 32\)"),
        ((1, 3, 32, 32), torch.uint8, "torch.uint8"),
        ((1, 3, 40, 32), torch.float32, "multiples of 16 pixels, got 40 x 32"),
        ((1, 3, 32, 0), torch.float32, "got 32 x 0"),
    ],
)
def test_wrong_images_are_refused(encoder: Encoder, shape: tuple[int, ...], dtype: torch.dtype, said: str) -> None:
    with pytest.raises(InputError, match=said):
        encoder(torch.zeros(shape, dtype=dtype))


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("size", [(32, 32), (32, 64)])
def test_a_fixed_size_gives_the_same_states(kind: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(kind=kind, width=16, heads=2, image_size=32)).eval()
    images = torch.rand(1, 3, *size)
    expected = encoder(images)
    fix_input_size(encoder, size)
    monkeypatch.setattr("space_clip_ros.model.encoder.resize_position_embedding", None)  # is not needed any more
    torch.testing.assert_close(encoder(images).states, expected.states)
