"""The execution providers of each device."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.providers import CPU, CUDA, TENSORRT, check_in_use, check_placement, providers

ALL = [TENSORRT, CUDA, CPU]


def test_the_cpu_needs_nothing() -> None:
    assert providers("cpu", [CPU]) == [CPU]


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_cuda(device: str, index: int) -> None:
    (name, options), last = providers(device, ALL)
    assert name == CUDA and last == CPU
    assert options["device_id"] == index and options["cudnn_conv_algo_search"] == "EXHAUSTIVE"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tensorrt_keeps_its_engines_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (name, options), (second, _), last = providers("cuda:1", ALL, True, precision)
    assert (name, second, last) == (TENSORRT, CUDA, CPU)
    folder = tmp_path / "cache" / "space_clip_ros" / "engines" / "onnxruntime"
    assert options["trt_engine_cache_path"] == str(folder) and folder.is_dir()
    # its networks are weakly typed: it refuses fp16 and int8 that no flag allows
    assert options["trt_fp16_enable"] == (precision == "fp16") and options["trt_int8_enable"] == (precision == "int8")


def test_a_cache_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(BackendError, match=r"onnxruntime: cannot be made \(Not a directory\); set XDG_CACHE_HOME"):
        providers("cuda", ALL, tensorrt=True)


@pytest.mark.parametrize(("version", "known"), [("1.17.3", False), ("1.18.0", True), ("1.23.2", True), ("2.0", True)])
def test_tf32_is_off_if_onnxruntime_has_the_option(version: str, known: bool) -> None:
    (_, options), _ = providers("cuda", ALL, version=version)
    assert options.get("use_tf32") == ("0" if known else None)


@pytest.mark.parametrize(("tensorrt", "missing"), [(False, CUDA), (True, TENSORRT)])
def test_a_provider_that_is_not_there(tensorrt: bool, missing: str) -> None:
    with pytest.raises(BackendError, match=rf"device cuda: this ONNX Runtime has no {missing} \(it has {CPU}\); for a"):
        providers("cuda", [CPU], tensorrt)


def test_a_session_that_fell_back() -> None:
    wanted = providers("cuda", ALL)
    check_in_use(wanted, [CUDA, CPU])
    check_in_use([CPU], [CPU])
    with pytest.raises(BackendError, match=f"{CUDA}: ONNX Runtime could not start it and would run on {CPU}; check"):
        check_in_use(wanted, [CPU])


def test_a_run_may_be_a_cuda_graph() -> None:
    (_, options), _ = providers("cuda", ALL, graph=True)
    assert options["enable_cuda_graph"] == "1"
    (_, options), _ = providers("cuda", ALL)
    assert "enable_cuda_graph" not in options


def profile(on_cpu: int, on_gpu: int) -> list[dict[str, object]]:
    """Return the events of a run, as ONNX Runtime writes them."""
    where = [*[(CPU, "QLinearConv")] * on_cpu, *[(CUDA, "Conv")] * on_gpu]
    events = [{"cat": "Node", "args": {"op_name": kind, "provider": provider}} for provider, kind in where]
    return [{"cat": "Session", "args": {}}, {"cat": "Node", "args": {}}, *events]


def test_a_session_that_leaves_its_work_to_the_cpu() -> None:
    check_placement(profile(10, 90), CUDA)  # what computes shapes
    check_placement(profile(100, 0), CPU)
    message = rf"{CUDA}: 60 of 100 operators would run on the CPU \(QLinearConv\), with copies between; give device cpu"
    with pytest.raises(BackendError, match=message):
        check_placement(profile(60, 40), CUDA)
