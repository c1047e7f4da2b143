"""Which of ONNX Runtime's providers a device means."""

from __future__ import annotations

import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.providers import CPU, CUDA, TENSORRT, check_in_use, providers

ALL = [TENSORRT, CUDA, CPU]


def test_the_cpu_needs_nothing() -> None:
    assert providers("cpu", [CPU]) == [CPU]


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_cuda(device: str, index: int) -> None:
    (name, options), last = providers(device, ALL)
    assert name == CUDA and last == CPU
    assert options["device_id"] == index and options["cudnn_conv_algo_search"] == "EXHAUSTIVE"


def test_tensorrt_keeps_its_engines_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/robot/cache")
    (name, options), (second, _), last = providers("cuda:1", ALL, tensorrt=True)
    assert (name, second, last) == (TENSORRT, CUDA, CPU)
    assert options["trt_engine_cache_path"] == "/home/robot/cache/space_clip_ros/engines/onnxruntime"
    # the graph says what is fp16; a flag would let the builder choose
    assert not any("fp16" in option or "int8" in option for option in options)


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
