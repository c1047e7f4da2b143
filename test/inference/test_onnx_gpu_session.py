"""A session with bound memory, on the CPU, whose memory passes for a GPU's."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from space_clip_ros.errors import BackendError, DeviceLostError
from space_clip_ros.inference import load_predictor, onnx_sessions
from space_clip_ros.inference.metadata import INPUT_NAME, OUTPUT_NAME
from space_clip_ros.inference.onnx_gpu_session import GPU_TURN, OnnxGpuSession
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.inference.onnxruntime_backend import OnnxRuntimeBackend
from space_clip_ros.inference.providers import CPU, CUDA

IMAGES = np.random.default_rng(1).integers(0, 256, (4, 1, 60, 100, 3), dtype=np.uint8)


def run(session: OnnxGpuSession, image: np.ndarray) -> np.ndarray:
    (depth,) = session.run([OUTPUT_NAME], {INPUT_NAME: image})
    return depth


def in_threads(*work: Callable[[], object]) -> None:
    """Call each in a thread of its own, all at once."""
    threads = [threading.Thread(target=call) for call in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_it_gives_the_same_depth_and_a_copy_of_it(model_dir: Path) -> None:
    file = model_dir / "fixed.onnx"
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    bound = OnnxGpuSession(lambda: session, (1, 60, 100), {OUTPUT_NAME: None}, "cpu", graph=True)
    expected = [session.run([OUTPUT_NAME], {INPUT_NAME: image})[0] for image in IMAGES]
    results = [run(bound, image) for image in IMAGES]
    np.testing.assert_array_equal(results, expected)
    results[0][:] = 0
    np.testing.assert_array_equal(run(bound, IMAGES[1]), expected[1])
    together: dict[int, np.ndarray] = {}
    in_threads(*(lambda index=index: together.update({index: run(bound, IMAGES[index])}) for index in range(4)))
    np.testing.assert_array_equal([together[index] for index in range(len(IMAGES))], expected)


def test_every_output_of_a_file_is_bound_and_those_asked_for_are_given(uncertain_dir: Path) -> None:
    sessions = OnnxSessions(uncertain_dir / "fixed.onnx")
    session = onnxruntime.InferenceSession(str(uncertain_dir / "fixed.onnx"), providers=["CPUExecutionProvider"])
    outputs = sessions.metadata.config.outputs
    bound = OnnxGpuSession(lambda: session, (1, 60, 100), outputs, "cpu", graph=True)
    result = bound.run(["uncertainty", "depth"], {INPUT_NAME: IMAGES[0]})
    expected = sessions.estimate(IMAGES[0])
    np.testing.assert_array_equal(result[0], expected["uncertainty"])
    np.testing.assert_array_equal(result[1], expected["depth"])


class Watched:
    """A session that notes in which thread it works, and whether another one works meanwhile."""

    busy = 0
    overlaps = 0

    def __init__(self, file: Path) -> None:
        self.threads: list[threading.Thread] = []
        self.session = self.noted(lambda: onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]))

    def noted(self, work: Callable[[], Any]) -> Any:
        self.threads.append(threading.current_thread())
        Watched.overlaps += Watched.busy
        Watched.busy += 1
        result = work()
        Watched.busy -= 1
        return result

    def io_binding(self) -> Any:
        return self.session.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:
        self.noted(lambda: self.session.run_with_iobinding(binding))


def test_a_session_works_in_one_thread_and_never_beside_another(model_dir: Path) -> None:
    sessions: list[Watched] = []

    def opened() -> Watched:
        sessions.append(Watched(model_dir / "fixed.onnx"))
        return sessions[-1]

    def use() -> None:
        bound = OnnxGpuSession(opened, (1, 60, 100), {OUTPUT_NAME: None}, "cpu", graph=True)
        in_threads(*[lambda: run(bound, IMAGES[0])] * 2)

    in_threads(use, use)
    assert [len(session.threads) for session in sessions] == [1 + 3 + 2] * 2
    threads = [set(session.threads) for session in sessions]
    assert len(threads[0]) == len(threads[1]) == 1 and threads[0] != threads[1]
    assert Watched.overlaps == 0
    for thread in threads[0] | threads[1]:
        thread.join(60)  # it ends with its session
        assert not thread.is_alive()


def test_memory_is_freed_while_nobody_records(model_dir: Path) -> None:
    file = model_dir / "fixed.onnx"
    bound = [OnnxGpuSession(lambda: Watched(file), (1, 60, 100), {OUTPUT_NAME: None}, "cpu", graph=False)]
    session = weakref.ref(bound[0]._session)
    with GPU_TURN:
        freeing = threading.Thread(target=bound.clear)
        freeing.start()
        freeing.join(0.1)
        assert freeing.is_alive() and session() is not None
    freeing.join()
    assert session() is None


class OnGpu:
    """Lets ONNX Runtime's CPU pass for a GPU, and notes how sessions are opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.graphs: list[bool] = []
        self.problem: Exception | None = None
        opened = onnx_sessions._open

        def open_here(file: Path, model: Path | bytes, options: object, preferred: list[object]) -> object:
            if preferred == [CPU]:
                return opened(file, model, options, preferred)
            (name, settings), *_ = preferred
            assert name == CUDA
            self.graphs.append(settings.get("enable_cuda_graph") == "1")
            if self.problem is not None and self.graphs[-1]:
                raise self.problem
            return opened(file, model, options, [CPU])

        made = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        on_cpu = lambda shape, kind, device, index: made(shape, kind, "cpu", 0)  # noqa: E731
        monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_shape_and_type", on_cpu)
        monkeypatch.setattr(onnx_sessions, "_open", open_here)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> OnGpu:
    return OnGpu(monkeypatch)


