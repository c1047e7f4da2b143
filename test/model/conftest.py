"""The three reference models with their numbers, and small models with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from space_clip_ros.model import SpaceClip, build, load_checkpoint
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig

SIGLIP = {"kind": "siglip", "activation": "gelu_tanh", "layer_norm_eps": 1e-6}


@dataclass(frozen=True)
class Reference:
    """One model of the reference implementation and its outputs."""

    checkpoint: Path
    encoder: dict[str, Any]
    numbers: dict[str, npt.NDArray[np.float32]]
    model: SpaceClip

    @property
    def images(self) -> torch.Tensor:
        return torch.from_numpy(self.numbers["input"])

    @property
    def output_size(self) -> tuple[int, int]:
        height, width = self.numbers["depth"].shape[-2:]
        return height, width


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", params=["clip_tiny", "clip_tiny_interpolated", "siglip_tiny"])
def reference(request: pytest.FixtureRequest, reference_dir: Path) -> Reference:
    return read_reference(reference_dir, request.param)


@pytest.fixture(scope="session")
def clip_reference(reference_dir: Path) -> Reference:
    return read_reference(reference_dir, "clip_tiny")


@pytest.fixture(scope="session")
def siglip_reference(reference_dir: Path) -> Reference:
    return read_reference(reference_dir, "siglip_tiny")


def read_reference(folder: Path, name: str) -> Reference:
    encoder = json.loads((folder / "configs.json").read_text())[name]["encoder"]
    checkpoint = folder / f"{name}_checkpoint.pt"
    with np.load(folder / f"{name}_io.npz") as numbers:
        return Reference(checkpoint, encoder, dict(numbers), load_checkpoint(checkpoint, encoder=encoder))


@dataclass(frozen=True)
class Switched:
    """A model that the reference implementation made with other switches: its files and settings, by its names."""

    checkpoint: Path
    encoder: dict[str, Any]
    decoder: dict[str, Any]
    numbers: dict[str, npt.NDArray[np.float32]]


@pytest.fixture(scope="session", params=["switch_no_film", "switch_indices"])
def switched(request: pytest.FixtureRequest, reference_dir: Path) -> Switched:
    return read_switched(reference_dir, request.param)


@pytest.fixture(scope="session")
def other_states(reference_dir: Path) -> Switched:
    return read_switched(reference_dir, "switch_indices")


def read_switched(folder: Path, name: str) -> Switched:
    settings = json.loads((folder / "configs.json").read_text())[name]
    with np.load(folder / f"{name}_io.npz") as numbers:
        return Switched(folder / f"{name}_checkpoint.pt", settings["encoder"], settings["decoder"], dict(numbers))


@pytest.fixture(params=["clip", "siglip"])
def encoder_config(request: pytest.FixtureRequest) -> EncoderConfig:
    family = SIGLIP if request.param == "siglip" else {}
    return EncoderConfig(width=32, heads=2, image_size=32, **family)


@pytest.fixture
def config(encoder_config: EncoderConfig) -> ModelConfig:
    decoder = DecoderConfig(channels=(12, 8, 6, 4), film_hidden=8)
    return ModelConfig(name="tiny", encoder=encoder_config, decoder=decoder, input_size=(32, 32))


@pytest.fixture
def model(config: ModelConfig) -> SpaceClip:
    torch.manual_seed(0)
    return build(config)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def adds_nothing(model: SpaceClip, images: torch.Tensor) -> Callable[[SpaceClip, str], None]:
    """Checks that a new part, by its tensors' names, leaves depth and the first values of all other weights alone."""

    def check(ours: SpaceClip, part: str) -> None:
        plain = model.state_dict()
        assert torch.equal(ours(images).depth, model(images).depth)
        others = {name: tensor for name, tensor in ours.state_dict().items() if part not in name}
        assert others.keys() == plain.keys()
        assert len(others) < len(ours.state_dict())
        assert all(torch.equal(tensor, plain[name]) for name, tensor in others.items())

    return check
