"""The bundled model on every GPU backend that is installed, compared with the CPU."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from space_clip_ros.inference import load_predictor

IMAGES = np.random.default_rng(5).integers(0, 256, (4, 96, 320, 3), dtype=np.uint8)
SIZE = (96, 320)
# of the mean relative difference from the CPU, as the engine's check has it for fp16
LIMIT = 0.01


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    with load_predictor("road_tiny", device="cpu", precision="fp32") as predict:
        return np.stack([predict(image) for image in IMAGES])


def check(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.mean(np.abs(found - expected) / expected) < LIMIT


def test_an_engine_of_the_bundled_fp16_file(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: np.ndarray
) -> None:
    pytest.importorskip("tensorrt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    from space_clip_ros.export.engine import build_engine

    report = build_engine(project_root / "models" / "road_tiny_fp16.onnx", SIZE)
    assert report.built and report.key.precision == "fp16"
    with load_predictor("road_tiny") as predict:
        assert (predict.info.backend, predict.info.precision) == ("tensorrt", "fp16")
        check(np.stack([predict(image) for image in IMAGES]), expected)


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_onnx_runtime_from_two_threads(precision: str, expected: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime is built without CUDA")
    found: dict[int, np.ndarray] = {}
    with load_predictor("road_tiny", backend="onnxruntime", device="cuda", precision=precision) as predict:
        assert predict.info.precision == {"auto": "fp16"}.get(precision, precision)

        def work(first: int) -> None:
            for _ in range(5):
                for index in range(first, len(IMAGES), 2):
                    found[index] = predict(IMAGES[index])

        threads = [threading.Thread(target=work, args=(first,)) for first in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    check(np.stack([found[index] for index in range(len(IMAGES))]), expected)
    assert not [record for record in caplog.records if "no CUDA graph" in record.getMessage()]


@pytest.mark.parametrize("suffix", [".safetensors", ".pt2"])
def test_pytorch_and_a_package(project_root: Path, tmp_path: Path, expected: np.ndarray, suffix: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch sees no GPU")
    from space_clip_ros.export.onnx import export
    from space_clip_ros.model import load_checkpoint

    file = project_root / "models" / "road_tiny.safetensors"
    if suffix == ".pt2":
        file = tmp_path / "road.pt2"
        export(load_checkpoint(project_root / "models" / "road_tiny.safetensors"), file, *SIZE, precision="fp16")
    with load_predictor(file, backend="torch") as predict:
        assert (predict.info.device, predict.info.precision) == ("cuda:0", "fp16")
        check(np.stack([predict(image) for image in IMAGES]), expected)
