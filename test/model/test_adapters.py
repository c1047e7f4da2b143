"""Adapters: no effect when new, the only trained part of the tower, kept by checkpoints, merged without a trace."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.model import SpaceClip, build, load_checkpoint, save_checkpoint
from space_clip_ros.model.adapters import Adapter, adapter_parameters, merge_adapters
from space_clip_ros.model.checkpoint import read_metadata
from space_clip_ros.model_config import ADAPTED, AdapterConfig, EncoderConfig, ModelConfig
from space_clip_ros.settings import parse

RANK = 3


def adapted(config: ModelConfig, *targets: str) -> SpaceClip:
    adapters = AdapterConfig(rank=RANK, alpha=6.0, targets=targets or ADAPTED)
    torch.manual_seed(0)
    return build(dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, adapters=adapters)))


def randomised(model: SpaceClip) -> SpaceClip:
    """Give the adapters weights other than zero, as training would."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in adapter_parameters(model.encoder.tower).values():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def test_a_new_adapter_changes_nothing(config: ModelConfig, adds_nothing: Callable[[SpaceClip, str], None]) -> None:
    adds_nothing(adapted(config), ".adapter.")


def test_an_adapter_by_hand() -> None:
    adapter = Adapter(2, [("query", 1), ("key", 2), ("value", 1)], AdapterConfig(1, 3.0, ("query", "value")))
    with torch.no_grad():
        adapter.down["query"].copy_(torch.tensor([[1.0, 2.0]]))
        adapter.up["query"].fill_(0.5)
        adapter.down["value"].copy_(torch.tensor([[0.0, 1.0]]))
        adapter.up["value"].fill_(-1.0)
    # 3 / 1 * up * (down . (10, 1)): query 3 * 0.5 * 12, key untouched, value 3 * -1 * 1
    assert adapter(torch.tensor([[10.0, 1.0]])).tolist() == [[18.0, 0.0, 0.0, -3.0]]
    assert adapter.weight().tolist() == [[1.5, 3.0], [0.0, 0.0], [0.0, 0.0], [0.0, -3.0]]


@pytest.mark.parametrize("targets", [("query",), ("key", "output"), ("mlp_in", "mlp_out"), ADAPTED])
def test_how_many_parameters(config: ModelConfig, targets: tuple[str, ...]) -> None:
    """An adapter from a to b channels has rank * (a + b) parameters per block; width 32, hidden 128 here."""
    sizes = {"mlp_in": 32 + 128, "mlp_out": 128 + 32}
    expected = 12 * RANK * sum(sizes.get(name, 32 + 32) for name in targets)
    found = adapter_parameters(adapted(config, *targets).encoder.tower)
    assert sum(parameter.numel() for parameter in found.values()) == expected


def test_the_published_model_s_adapters() -> None:
    """Query and value at rank 8: 294,912 parameters, 2.4 % of those that train without adapters."""
    with torch.device("meta"):
        model = build(ModelConfig(encoder=EncoderConfig(adapters=AdapterConfig(rank=8))))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 12_050_996 + 294_912


def test_only_adapters_and_decoder_learn(config: ModelConfig, images: torch.Tensor) -> None:
    model = randomised(adapted(config)).train()
    frozen = copy.deepcopy(model.encoder.frozen_state())
    adapters = copy.deepcopy(adapter_parameters(model.encoder.tower))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert not any(module.training for module in model.encoder.modules())
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        out = model(images)
        (out.depth.mean() + sum(depth.mean() for depth in out.auxiliary)).backward()
        assert all(parameter.grad is not None for parameter in trained)
        optimizer.step()
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in model.encoder.frozen_state().items())
    found = adapter_parameters(model.encoder.tower)
    assert all(not torch.equal(parameter, adapters[name]) for name, parameter in found.items())


@pytest.mark.parametrize("targets", [("query", "value"), ADAPTED])
def test_merged_is_the_same_function_of_the_plain_shape(
    config: ModelConfig, images: torch.Tensor, targets: tuple[str, ...]
) -> None:
    model = randomised(adapted(config, *targets)).double()
    expected = model(images.double())
    plain = build(config).double()
    assert not torch.allclose(plain(images.double()).context, expected.context)
    merge_adapters(model.encoder)
    torch.testing.assert_close(model(images.double()).depth, expected.depth, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model(images.double()).context, expected.context, rtol=1e-12, atol=1e-12)
    # The weights now fit the model without adapters, name by name.
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(plain(images.double()).depth, expected.depth, rtol=1e-12, atol=1e-12)


def test_merging_a_copy_leaves_the_original(config: ModelConfig, images: torch.Tensor) -> None:
    model = randomised(adapted(config))
    before = model(images).depth
    merge_adapters(copy.deepcopy(model).encoder)
    assert torch.equal(model(images).depth, before)


def test_files_keep_adapters_strictly(config: ModelConfig, images: torch.Tensor, tmp_path: Path) -> None:
    model, path = randomised(adapted(config)), tmp_path / "model.safetensors"
    save_checkpoint(model, path)
    loaded = load_checkpoint(path)
    assert loaded.config.encoder.adapters == model.config.encoder.adapters
    assert torch.equal(loaded(images).depth, model(images).depth)
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in model.parameters()]
    tensors, metadata = load_file(path), read_metadata(path)
    name = next(name for name in tensors if name.endswith("adapter.up.value"))
    del tensors[name]
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ModelError, match=rf"missing: {name}"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adapters": {"rank": 40}, "width": 32, "heads": 2}, "adapters.rank: must be at most width 32, got 40"),
        ({"adapters": {"rank": 4}, "trainable": True}, "adapters.rank: adapters are for a frozen tower"),
        ({"adapters": {"rank": 4, "targets": []}}, "adapters.targets: must name projections, each once"),
        ({"adapters": {"rank": 4, "targets": ["query", "query"]}}, "adapters.targets: must name projections"),
        ({"adapters": {"rank": 4, "targets": ["qkv"]}}, "adapters.targets: must be one of query, key"),
    ],
)
def test_settings_that_do_not_fit(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(EncoderConfig, changes)
