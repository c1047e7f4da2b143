"""A package of a small model with random weights, compiled for this CPU."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path

import pytest
import torch
from torch._inductor import config

from space_clip_ros.cli.main import main
from space_clip_ros.model import SpaceClip, build, save_checkpoint
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig


def network(seed: int) -> SpaceClip:
    """Return a model with every output and as few layers as possible, since each of them is compiled."""
    torch.manual_seed(seed)
    model = build(
        ModelConfig(
            name="tiny",
            encoder=EncoderConfig(width=32, heads=2, layers=2, image_size=32),
            decoder=DecoderConfig(channels=(8, 8), film_hidden=8),
            input_size=(32, 64),
            uncertainty=True,
            language=LanguageConfig(outputs=("embedding", "dense"), embed_dim=8),
        )
    )
    torch.nn.init.constant_(model.depth_head.depth.bias, 10.0)
    return model


def make(folder: Path) -> None:
    """Fill a folder; see the fixture ``package_dir``."""
    torch.set_num_threads(1)
    save_checkpoint(network(0), folder / "tiny.safetensors")
    # Quick to compile; PyTorch's own cache would outlive the tests.
    quick = {"cpp.vec_isa_ok": True, "aot_inductor.debug_compile": True, "aot_inductor.precompile_headers": False}
    command = ["export", folder / "tiny.safetensors", "--out", folder / "tiny.pt2", "--height", "60", "--width", "100"]
    with pytest.MonkeyPatch.context() as patch, config.patch(quick), (folder / "said.txt").open("w") as said:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / "cache"))
        patch.setattr(torch.cuda, "is_available", lambda: False)
        with contextlib.redirect_stdout(said):
            assert main([str(word) for word in command]) == 0
    without_metadata(folder / "tiny.pt2", folder / "compiled.pt2")


def without_metadata(package: Path, file: Path) -> None:
    """Write a package without this project's own file in it."""
    with zipfile.ZipFile(package) as whole, zipfile.ZipFile(file, "w") as bare:
        for name in whole.namelist():
            if not name.endswith("/extra/space_clip.json"):
                bare.writestr(name, whole.read(name))
