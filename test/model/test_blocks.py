from __future__ import annotations

import pytest
import torch
from torch import nn

from space_clip_ros.model.blocks import (
    ConvNormReLU,
    DepthHead,
    Film,
    GatedSkip,
    ResidualBlock,
    SemanticBlock,
    StructuralBlock,
    Upsample,
    resize_bilinear,
)


def zero(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def test_resize_does_not_align_corners() -> None:
    # Half-pixel centres: two pixels 0 and 1 become 0, 0.25, 0.75, 1.
    row = resize_bilinear(torch.tensor([[[[0.0, 1.0]]]]), (1, 4))
    torch.testing.assert_close(row.flatten(), torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_film_scales_by_gamma_and_shifts_by_beta() -> None:
    film = Film(width=2, hidden=3)
    zero(film)
    with torch.no_grad():
        film.modulation.bias.copy_(torch.tensor([2.0, 3.0, 10.0, 20.0]))
    tokens = torch.tensor([[[1.0, 1.0], [4.0, 5.0]]])
    torch.testing.assert_close(film(tokens, torch.randn(1, 2)), torch.tensor([[[12.0, 23.0], [18.0, 35.0]]]))


def test_film_is_driven_by_each_samples_context() -> None:
    film = Film(width=4, hidden=8)
    tokens = torch.randn(1, 5, 4).expand(2, -1, -1)
    first, second = film(tokens, torch.randn(2, 4))
    assert not torch.equal(first, second)


def test_gate_of_zero_weights_scales_the_skip_by_one_and_a_half() -> None:
    gated = GatedSkip(3, 2)
    zero(gated)
    skip = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(gated(torch.randn(1, 3, 4, 4), skip), 1.5 * skip)


def test_upsample_doubles_and_convolutions_keep_the_size() -> None:
    assert Upsample(3, 5)(torch.randn(1, 3, 4, 6)).shape == (1, 5, 8, 12)
    assert ConvNormReLU(3, 5)(torch.randn(1, 3, 4, 6)).shape == (1, 5, 4, 6)


def test_residual_block_with_silent_convolutions_is_relu() -> None:
    block = ResidualBlock(3, dropout=0.5).eval()
    zero(block)
    features = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(block(features), features.relu())


def test_residual_block_drops_in_training_only() -> None:
    block = ResidualBlock(8, dropout=0.5)
    features = torch.randn(1, 8, 8, 8)
    assert not torch.equal(block(features), block(features))
    block.eval()
    assert torch.equal(block(features), block(features))


def test_blocks_fuse_skips_of_any_size() -> None:
    structural = StructuralBlock(6, 4)(torch.randn(1, 6, 3, 5), torch.randn(1, 4, 3, 5))
    assert structural.shape == (1, 4, 6, 10)
    with_structure = SemanticBlock(6, 4, 4, dropout=0.0)
    assert with_structure(torch.randn(1, 6, 3, 5), torch.randn(1, 4, 2, 2), structural).shape == (1, 4, 6, 10)
    without = SemanticBlock(6, 4, 0, dropout=0.0)
    assert without.structural_skip is None
    assert without(torch.randn(1, 6, 3, 5), torch.randn(1, 4, 2, 2), None).shape == (1, 4, 6, 10)


def test_depth_heads_start_alive_and_never_below_zero() -> None:
    features = torch.randn(2, 8, 16, 16)
    for seed in range(8):
        torch.manual_seed(seed)
        depth = DepthHead(8, 4, kernel_size=3)(features)
        assert depth.shape == (2, 1, 16, 16)
        assert depth.min() >= 0
        assert (depth > 0).float().mean() > 0.5


@pytest.mark.parametrize("kind", ["linear", "log"])
def test_a_scaled_head_predicts_so_many_times_the_depth(kind: str) -> None:
    head = DepthHead(8, 4, kernel_size=3, kind=kind).eval()
    features = torch.randn(1, 8, 6, 6)
    with torch.inference_mode():
        before = head(features)
    head.scale(1.5)
    with torch.inference_mode():
        torch.testing.assert_close(head(features), 1.5 * before)


def test_a_logarithmic_head_predicts_the_exponential_within_limits() -> None:
    head = DepthHead(4, 2, kernel_size=1, kind="log").eval()
    zero(head)
    for bias, metres in ((0.0, 1.0), (3.0, 20.0855), (50.0, 1096.6), (-50.0, 0.01005)):
        with torch.no_grad():
            head.depth.bias.fill_(bias)
        depth = head(torch.randn(1, 4, 3, 3))
        torch.testing.assert_close(depth, torch.full((1, 1, 3, 3), metres), rtol=1e-3, atol=0.0)
