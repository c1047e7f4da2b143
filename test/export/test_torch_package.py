"""Exports of packages that fail; what a good one is, ``test/inference/test_torch_package.py`` tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._inductor import config

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.onnx import export
from space_clip_ros.export.torch_package import PackageBuild
from space_clip_ros.model import SpaceClip, build, load_checkpoint


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are for the CPU here, on a machine with a GPU, too."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_an_old_pytorch(model: SpaceClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.7.1+cu126")
    with pytest.raises(InputError, match=r"a package: needs PyTorch 2\.8 or later, and this is 2\.7\.1\+cu126"):
        export(model, tmp_path / "a.pt2", 40, 60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "a package: takes images of one size; give --height and --width"),
        ({"height": 40, "width": 60, "batch": 2}, "a package takes one image at once, not 2"),
        ({"height": 40, "width": 60, "precision": "int8"}, "a package is in fp32 or fp16"),
        ({"height": 40, "width": 60, "precision": "fp16"}, "PyTorch runs fp16 on a GPU only"),
    ],
    ids=["any size", "batch", "int8", "fp16"],
)
def test_what_no_package_can_be(model: SpaceClip, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a.pt2", **arguments)
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_nothing_is_left_behind(tmp_path: Path, package_dir: Path) -> None:
    model = load_checkpoint(package_dir / "tiny.safetensors")
    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler"), "cpp.vec_isa_ok": True}),
        pytest.raises(ExportError, match=r"a\.pt2: not written, as PyTorch cannot compile it \(.*; .* such as g\+\+"),
    ):
        export(model, tmp_path / "a.pt2", 60, 100)
    assert not list(tmp_path.iterdir())


def test_a_wrong_package_is_refused_and_leaves_the_old_file(
    tmp_path: Path, package_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt2"
    path.write_bytes(b"old")
    model = load_checkpoint(package_dir / "tiny.safetensors")
    other = build(model.config)
    other.load_state_dict(model.state_dict())
    torch.nn.init.constant_(other.depth_head.depth.bias, 10.5)

    def compile_the_first(self: PackageBuild, model: SpaceClip) -> None:
        shutil.copyfile(package_dir / "compiled.pt2", self._compiled)

    monkeypatch.setattr(PackageBuild, "_compile", compile_the_first)
    with pytest.raises(ExportError, match=r"a\.pt2: not written, as the package differs from PyTorch by 0\.\d+ "):
        export(other, path, 60, 100)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    steps: list[tuple[int, int]] = []
    report = export(model, path, 60, 100, progress=lambda done, total: steps.append((done, total)))
    assert report.proof.difference.relative < 1e-3 and report.bytes == path.stat().st_size
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
