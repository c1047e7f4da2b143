"""Packages: they give what their checkpoint gives, and only where they fit."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.export.onnx import export
from space_clip_ros.files import file_sha256
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.torch_package import PackageTarget, read_package, write_package
from space_clip_ros.model import load_checkpoint

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)


@pytest.fixture
def package(package_dir: Path) -> Path:
    return package_dir / "tiny.pt2"


def test_a_package_gives_what_its_checkpoint_gives(package: Path) -> None:
    file = package.with_suffix(".safetensors")
    with load_predictor(package) as compiled, load_predictor(file, device="cpu") as eager:
        found, expected = compiled.run(IMAGE), eager.run(IMAGE)
        for name in ("depth", "uncertainty", "embedding", "dense"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-3, atol=1e-4)
        assert list(found.stages_ms) == list(expected.stages_ms)
        assert compiled.info == replace(eager.info, file=package, fixed_size=(60, 100), fixed_batch=1)
        # one image at a time, each its own
        other = np.roll(IMAGE, 30, axis=1)
        both = compiled.run_batch([IMAGE, other])
        np.testing.assert_array_equal(both[0].depth, found.depth)
        np.testing.assert_allclose(both[1].depth, eager(other), rtol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_package_for_a_gpu(package: Path, tmp_path: Path, precision: str) -> None:
    file = package.with_suffix(".safetensors")
    export(load_checkpoint(file), tmp_path / "a.pt2", 60, 100, precision=precision)
    with load_predictor(tmp_path / "a.pt2") as compiled, load_predictor(file, device="cpu") as eager:
        assert (compiled.info.device, compiled.info.precision) == ("cuda:0", precision)
        for _ in range(2):
            np.testing.assert_allclose(compiled(IMAGE), eager(IMAGE), rtol=2e-2)


def test_the_file_says_how_it_was_made(package: Path) -> None:
    metadata, target = read_package(package)
    assert target == PackageTarget.here(torch.device("cpu"))
    assert (metadata.config.name, metadata.size, metadata.batch, metadata.precision) == ("tiny", (60, 100), 1, "fp32")
    assert metadata.source_sha256 == file_sha256(package.with_suffix(".safetensors"))
    assert 0 < metadata.max_difference < 1e-3 and metadata.language_cosine == pytest.approx(1.0)
    said = package.with_name("said.txt").read_text(encoding="utf-8")
    assert "tiny.pt2: tiny, 100 x 60 pixels, batch 1, fp32, " in said
    assert f"compiled for PyTorch {torch.__version__} on {target.machine}, its CPU" in said
    assert "largest difference from PyTorch on 3 images: " in said
    # nothing of the export is left beside it
    assert {file.name for file in package.parent.glob("*tiny*")} == {"tiny.pt2", "tiny.safetensors"}


def test_images_of_another_size_are_refused(package: Path) -> None:
    with (
        load_predictor(package) as compiled,
        pytest.raises(InputError, match=r"made for images of 100 x 60 pixels, got 99 x 60; .* --height 60 --width 99$"),
    ):
        compiled(IMAGE[:, :99])


GPU = {"device": "cuda", "gpu": "Orin", "compute_capability": "8.7"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"pytorch": "2.9.1+cu126"}, rf"was compiled with PyTorch 2\.9\.1\+cu126, and this is {torch.__version__[:3]}"),
        ({"machine": "riscv64"}, "was compiled for riscv64, and this is "),
        ({"instructions": ("avx1024",)}, r"may use instructions that this processor lacks \(avx1024\)"),
        (GPU, r"was compiled for a GPU \(Orin\), and PyTorch sees none here"),
    ],
    ids=["version", "machine", "instructions", "GPU"],
)
def test_a_package_for_another_machine_is_refused(
    package: Path, tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    if "gpu" in changed and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    metadata, target = read_package(package)
    other = tmp_path / "other.pt2"
    write_package(package.with_name("compiled.pt2"), other, metadata, replace(target, **changed))
    with pytest.raises(BackendError, match=rf"other\.pt2: {reason}.*; export the checkpoint again on a machine like"):
        load_predictor(other)


def test_a_gpu_of_another_kind() -> None:
    orin = PackageTarget("2.11.0", "aarch64", ("asimd",), "cuda", "8.7", "Orin")
    assert not list(orin.problems(replace(orin, gpu="Orin (nvgpu)", instructions=("asimd", "sve"))))
    assert list(orin.problems(replace(orin, compute_capability="11.0", gpu="Thor"))) == [
        "was compiled for a GPU of compute capability 8.7 (Orin), and this is 11.0 (Thor)"
    ]
    assert str(orin) == "PyTorch 2.11.0 on aarch64, Orin (compute capability 8.7)"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"device": "cuda"}, r"device cuda: .*tiny\.pt2 was compiled for cpu; give device cpu or auto"),
        ({"precision": "fp16"}, r"precision fp16: .*tiny\.pt2 runs in fp32 on torch; .* --precision fp16"),
        (
            {"backend": "onnxruntime"},
            r"cannot run .*tiny\.pt2; give backend torch or auto, or an \.onnx file made with",
        ),
    ],
    ids=["device", "precision", "backend"],
)
def test_what_a_package_cannot_do(package: Path, asked: dict[str, str], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        load_predictor(package, **asked)


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def other_metadata(content: dict[str, Any]) -> Callable[[Path], None]:
    def rewrite(file: Path) -> None:
        shutil.copyfile(file.with_name("compiled.pt2"), file)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("package/extra/space_clip.json", json.dumps(content))

    return rewrite


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flipped, r"is not a whole package \(its checksums do not fit\); copy it again"),
        (truncated, r"is not a whole package \(File is not a zip file\); copy it again"),
        (lambda file: shutil.copyfile(file.with_name("compiled.pt2"), file), "is another program's package"),
        (other_metadata({"model": {}}), r"its metadata is damaged \('target'\); export it again"),
        (other_metadata({"target": {"instructions": [], "shape": 3}}), "its metadata is damaged .*shape"),
    ],
    ids=["flipped", "truncated", "foreign", "without target", "unknown part"],
)
def test_a_damaged_package_is_never_loaded(
    package: Path, tmp_path: Path, change: Callable[[Path], None], reason: str
) -> None:
    for name in ("tiny.pt2", "compiled.pt2"):
        shutil.copyfile(package.with_name(name), tmp_path / name)
    change(tmp_path / "tiny.pt2")
    with pytest.raises(ModelError, match=rf"tiny\.pt2: {reason}"):
        load_predictor(tmp_path / "tiny.pt2")


def test_code_that_pytorch_cannot_load(package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package.with_name("compiled.pt2")) as whole, zipfile.ZipFile(tmp_path / "a.pt2", "w") as other:
        for name in whole.namelist():
            other.writestr(name, b"no library" if name.endswith(".so") else whole.read(name))
    write_package(tmp_path / "a.pt2", tmp_path / "tiny.pt2", *read_package(package))
    with pytest.raises(BackendError, match=r"tiny\.pt2: PyTorch cannot load it \("):
        load_predictor(tmp_path / "tiny.pt2")
