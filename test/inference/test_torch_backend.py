"""Checkpoints on PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros.errors import BackendError, ModelError
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.torch_backend import RUNNERS_KEPT, TorchBackend

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)


def test_a_device_that_is_not_there(model_dir: Path) -> None:
    absent = torch.cuda.device_count()
    with pytest.raises(BackendError, match=f"device cuda:{absent}: PyTorch sees {absent} CUDA devices here"):
        load_predictor(model_dir / "checkpoint.safetensors", device=f"cuda:{absent}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_cuda_device(model_dir: Path) -> None:
    with pytest.raises(BackendError, match="device cuda: PyTorch sees 0 CUDA devices here; give device cpu or auto"):
        load_predictor(model_dir / "checkpoint.safetensors", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(model_dir: Path) -> None:
    file = model_dir / "checkpoint.safetensors"
    with load_predictor(file, device="cuda") as cuda, load_predictor(file, device="cpu") as cpu:
        assert (cuda.info.device, cuda.info.precision) == ("cuda:0", "fp16")
        np.testing.assert_allclose(cuda(IMAGE), cpu(IMAGE), rtol=2e-2)
    with load_predictor(file, device="cuda", precision="fp32") as cuda, load_predictor(file, device="cpu") as cpu:
        np.testing.assert_allclose(cuda(IMAGE), cpu(IMAGE), rtol=1e-3, atol=1e-3)


def test_not_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "text.pt"
    file.write_text("no tensors", encoding="utf-8")
    with pytest.raises(ModelError, match=r"text\.pt"):
        load_predictor(file)


def test_all_three_stages_are_timed(model_dir: Path) -> None:
    with load_predictor(model_dir / "checkpoint.safetensors", device="cpu") as predict:
        assert list(predict.run(IMAGE).stages_ms) == ["copy_in", "inference", "copy_out"]


def test_on_the_cpu_precision_is_fp32(model_dir: Path) -> None:
    with load_predictor(model_dir / "checkpoint.safetensors", device="cpu") as predict:
        assert predict.info.precision == "fp32"
    with pytest.raises(BackendError, match=r"precision fp16: .* runs in fp32 on torch"):
        load_predictor(model_dir / "checkpoint.safetensors", device="cpu", precision="fp16")


def test_the_runners_of_the_last_sizes_are_kept(model_dir: Path) -> None:
    backend = TorchBackend(model_dir / "checkpoint.safetensors", "cpu", 1)
    for height in range(40, 40 + RUNNERS_KEPT + 2):
        assert backend.run(IMAGE[:height]).depth.shape == (height, 100)
    assert [shape[1] for shape in backend._runners] == list(range(42, 42 + RUNNERS_KEPT))


def test_depth_beyond_half_precision_is_refused(model_dir: Path) -> None:
    backend = TorchBackend(model_dir / "checkpoint.safetensors", "cpu", 1)
    backend.info = replace(backend.info, precision="fp16")
    torch.nn.init.constant_(backend._network._model.depth_head.depth.bias, float("inf"))
    with pytest.raises(BackendError, match="depth leaves the range of fp16; give precision fp32"):
        backend.run(IMAGE)


def test_a_run_that_fails(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("out of memory")

    with load_predictor(model_dir / "checkpoint.safetensors", device="cpu") as predict:
        monkeypatch.setattr("space_clip_ros.model.image_to_depth.ImageToEstimate.forward", fail)
        with pytest.raises(BackendError, match=r"PyTorch failed on cpu: out of memory"):
            predict(IMAGE)
