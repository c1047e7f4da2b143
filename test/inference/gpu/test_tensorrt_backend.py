"""Engines found, loaded, run and refused, with fakes of TensorRT and CUDA at the boundary only."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from space_clip_ros.errors import BackendError, DeviceLostError, ExportError, InputError
from space_clip_ros.export.onnx import export
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.gpu.engine_cache import EngineCache
from space_clip_ros.inference.integrity import read_properties
from space_clip_ros.inference.metadata import SOURCE_PROPERTY
from space_clip_ros.inference.onnxruntime_backend import OnnxRuntimeBackend
from space_clip_ros.model import SpaceClip
from space_clip_ros.model_config import LanguageConfig

Build = Callable[..., Any]


@pytest.fixture()
def build(fake_gpu: Any) -> Build:
    """Builds an engine as ``space_clip engine`` does."""

    def built(file: Path, **options: Any) -> Any:
        from space_clip_ros.export.engine import build_engine

        return build_engine(file, **options)

    return built


def image(height: int = 60, width: int = 100) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_auto_takes_the_engine_that_is_there(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    build(model_dir / "fixed.onnx")
    fake_gpu.launches = 0
    with (
        load_predictor(model_dir / "fixed.onnx") as predict,
        load_predictor(model_dir / "fixed.onnx", device="cpu") as cpu,
    ):
        info = predict.info
        assert (info.backend, info.device, info.precision, info.passed_over) == ("tensorrt", "cuda:0", "tf32", ())
        assert info.fixed_size == (60, 100)
        mirrored = image()[:, ::-1]  # of another memory layout
        prediction = predict.run(mirrored)
        np.testing.assert_allclose(prediction.depth, cpu(mirrored), rtol=1e-5)
        assert prediction.depth.flags.owndata and list(prediction.stages_ms) == ["copy_in", "inference", "copy_out"]
        predict(image())
        assert fake_gpu.launches == 2  # both were one launch of the recorded run
        assert predict.device_memory() == 1000 + 60 * 100 * (3 + 4)
        assert not predict.batches
    assert not fake_gpu.memory  # all of it freed


def test_without_an_engine_auto_falls_back_and_reports_why(model_dir: Path, fake_gpu: Any) -> None:
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.backend == "onnxruntime"
        reason = predict.info.passed_over[0]
    assert reason == "tensorrt on cuda (no TensorRT engine of this file for TensorRT 10.3.0 on Fake Orin)"


def test_without_an_engine_tensorrt_itself_is_an_error(model_dir: Path, fake_gpu: Any) -> None:
    with pytest.raises(BackendError, match=r"no TensorRT engine .*; build one with 'space_clip engine FILE\.onnx'$"):
        load_predictor(model_dir / "fixed.onnx", backend="tensorrt")
    with pytest.raises(BackendError, match=r"'space_clip engine FILE\.onnx --height H --width W'"):
        load_predictor(model_dir / "any.onnx", backend="tensorrt")


def test_an_engine_that_cannot_be_read_is_named(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    path = build(model_dir / "fixed.onnx").path
    path.unlink()
    path.mkdir()
    with pytest.raises(
        BackendError, match=r"no TensorRT engine .* \(.*\.engine: cannot be read \(Is a directory\); cha"
    ):
        load_predictor(model_dir / "fixed.onnx", backend="tensorrt")


@pytest.mark.parametrize("change", ["tensorrt", "gpu", "capability", "power mode", "graph"])
def test_a_stale_engine_is_not_loaded(
    model_dir: Path, tmp_path: Path, build: Build, fake_gpu: Any, change: str
) -> None:
    file = tmp_path / "road.onnx"
    file.write_bytes((model_dir / "fixed.onnx").read_bytes())
    build(file)
    expected = "no TensorRT engine of this file"
    if change == "tensorrt":
        fake_gpu.install("10.7.0")
        expected = r"for TensorRT 10\.7\.0 on Fake Orin \(there is 100x60 for TensorRT 10\.3\.0\); build"
    elif change == "gpu":
        fake_gpu.name = "Fake Thor"
        expected = r"on Fake Thor \(there is 100x60 for GPU Fake Orin\)"
    elif change == "capability":
        fake_gpu.compute_capability = (8, 9)
        expected = r"\(there is 100x60 for compute capability 8\.7\)"
    elif change == "power mode":
        fake_gpu.multiprocessors = 4
        expected = r"\(there is 100x60 for a power mode with an SM count of 8\)"
    else:
        file.write_bytes(file.read_bytes() + b"\x72\x08\x0a\x02ab\x12\x02cd")  # one more metadata property: other bytes
    with pytest.raises(BackendError, match=expected):
        load_predictor(file, backend="tensorrt")


def test_a_refused_engine_is_reported_with_its_numbers(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    fake_gpu.distortion = 1.5
    with pytest.raises(ExportError, match=r"the engine is refused: it differs from ONNX Runtime by mean 0\.5 relative"):
        build(model_dir / "fixed.onnx")
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.backend == "onnxruntime"
        assert "was refused when it was built (100x60: it differs from ONNX Run" in predict.info.passed_over[0]
        assert "mean 0.5 relative" in predict.info.passed_over[0]


def test_a_damaged_engine(model_dir: Path, build: Build) -> None:
    path = build(model_dir / "fixed.onnx").path
    path.write_bytes(path.read_bytes() + b"x")
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.backend == "onnxruntime" and "this engine is damaged" in predict.info.passed_over[0]


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        ("runtime", "TensorRT 10.3.0 makes no runtime here: CUDA initialization failure with error: 35; check that"),
        ("deserialize", "TensorRT 10.3.0 cannot load the engine: The engine plan file is not compatible"),
        ("types", "the engine does not take one uint8 picture and give one float32 depth"),
        ("context", "working memory does not fit on the GPU"),
        ("address", "TensorRT does not take the memory for "),
        ("memory", "CUDA failed: out of memory"),
        ("run", "TensorRT did not start the run: Error Code 2: enqueueV3 failed"),
    ],
)
def test_an_engine_that_cannot_run(model_dir: Path, build: Build, fake_gpu: Any, fails: str, message: str) -> None:
    build(model_dir / "fixed.onnx")
    fake_gpu.fails = fails
    with pytest.raises(BackendError, match=message):
        load_predictor(model_dir / "fixed.onnx", backend="tensorrt")
    assert not fake_gpu.memory
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.backend == "onnxruntime" and message[:30] in predict.info.passed_over[0]


@pytest.mark.parametrize("call", ["cudaGraphLaunch", "cudaEventSynchronize"])
def test_a_transient_error_costs_one_run(model_dir: Path, build: Build, fake_gpu: Any, call: str) -> None:
    build(model_dir / "fixed.onnx")
    with load_predictor(model_dir / "fixed.onnx") as predict:
        expected = predict(image())
        fake_gpu.errors[call] = [2]
        with pytest.raises(BackendError, match="CUDA failed: out of memory") as caught:
            predict(image())
        assert not isinstance(caught.value, DeviceLostError)
        np.testing.assert_array_equal(predict(image()), expected)


@pytest.mark.parametrize("code", [214, 700, 719])
def test_a_lost_device_says_that_only_a_new_process_helps(
    model_dir: Path, build: Build, fake_gpu: Any, code: int
) -> None:
    build(model_dir / "fixed.onnx")
    predict = load_predictor(model_dir / "fixed.onnx")
    fake_gpu.lost = code
    for _ in range(2):
        with pytest.raises(DeviceLostError, match=rf"\(CUDA error {code}\); start the process again"):
            predict(image())
    predict.close()


@pytest.mark.parametrize("lose", [{"lost": 700}, {"errors": {"cudaEventSynchronize": [719]}}])
def test_a_device_lost_while_opening_is_passed_over_by_nothing(
    model_dir: Path, build: Build, fake_gpu: Any, monkeypatch: pytest.MonkeyPatch, lose: dict[str, Any]
) -> None:
    build(model_dir / "fixed.onnx")
    for name, value in lose.items():
        monkeypatch.setattr(fake_gpu, name, value)
    for backend in ("auto", "tensorrt"):
        with pytest.raises(DeviceLostError, match="start the process again"):
            load_predictor(model_dir / "fixed.onnx", backend=backend)
        fake_gpu.errors["cudaEventSynchronize"] = [719]


def test_what_stopped_tensorrt_is_asked_of_cuda(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    build(model_dir / "fixed.onnx")
    fake_gpu.errors["cudaEventSynchronize"] = [700]
    fake_gpu.fails = "run"
    with pytest.raises(DeviceLostError, match="an illegal memory access"):
        load_predictor(model_dir / "fixed.onnx", backend="tensorrt")


def test_why_tensorrt_cannot_be_recorded_is_said(
    model_dir: Path, build: Build, fake_gpu: Any, caplog: pytest.LogCaptureFixture
) -> None:
    build(model_dir / "fixed.onnx")
    fake_gpu.fails, fake_gpu.launches = "record", 0
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.backend == "tensorrt" and predict(image()).shape == (60, 100)
    assert fake_gpu.launches == 0
    (record,) = caplog.records
    assert "Error Code 3: a loop of this engine cannot be captured)" in record.getMessage()


def test_an_engine_that_cannot_run_is_freed_before_the_next_backend_opens(
    model_dir: Path, build: Build, fake_gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(model_dir / "fixed.onnx")
    gc.collect()
    fake_gpu.engines.clear()
    alive: list[int] = []
    opened = OnnxRuntimeBackend.__init__

    def noted(*arguments: Any, **options: Any) -> None:
        alive.append(len(fake_gpu.engines))
        opened(*arguments, **options)

    monkeypatch.setattr(OnnxRuntimeBackend, "__init__", noted)
    fake_gpu.fails = "run"
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.device == "cpu"
    assert alive and set(alive) == {0}


def test_an_engine_is_freed_without_being_closed_and_not_used_after_it(
    model_dir: Path, build: Build, fake_gpu: Any
) -> None:
    build(model_dir / "any.onnx", size=(60, 100))
    gc.collect()
    assert not fake_gpu.memory and not fake_gpu.engines
    load_predictor(model_dir / "any.onnx")
    assert not fake_gpu.memory and not fake_gpu.engines
    predict = load_predictor(model_dir / "any.onnx")
    backend = predict._backend
    runner = backend._runner((60, 100))  # type: ignore[union-attr]
    predict.close()
    runner.close()
    assert not fake_gpu.memory and not fake_gpu.engines
    # as in another thread, which had begun before
    for run in (runner.run, backend.run):  # type: ignore[union-attr]
        with pytest.raises(BackendError, match="is closed; load the model again"):
            run(image())
    with pytest.raises(BackendError, match="is closed"):
        backend.run(image(50, 70))  # type: ignore[union-attr]


@pytest.mark.parametrize("call", ["cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"])
def test_a_run_that_cannot_be_recorded_is_run_step_by_step(
    model_dir: Path, build: Build, fake_gpu: Any, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    build(model_dir / "fixed.onnx")
    fake_gpu.errors[call], fake_gpu.launches = [1], 0
    with (
        load_predictor(model_dir / "fixed.onnx") as predict,
        load_predictor(model_dir / "fixed.onnx", device="cpu") as cpu,
    ):
        assert predict.info.backend == "tensorrt"
        np.testing.assert_allclose(predict(image()), cpu(image()), rtol=1e-5)
    assert fake_gpu.launches == 0
    (record,) = caplog.records
    assert record.getMessage() == (
        "TensorRT runs without a CUDA graph, which makes every run slower (CUDA failed: invalid argument)"
    )
    # what was recorded is freed even where it could not be made into a graph
    assert fake_gpu.graphs_destroyed == fake_gpu.graphs + (call == "cudaGraphInstantiateWithFlags")


def test_a_device_lost_while_recording_is_not_run_step_by_step(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    build(model_dir / "fixed.onnx")
    fake_gpu.errors["cudaGraphInstantiateWithFlags"] = [719]
    with pytest.raises(DeviceLostError):
        load_predictor(model_dir / "fixed.onnx", backend="tensorrt")


def test_a_file_of_any_size_runs_on_the_engines_that_exist(
    model_dir: Path, build: Build, fake_gpu: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for size in ((40, 60), (60, 100)):
        build(model_dir / "any.onnx", size=size)
    with load_predictor(model_dir / "any.onnx") as predict, caplog.at_level(logging.WARNING):
        assert predict.info.backend == "tensorrt" and predict.info.fixed_size is None
        assert predict(image(40, 60)).shape == (40, 60) and predict(image()).shape == (60, 100)
        assert not caplog.records
        assert (predict.info.backend, predict.info.device) == ("tensorrt", "cuda:0")
        for _ in range(2):
            assert predict(image(50, 70)).shape == (50, 70)
        assert (predict.info.backend, predict.info.device) == ("tensorrt+onnxruntime", "cuda:0+cpu")
        assert predict.info.precision == "tf32+fp32"
        assert "tensorrt on cuda:0 for 70x50 pixels (no engine of that size)" in predict.info.passed_over
        (record,) = caplog.records
    assert "no TensorRT engine for 70x50 pixels; such images run on onnxruntime, cpu. Build one" in record.getMessage()
    assert not fake_gpu.memory


def test_facts_are_those_of_what_runs_the_images(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    build(model_dir / "any.onnx", size=(60, 100))
    with load_predictor(model_dir / "any.onnx") as predict:
        predict(image(50, 70))
        assert (predict.info.backend, predict.info.device, predict.info.precision) == ("onnxruntime", "cpu", "fp32")


def test_precision_fp32_takes_no_engine_with_tf32(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    build(model_dir / "fixed.onnx")
    with load_predictor(model_dir / "fixed.onnx", precision="fp32") as predict:
        assert predict.info.backend == "onnxruntime"
        assert "(there is 100x60 for tf32)" in predict.info.passed_over[0]
    build(model_dir / "fixed.onnx", precision="fp32")
    with load_predictor(model_dir / "fixed.onnx", precision="fp32") as predict:
        assert (predict.info.backend, predict.info.precision) == ("tensorrt", "fp32")
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.precision == "tf32"


def test_a_name_takes_the_engine_of_its_fp16_file_first(
    model_dir: Path, tmp_path: Path, build: Build, fake_gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "cache" / "space_clip_ros" / "models"
    models.mkdir(parents=True)
    (models / "road_fp16.onnx").write_bytes((model_dir / "half.onnx").read_bytes())
    graph = onnx.load(model_dir / "any.onnx")
    (source,) = (entry for entry in graph.metadata_props if entry.key == SOURCE_PROPERTY)
    source.value = read_properties(model_dir / "half.onnx")[SOURCE_PROPERTY]
    onnx.save(graph, models / "road.onnx")
    with load_predictor("road") as predict:
        assert predict.info.file.name == "road.onnx"
        assert predict.info.passed_over[0].startswith("tensorrt of road_fp16.onnx on cuda (no TensorRT engine of this")
    build(models / "road_fp16.onnx")
    with load_predictor("road") as predict, load_predictor(models / "road.onnx", device="cpu") as cpu:
        assert (predict.info.file.name, predict.info.precision) == ("road_fp16.onnx", "fp16")
        np.testing.assert_allclose(predict(image()), cpu(image()), rtol=0.05)
        # images of another size run on the file for any
        assert predict.info.fixed_size is None
        np.testing.assert_array_equal(predict(image(50, 70)), cpu(image(50, 70)))
    with load_predictor("road", precision="fp32") as predict:
        assert predict.info.file.name == "road.onnx"


def test_the_bundled_model_runs_on_an_engine_in_fp16(build: Build, fake_gpu: Any, project_root: Path) -> None:
    report = build(project_root / "models" / "road_tiny_fp16.onnx", size=(60, 100))
    assert (report.built, report.key.precision, report.key.size) == (True, "fp16", (60, 100))
    with load_predictor("road_tiny") as predict, load_predictor("road_tiny", device="cpu", precision="fp16") as cpu:
        assert (predict.info.backend, predict.info.precision, predict.info.passed_over) == ("tensorrt", "fp16", ())
        np.testing.assert_allclose(predict(image()), cpu(image()), rtol=1e-5)
        predict(image(50, 70))  # on the next backend


def test_a_checkpoint_takes_the_engine_of_a_file_exported_from_it(model_dir: Path, build: Build, fake_gpu: Any) -> None:
    checkpoint = model_dir / "checkpoint.safetensors"
    with load_predictor(checkpoint) as predict:
        expected = "torch on cuda (PyTorch sees 0 CUDA devices here)"
        assert (predict.info.backend, predict.info.passed_over) == ("torch", (expected,))
    build(model_dir / "half.onnx")
    with load_predictor(checkpoint) as predict, load_predictor(checkpoint, backend="torch") as torch:
        assert (predict.info.backend, predict.info.precision) == ("tensorrt", "fp16")
        np.testing.assert_allclose(predict(image()), torch(image()), rtol=0.05)
        np.testing.assert_array_equal(predict(image(50, 70)), torch(image(50, 70)))
        assert predict.info.backend == "tensorrt+torch"
    with load_predictor(checkpoint, precision="fp32") as predict:
        assert predict.info.backend == "torch"
        expected = "no fp32 TensorRT engine for this machine was built from a file exported from it"
        assert predict.info.passed_over[0] == f"tensorrt on cuda ({expected})"


@pytest.mark.parametrize("newest", [0, 1])
def test_of_several_engines_of_a_checkpoint_the_last_built_wins(
    model_dir: Path, tmp_path: Path, build: Build, fake_gpu: Any, newest: int
) -> None:
    again = tmp_path / "again.onnx"
    again.write_bytes((model_dir / "half.onnx").read_bytes() + b"\x72\x08\x0a\x02ab\x12\x02cd")  # other bytes
    built = [build(file) for file in (model_dir / "half.onnx", again)]
    for index, report in enumerate(built):
        os.utime(report.path, (1000 + (index == newest), 1000 + (index == newest)))
    with load_predictor(model_dir / "checkpoint.safetensors") as predict:
        (entry,) = predict._backend._entries.values()  # type: ignore[union-attr]
        assert entry.key == built[newest].key


def test_an_engine_of_another_version_leaves_a_checkpoint_to_pytorch(
    model_dir: Path, build: Build, fake_gpu: Any
) -> None:
    report = build(model_dir / "half.onnx")
    cache = EngineCache()
    entry = next(cache.engines())
    model = {name: text for name, text in entry.facts["model"].items() if name != "space_clip.cost"}
    cache.store(report.key, cache.load(entry), {**entry.facts, "model": model})
    with load_predictor(model_dir / "checkpoint.safetensors", device="cpu") as cpu:
        assert cpu.info.passed_over == ()
    with load_predictor(model_dir / "checkpoint.safetensors") as predict:
        assert predict.info.backend == "torch"
        assert "metadata is damaged ('cost' is missing)" in predict.info.passed_over[0]


def test_tensorrt_chosen_by_name_takes_no_other_sizes(model_dir: Path, build: Build) -> None:
    build(model_dir / "any.onnx", size=(60, 100))
    with load_predictor(model_dir / "any.onnx", backend="tensorrt") as predict:
        assert predict(image()).shape == (60, 100)
        with pytest.raises(InputError, match=r"for images of 100x60 pixels, got 70x50; .* --height 50 --width 70'"):
            predict(image(50, 70))


def test_no_gpu(model_dir: Path, fake_gpu: Any) -> None:
    fake_gpu.devices = 0
    with pytest.raises(BackendError, match="device cuda:0: cuda-python sees 0 CUDA devices here"):
        load_predictor(model_dir / "fixed.onnx", backend="tensorrt")
    fake_gpu.devices = 1
    with pytest.raises(BackendError, match="device cuda:3: cuda-python sees 1 CUDA devices here"):
        load_predictor(model_dir / "fixed.onnx", backend="tensorrt", device="cuda:3")


def test_the_cache_is_the_users(model_dir: Path, build: Build) -> None:
    report = build(model_dir / "fixed.onnx")
    assert report.path.parent == EngineCache().folder
    assert "tensorrt" in sys.modules and report.key.tensorrt == "10.3.0"


def test_an_engine_gives_uncertainty_in_the_same_run(uncertain_dir: Path, build: Build, fake_gpu: Any) -> None:
    build(uncertain_dir / "fixed.onnx")
    fake_gpu.launches = 0
    with (
        load_predictor(uncertain_dir / "fixed.onnx") as predict,
        load_predictor(uncertain_dir / "fixed.onnx", device="cpu") as cpu,
    ):
        assert predict.info.backend == "tensorrt" and predict.info.uncertainty
        for values, expected in zip(predict.with_uncertainty(image()), cpu.with_uncertainty(image()), strict=True):
            np.testing.assert_allclose(values, expected, rtol=1e-5)
        assert fake_gpu.launches == 1
        assert predict.device_memory() == 1000 + 60 * 100 * (3 + 4) + 8 * 16 * 4


def test_an_engine_gives_language_features_by_name(
    tmp_path: Path, tiny_model: Callable[..., SpaceClip], build: Build, fake_gpu: Any
) -> None:
    language = LanguageConfig(outputs=("embedding", "dense"), embed_dim=24)
    export(tiny_model(language=language, uncertainty=True), tmp_path / "words.onnx", 60, 100)
    build(tmp_path / "words.onnx")
    with (
        load_predictor(tmp_path / "words.onnx") as predict,
        load_predictor(tmp_path / "words.onnx", device="cpu") as cpu,
    ):
        assert predict.info.backend == "tensorrt" and predict.info.language == cpu.info.language
        prediction, expected = predict.run(image()), cpu.run(image())
        for ours, theirs in zip(prediction[2:], expected[2:], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(prediction.depth, expected.depth, rtol=1e-5)
