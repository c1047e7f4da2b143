"""Foreign files, images that do not fit, and the cache of sessions."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.inference import load_predictor, onnx_sessions
from space_clip_ros.inference.onnx_sessions import SESSIONS_KEPT, OnnxSessions
from space_clip_ros.inference.onnxruntime_backend import OnnxRuntimeBackend


def with_metadata(source: Path, target: Path, **changes: str) -> Path:
    """Copy an exported file, with some of its metadata changed."""
    graph = onnx.load(source)
    properties = {entry.key: entry.value for entry in graph.metadata_props}
    onnx.helper.set_model_props(graph, {**properties, **{f"space_clip.{key}": text for key, text in changes.items()}})
    onnx.save(graph, target)
    return target


def test_not_an_onnx_file(tmp_path: Path) -> None:
    file = tmp_path / "text.onnx"
    file.write_text("not a graph", encoding="utf-8")
    with pytest.raises(ModelError, match=r"text\.onnx: is not an ONNX file this ONNX Runtime .* can run"):
        load_predictor(file)


def test_half_a_file(model_dir: Path, tmp_path: Path) -> None:
    content = (model_dir / "any.onnx").read_bytes()
    file = tmp_path / "half.onnx"
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"half\.onnx: is not an ONNX file"):
        load_predictor(file)


def test_an_error_of_onnx_runtime_without_text(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(ModelError, match=r"can run \(RuntimeError\)"):
        load_predictor(model_dir / "any.onnx")


def test_a_foreign_graph(tmp_path: Path) -> None:
    tensor = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [tensor], [tensor])
    graph.output[0].name = "y"
    file = tmp_path / "theirs.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), file)
    with pytest.raises(ModelError, match=r"theirs\.onnx: is an ONNX file without the space_clip"):
        load_predictor(file)


def test_another_format_version(model_dir: Path, tmp_path: Path) -> None:
    file = with_metadata(model_dir / "any.onnx", tmp_path / "new.onnx", format_version="9")
    with pytest.raises(ModelError, match=r"new\.onnx: has format version 9, this package reads 1"):
        load_predictor(file)


def test_a_file_for_one_size(model_dir: Path) -> None:
    with load_predictor(model_dir / "fixed.onnx") as predict:
        assert predict.info.fixed_size == (60, 100)
        assert predict(np.zeros((60, 100, 3), np.uint8)).shape == (60, 100)
        with pytest.raises(
            InputError, match=r"100 x 60 pixels, got 90 x 50; export it again with --height 50 --width 90"
        ):
            predict(np.zeros((50, 90, 3), np.uint8))


def test_a_file_for_two_images_at_once(model_dir: Path) -> None:
    with pytest.raises(ModelError, match=r"pair\.onnx: takes 2 images at once, live use takes one"):
        load_predictor(model_dir / "pair.onnx")
    sessions = OnnxSessions(model_dir / "pair.onnx")
    images = np.random.default_rng(1).integers(0, 256, (2, 60, 100, 3), dtype=np.uint8)
    depth = sessions.run(images)
    single = OnnxSessions(model_dir / "fixed.onnx")
    for image, expected in zip(images, depth, strict=True):
        np.testing.assert_allclose(single.run(image[None])[0], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="takes 2 images at once, got 1; export it again with --batch 1"):
        sessions.run(images[:1])


def test_a_file_for_one_image_at_once(model_dir: Path) -> None:
    images = list(np.random.default_rng(1).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8))
    with load_predictor(model_dir / "one.onnx") as predict, load_predictor(model_dir / "any.onnx") as batching:
        assert not predict.batches and batching.batches
        for alone, together in zip(predict.run_batch(images), batching.run_batch(images), strict=True):
            np.testing.assert_allclose(alone.depth, together.depth, rtol=1e-5, atol=1e-5)


def test_any_number_of_images_runs_in_few_sessions(model_dir: Path) -> None:
    images = list(np.random.default_rng(1).integers(0, 256, (13, 20, 30, 3), dtype=np.uint8))
    backend = OnnxRuntimeBackend(model_dir / "any.onnx", threads=1)
    for count in range(1, len(images) + 1):
        predictions = backend.run_batch(images[:count])
        assert len(predictions) == count
        np.testing.assert_allclose(predictions[-1].depth, backend.run(images[count - 1]).depth, rtol=1e-5, atol=1e-5)
    assert sorted(shape for shape, _ in backend._sessions._sessions) == [(count, 20, 30) for count in (1, 2, 4, 8)]


def test_a_depth_map_does_not_keep_its_batch_in_memory(model_dir: Path) -> None:
    images = [np.full((20, 30, 3), value, np.uint8) for value in (0, 200)]
    with load_predictor(model_dir / "any.onnx") as predict:
        assert all(prediction.depth.base is None for prediction in predict.run_batch(images))


def test_one_session_per_size(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    opened = onnx_sessions._open

    def counted(*arguments: object) -> object:
        made.append(arguments)
        return opened(*arguments)

    sessions = OnnxSessions(model_dir / "any.onnx", threads=1)
    monkeypatch.setattr(onnx_sessions, "_open", counted)
    for size in range(21, 21 + SESSIONS_KEPT):
        sessions.run(np.zeros((1, size, 30, 3), np.uint8))
        sessions.run(np.zeros((1, 20, 30, 3), np.uint8))
    # 20 was used again and again, so 21 went when the last came
    assert len(made) == SESSIONS_KEPT + 1
    assert len(sessions._sessions) == SESSIONS_KEPT and ((1, 20, 30), ("depth",)) in sessions._sessions
    sessions.run(np.zeros((1, 21, 30, 3), np.uint8))
    assert len(made) == SESSIONS_KEPT + 2


def test_threads_spin_only_when_asked_and_never_between_runs(model_dir: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (1, 60, 100, 3), dtype=np.uint8)
    depths = []
    for spinning in (False, True):
        sessions = OnnxSessions(model_dir / "any.onnx", threads=2, thread_spinning=spinning)
        depths.append(sessions.run(image))
        (session,) = sessions._sessions.values()
        entry = session.get_session_options().get_session_config_entry
        assert entry("session.intra_op.allow_spinning") == str(int(spinning))
        assert entry("session.force_spinning_stop") == "1"
    np.testing.assert_array_equal(*depths)


def test_an_idle_model_takes_no_processor_time(model_dir: Path) -> None:
    with load_predictor(model_dir / "any.onnx", threads=2, thread_spinning=True) as predict:
        predict(np.zeros((60, 100, 3), np.uint8))
        before = time.process_time()
        time.sleep(0.5)
        # threads that span on until they give up take 0.03 s of it
        assert time.process_time() - before < 0.01


def test_several_threads(model_dir: Path) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (20 + seed, 30, 3), dtype=np.uint8) for seed in range(6)]
    with load_predictor(model_dir / "any.onnx", threads=1) as predict:
        expected = [predict(image) for image in images]
        results: dict[int, np.ndarray] = {}
        workers = [
            threading.Thread(target=lambda index=index: results.update({index: predict(images[index])}))
            for index in range(len(images))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for index, depth in enumerate(expected):
        np.testing.assert_array_equal(results[index], depth)


def test_a_run_that_fails(model_dir: Path, tmp_path: Path) -> None:
    # metadata that promises any size, for a graph of one size
    file = with_metadata(model_dir / "fixed.onnx", tmp_path / "liar.onnx", height="", width="")
    with load_predictor(file) as predict, pytest.raises(BackendError, match="ONNX Runtime failed on 30 x 20 pixels"):
        predict(np.zeros((20, 30, 3), np.uint8))
