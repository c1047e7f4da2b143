from __future__ import annotations

from typing import Any

import pytest
import torch

from space_clip_ros.model.decoder import Decoder
from space_clip_ros.model.encoder import EncoderOutput
from space_clip_ros.model_config import DecoderConfig


def encoded(grid: tuple[int, int], prefix_tokens: int, width: int = 16) -> EncoderOutput:
    torch.manual_seed(0)
    states = tuple(torch.randn(2, prefix_tokens + grid[0] * grid[1], width) for _ in range(13))
    return EncoderOutput(states, torch.randn(2, width), grid)


def decoder(prefix_tokens: int = 1) -> Decoder:
    torch.manual_seed(0)
    return Decoder(16, 12, prefix_tokens, DecoderConfig(channels=(12, 8, 6, 4), film_hidden=8)).eval()


def test_maps_double_four_times_from_the_patch_grid() -> None:
    out = decoder()(encoded((2, 3), 1))
    assert [tuple(m.shape[1:]) for m in out.semantic_projected] == [(12, 2, 3), (8, 2, 3), (6, 2, 3), (4, 2, 3)]
    assert [tuple(m.shape[1:]) for m in out.structural_projected] == [(12, 2, 3), (8, 2, 3), (6, 2, 3)]
    assert [tuple(m.shape[1:]) for m in out.semantic_decoder] == [(12, 4, 6), (8, 8, 12), (6, 16, 24), (4, 32, 48)]


@pytest.mark.parametrize(
    ("changes", "semantic", "structural"),
    [
        ({"use_film": False}, 4, 3),
        ({"use_structural_pathway": False}, 4, 0),
        ({"structural_states": (5, 4, 3, 0)}, 4, 4),
        ({"structural_states": (5,)}, 4, 1),
        ({"channels": (6,)}, 1, 1),
        ({"channels": (8, 6)}, 2, 1),
        ({"channels": (8, 8, 8, 6, 4, 2)}, 6, 5),
    ],
)
def test_any_number_of_blocks_and_either_switch(changes: dict[str, Any], semantic: int, structural: int) -> None:
    config = DecoderConfig(**{"channels": (12, 8, 6, 4), "film_hidden": 8, **changes})
    module = Decoder(16, 12, 1, config).eval()
    out = module(encoded((2, 3), 1))
    sizes = [(count, 2 << block, 3 << block) for block, count in enumerate(config.channels, start=1)]
    assert [tuple(m.shape[1:]) for m in out.semantic_decoder] == sizes and len(sizes) == semantic
    assert [tuple(m.shape[1:]) for m in out.structural_decoder] == sizes[:structural]
    assert len(out.structural_projected) == structural
    assert len(module.film) == (semantic if config.use_film else 0)


def test_without_film_the_context_says_nothing() -> None:
    plain = encoded((2, 2), 1)
    for use_film in (True, False):
        module = Decoder(16, 12, 1, DecoderConfig(channels=(12, 8, 6, 4), film_hidden=8, use_film=use_film)).eval()
        before, after = (module(plain._replace(context=context)) for context in (plain.context, plain.context + 1.0))
        same = torch.equal(before.semantic_projected[0], after.semantic_projected[0])
        assert same is not use_film


def test_projected_maps_come_from_the_right_states() -> None:
    """Deep to shallow 12, 9, 6, 3 and 2, 1, 0: changing one state changes its own map and no other."""
    module, plain = decoder(), encoded((2, 2), 1)
    before = module(plain)
    for kind, indices in (("semantic_projected", (12, 9, 6, 3)), ("structural_projected", (2, 1, 0))):
        for position, index in enumerate(indices):
            states = list(plain.states)
            states[index] = states[index] + 1.0
            after = getattr(module(plain._replace(states=tuple(states))), kind)
            changed = [not torch.equal(a, b) for a, b in zip(getattr(before, kind), after, strict=True)]
            assert changed == [other == position for other in range(len(indices))]


def test_the_class_token_is_dropped() -> None:
    module, plain = decoder(), encoded((2, 2), 1)
    states = tuple(torch.cat([state[:, :1] + 5.0, state[:, 1:]], dim=1) for state in plain.states)
    for ours, theirs in zip(module(plain), module(plain._replace(states=states)), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_patches_lie_row_by_row() -> None:
    """Without a prefix token, the second patch is the first row's second column."""
    module, plain = decoder(prefix_tokens=0), encoded((2, 3), 0)
    tokens = torch.zeros(1, 6, 16)
    tokens[:, 1] = 1.0
    quiet = tuple(tokens if index == 0 else torch.zeros(1, 6, 16) for index in range(13))
    projected = module(EncoderOutput(quiet, plain.context[:1], (2, 3))).structural_projected[2]
    differs = (projected != projected[..., :1, :1]).any(dim=1)[0]
    assert differs.tolist() == [[False, True, False], [False, False, False]]
