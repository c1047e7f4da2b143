"""An engine is built once, checked before it is kept, and refused with numbers; TensorRT is a fake."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import BackendError, ExportError, InputError
from space_clip_ros.export.onnx import export
from space_clip_ros.inference.gpu.engine_cache import EngineCache
from space_clip_ros.model import SpaceClip
from space_clip_ros.model_config import LanguageConfig

Build = Callable[..., Any]


@pytest.fixture(scope="module")
def fixed(model: SpaceClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("engine") / "fixed.onnx"
    export(model, file, 60, 100)
    return file


@pytest.fixture()
def build(fake_gpu: Any) -> Build:
    def built(file: Path, **options: Any) -> Any:
        from space_clip_ros.export.engine import build_engine

        return build_engine(file, **options)

    return built


def test_built_proved_and_kept(fixed: Path, build: Build, fake_gpu: Any) -> None:
    said: list[str] = []
    phases: list[tuple[str, int, int]] = []
    pictures = [np.full((30, 50, 3), 90, np.uint8), np.zeros((60, 100, 3), np.uint8)]
    report = build(
        fixed, images=pictures, say=said.append, progress=lambda phase, done, total: phases.append((phase, done, total))
    )
    assert report.built and fake_gpu.builds == 1
    assert report.agreement.images == 3 + 2 and report.agreement.mean_relative < 1e-6
    assert said == [
        "building for Fake Orin (compute capability 8.7) with TensorRT 10.3.0",
        "comparing with ONNX Runtime",
    ]
    assert phases == [("Building Engine", step, 2) for step in (0, 1, 2)]
    entry = EngineCache().find(report.key)
    assert entry is not None and entry.path == report.path
    assert entry.facts["agreement"] == report.agreement.to_dict()
    assert (entry.key.precision, entry.facts["model"]["space_clip.precision"]) == ("tf32", "fp32")
    assert not fake_gpu.memory


def test_nothing_is_built_again_without_need(fixed: Path, build: Build, fake_gpu: Any) -> None:
    first = build(fixed)
    again = build(fixed)
    assert (fake_gpu.builds, again.built, again.path, again.agreement) == (1, False, first.path, first.agreement)
    assert build(fixed, force=True).built
    fake_gpu.install("10.7.0")
    assert build(fixed).built and fake_gpu.builds == 3
    assert len(list(EngineCache().engines())) == 2  # the other TensorRT's engine stays


def test_it_is_built_on_the_gpu_it_is_for(fixed: Path, build: Build, fake_gpu: Any) -> None:
    fake_gpu.devices = 2
    build(fixed, device="cuda:1")
    assert fake_gpu.built_on == [1]


def test_the_timing_cache_is_kept_for_the_next_build(fixed: Path, build: Build, fake_gpu: Any) -> None:
    build(fixed)
    build(fixed, force=True)
    fake_gpu.install("10.7.0")
    build(fixed)
    assert fake_gpu.timings == [b"", b"measured;", b""]


@pytest.mark.parametrize("refused", [b"damaged", b"of another device"])
def test_a_refused_timing_cache_is_replaced_by_an_empty_one(
    fixed: Path, build: Build, fake_gpu: Any, refused: bytes
) -> None:
    fake_gpu.refused_timings = {b"of another device"}
    key = build(fixed).key
    EngineCache().keep_timings(key, refused)
    assert build(fixed, force=True).built
    assert fake_gpu.timings == [b"", b""]
    assert EngineCache().timings(key) == b"measured;"


def test_a_tensorrt_that_takes_no_timing_cache_builds_without(fixed: Path, build: Build, fake_gpu: Any) -> None:
    fake_gpu.refused_timings = {b""}
    report = build(fixed)
    assert report.built and EngineCache().timings(report.key) == b""


@pytest.mark.parametrize(("distortion", "reason"), [(1.01, "mean 0.01 relative"), (float("nan"), "not finite")])
def test_refused_with_numbers(fixed: Path, build: Build, fake_gpu: Any, distortion: float, reason: str) -> None:
    key = build(fixed, precision="fp32").key
    fake_gpu.distortion = distortion
    with pytest.raises(ExportError, match=rf"fixed\.onnx: the engine is refused: .*{reason}"):
        build(fixed, precision="fp32", force=True)
    assert EngineCache().find(key) is None
    (refusal,) = EngineCache().refusals()
    assert reason in refusal.facts["reason"] and refusal.facts["images"] == 3
    fake_gpu.distortion = 1.0
    assert build(fixed, precision="fp32").built and not list(EngineCache().refusals())


def test_an_fp32_file_may_use_tf32_if_that_passes_the_check(fixed: Path, build: Build, fake_gpu: Any) -> None:
    fake_gpu.tf32_distortion = 1.01
    said: list[str] = []
    report = build(fixed, say=said.append)
    assert (report.key.precision, fake_gpu.flags) == ("fp32", [{"TF32"}, set()])
    assert any(line.startswith("in tf32 it differs from ONNX Runtime by mean 0.01") for line in said)
    # what was refused is not built again and again, unless that is asked for
    assert not build(fixed).built and fake_gpu.builds == 2
    fake_gpu.tf32_distortion = 1.0
    assert build(fixed, force=True).key.precision == "tf32"
    assert build(fixed, precision="fp32").key.precision == "fp32"


def test_the_builder_works_in_half_of_the_free_memory(fixed: Path, build: Build, fake_gpu: Any) -> None:
    build(fixed)
    assert fake_gpu.workspaces == [2 << 30]


def test_ctrl_c_ends_a_build(fixed: Path, build: Build, fake_gpu: Any) -> None:
    pressed: list[str] = []

    def interrupt(phase: str, done: int, total: int) -> None:
        if not pressed:
            pressed.append(phase)
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.3)  # the builder goes on working meanwhile

    with pytest.raises(KeyboardInterrupt):
        build(fixed, progress=interrupt)
    assert fake_gpu.builds == 0 and not fake_gpu.memory
    assert not list(EngineCache().engines()) and not list(EngineCache().refusals())


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        ("parse", "TensorRT 10.3.0 cannot read the graph: In node 3: unsupported operator"),
        ("build", "TensorRT 10.3.0 could not build the engine: Error Code 10: could not find any implementation"),
    ],
)
def test_errors_of_tensorrt_are_passed_on(fixed: Path, build: Build, fake_gpu: Any, fails: str, message: str) -> None:
    fake_gpu.fails = fails
    with pytest.raises(ExportError, match=message):
        build(fixed)
    assert not list(EngineCache().engines()) and not fake_gpu.memory


@pytest.mark.parametrize(
    ("fails", "what", "reason"),
    [
        ("builder", "builder", "CUDA initialization failure with error: 35"),
        ("parser", "ONNX parser", "CUDA initialization failure with error: 35"),
        ("network", "network", "TensorRT did not say why"),
        ("config", "builder configuration", "TensorRT did not say why"),
    ],
)
def test_a_tensorrt_that_cannot_start(
    fixed: Path, build: Build, fake_gpu: Any, fails: str, what: str, reason: str
) -> None:
    fake_gpu.fails = fails
    with pytest.raises(BackendError, match=f"TensorRT 10.3.0 makes no {what} here: {reason}; check that"):
        build(fixed)
    assert not fake_gpu.memory


@pytest.mark.parametrize(
    ("version", "network", "flags"),
    [
        ("10.13.3", 0b10, set()),
        ("11.4.0", 0, set()),
    ],
)
def test_networks_are_strongly_typed_where_tensorrt_can(
    fixed: Path, build: Build, fake_gpu: Any, version: str, network: int, flags: set[str]
) -> None:
    fake_gpu.install(version)
    assert build(fixed, precision="fp32").key.tensorrt == version
    assert fake_gpu.networks == [network]
    assert fake_gpu.flags == [flags]  # TF32 is off, and the builder chooses no types


@pytest.mark.parametrize("version", ["8.6.2", "9.3.0"])
def test_older_ones_are_refused(fixed: Path, build: Build, fake_gpu: Any, version: str) -> None:
    fake_gpu.install(version)
    with pytest.raises(BackendError, match=rf"TensorRT {version}: cannot keep the types .*; install TensorRT 10 or"):
        build(fixed)
    assert not fake_gpu.networks


def test_refusals_before_anything_is_built(
    fixed: Path, model: SpaceClip, tmp_path: Path, build: Build, fake_gpu: Any
) -> None:
    with pytest.raises(InputError, match=r"is an fp32 graph, .* for fp16 export it with --precision fp16"):
        build(fixed, precision="fp16")
    with pytest.raises(InputError, match=r"of 100 x 60 pixels, not 70 x 50"):
        build(fixed, size=(50, 70))
    export(model, tmp_path / "any.onnx")
    with pytest.raises(InputError, match=r"takes images of any size, an engine of one; give --height and --width"):
        build(tmp_path / "any.onnx")
    with pytest.raises(InputError, match="image: must have shape"):
        build(fixed, images=[np.zeros((3, 4), np.uint8)])
    assert build(fixed, precision="fp32").built and fake_gpu.builds == 1


NAMES = LanguageConfig(outputs=("embedding", "dense"), embed_dim=3, vocabulary=("road", "sky", "car"))


@pytest.fixture(scope="module")
def naming(tiny_model: Callable[..., SpaceClip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("engine") / "naming.onnx"
    export(tiny_model(language=NAMES), file, 60, 100)
    return file


def test_language_features_are_judged_too(naming: Path, build: Build, fake_gpu: Any) -> None:
    report = build(naming)
    assert (report.language.images, report.language.agreement) == (3, 1.0)
    assert report.language.mean_cosine == pytest.approx(1.0, abs=1e-5)
    assert build(naming).language == report.language  # kept with the engine
    fake_gpu.turned = {"dense"}
    with pytest.raises(
        ExportError, match=r"language features: cosine with ONNX Runtime's -0\.3.*; wanted are 0\.99999 on"
    ):
        build(naming, force=True)
    assert not list(EngineCache().engines())
    assert all("of labels the same" in one.facts["reason"] for one in EngineCache().refusals())


def test_without_language_features_depth_alone_is_judged(fixed: Path, build: Build, fake_gpu: Any) -> None:
    fake_gpu.turned = {"dense", "embedding"}
    assert build(fixed).language is None