def test_a_session_on_a_gpu_has_a_graph_if_that_works(
    model_dir: Path, gpu: OnGpu, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = OnnxSessions(model_dir / "fixed.onnx", device="cuda")
    plain = OnnxSessions(model_dir / "fixed.onnx")
    np.testing.assert_array_equal(sessions.run(IMAGES[0]), plain.run(IMAGES[0]))
    assert gpu.graphs == [True] and not caplog.records
    gpu.problem = BackendError("road.onnx", "not all nodes are on the GPU\nand so on")
    sessions = OnnxSessions(model_dir / "fixed.onnx", device="cuda")
    np.testing.assert_array_equal(sessions.run(IMAGES[0]), plain.run(IMAGES[0]))
    assert gpu.graphs[1:] == [True, False]
    (record,) = caplog.records
    expected = "cuda: no CUDA graph, which makes every run slower (road.onnx: not all nodes are on the GPU)"
    assert record.getMessage() == expected


def test_a_lost_device_is_not_tried_without_a_graph(model_dir: Path, gpu: OnGpu) -> None:
    gpu.problem = RuntimeError("CUDA failure 700: an illegal memory access was encountered")
    with pytest.raises(DeviceLostError):
        OnnxSessions(model_dir / "fixed.onnx", device="cuda").run(IMAGES[0])


def test_operators_left_to_the_cpu_are_noticed(model_dir: Path, gpu: OnGpu) -> None:
    # here the CPU runs everything
    with pytest.raises(
        BackendError, match=rf"{CUDA}: (\d+) of \1 operators would run on the CPU \(\w+, \w+, \w+\), wi"
    ):
        OnnxRuntimeBackend(model_dir / "fixed.onnx", "cuda")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_int8_is_left_to_the_cpu_where_there_is_a_choice(gpu: OnGpu, project_root: Path, backend: str) -> None:
    with load_predictor(project_root / "models" / "road_tiny_int8.onnx", backend=backend) as predict:
        assert predict.info.device == "cpu"
        assert "ONNX Runtime has no int8 products on CUDA" in predict.info.passed_over[-1]


@pytest.fixture
def everything_on_it(gpu: OnGpu, monkeypatch: pytest.MonkeyPatch) -> OnGpu:
    """A GPU whose provider takes every operator, as a profile on the CPU cannot show."""
    monkeypatch.setattr(onnx_sessions, "check_placement", lambda events, first: None)
    return gpu


def out_of_memory(*_: object, **__: object) -> None:
    raise RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory")


def no_folder(prefix: str) -> None:
    raise FileNotFoundError(2, "No usable temporary directory found")


@pytest.mark.parametrize(
    ("where", "name", "failure", "reason"),
    [
        (onnxruntime.InferenceSession, "run", out_of_memory, "ONNX Runtime failed on 100 x 60 pixels: BFCArena"),
        (onnx_sessions, "TemporaryDirectory", no_folder, "cannot write the profile of its run ("),
    ],
)
def test_a_gpu_that_cannot_be_checked_is_passed_over(
    model_dir: Path,
    everything_on_it: OnGpu,
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    failure: Callable[..., None],
    reason: str,
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(where, name, failure)
        with load_predictor(model_dir / "fixed.onnx") as predict:
            assert predict.info.device == "cpu"
            assert f"onnxruntime on cuda ({reason}" in predict.info.passed_over[-1]
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.device == "cuda:0"


@pytest.mark.parametrize(("file", "kept"), [("any.onnx", []), ("fixed.onnx", [(1, 60, 100)])])
def test_opening_keeps_no_session_that_no_image_of_the_camera_will_use(
    model_dir: Path, everything_on_it: OnGpu, file: str, kept: list[tuple[int, ...]]
) -> None:
    backend = OnnxRuntimeBackend(model_dir / file, "cuda")
    assert [shape for shape, _ in backend._sessions._sessions] == kept
    assert everything_on_it.graphs == [False, *[True] * len(kept)]


def test_a_gpu_that_is_lost_while_a_session_opens(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create = onnxruntime.InferenceSession._create_inference_session
    reason = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0"

    def created(session: Any, preferred: Any, *others: Any) -> None:
        if preferred != [CPU]:
            session._fallback_providers = [CPU]  # as the library itself chooses
            raise RuntimeError(reason)
        create(session, preferred, *others)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime.InferenceSession, "_create_inference_session", created)
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert f"onnxruntime on cuda (ONNX Runtime could not open it on the GPU: {reason})" in predict.info.passed_over
    assert not capsys.readouterr().out
    reason = "CUDA failure 700: an illegal memory access was encountered ; GPU=0"
    with pytest.raises(DeviceLostError):
        load_predictor(model_dir / "fixed.onnx")
