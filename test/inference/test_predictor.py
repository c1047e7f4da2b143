"""Which images the predictor takes and which it rejects, on ONNX Runtime and on PyTorch."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros.errors import BackendError, DeviceLostError, InputError
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.backend import Prediction
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.model import load_checkpoint
from space_clip_ros.model.image_to_depth import ImageToDepth

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["any.onnx", "checkpoint.safetensors"])
def predict(request: pytest.FixtureRequest, model_dir: Path) -> Iterator[Predictor]:
    with load_predictor(model_dir / request.param, device="cpu", threads=1) as predictor:
        yield predictor


def test_depth(predict: Predictor) -> None:
    depth = predict(IMAGE)
    assert depth.shape == (60, 100) and depth.dtype == np.float32 and depth.flags.writeable
    assert np.isfinite(depth).all() and depth.min() >= 0 and depth.std() > 0


class LostBackend:
    """A backend whose GPU is lost; it must not be freed then."""

    def __init__(self, working: Predictor) -> None:
        self.info = working.info

    def run(self, image: np.ndarray, language: bool = True) -> Prediction:
        raise DeviceLostError("CUDA failed", "an illegal memory access", "start again")

    def close(self) -> None:
        pytest.fail("it was closed")


def test_a_backend_on_a_lost_gpu_is_never_freed(predict: Predictor) -> None:
    backend = LostBackend(predict)
    still_there = weakref.ref(backend)
    with Predictor(backend) as lost:
        del backend
        with pytest.raises(DeviceLostError):
            lost(IMAGE)
    with pytest.raises(BackendError, match="this predictor is closed"):
        lost(IMAGE)
    assert still_there() is not None


def test_results_are_the_callers_own(predict: Predictor) -> None:
    first = predict(IMAGE)
    kept = first.copy()
    predict(255 - IMAGE)
    np.testing.assert_array_equal(first, kept)


def test_the_image_is_left_alone(predict: Predictor) -> None:
    image = IMAGE.copy()
    predict(image)
    np.testing.assert_array_equal(image, IMAGE)


def views() -> dict[str, np.ndarray]:
    """The same picture in every memory layout."""
    padded = np.zeros((60, 120, 4), np.uint8)
    padded[:, 10:110, :3] = IMAGE
    read_only = IMAGE.copy()
    read_only.flags.writeable = False
    return {
        "column order": np.asfortranarray(IMAGE),
        "cut out": padded[:, 10:110, :3],
        "BGR reversed": np.ascontiguousarray(IMAGE[..., ::-1])[..., ::-1],
        "upside down": np.ascontiguousarray(IMAGE[::-1])[::-1],
        "read only": read_only,
        "bytes": np.frombuffer(IMAGE.tobytes(), np.uint8).reshape(IMAGE.shape),
    }


@pytest.mark.parametrize("layout", sorted(views()))
@pytest.mark.filterwarnings("error")
def test_memory_layouts(predict: Predictor, layout: str) -> None:
    np.testing.assert_array_equal(predict(views()[layout]), predict(IMAGE))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[0]], "must be a NumPy array .* got a list"),
        (np.zeros((4, 5), np.uint8), r"\(H, W, 3\), got \(4, 5\); a grey image must be spread to three channels"),
        (np.zeros((4, 5, 1), np.uint8), "a grey image must be spread"),
        (np.zeros((4, 5, 4), np.uint8), r"got \(4, 5, 4\); drop the alpha channel"),
        (np.zeros((1, 4, 5, 3), np.uint8), "one image at a time"),
        (np.zeros((3, 4, 5), np.uint8), r"must have shape \(H, W, 3\), got \(3, 4, 5\)$"),
        (np.zeros((4, 5, 3), np.float32), r"must have dtype uint8 \(0-255\), got float32"),
        (np.zeros((0, 5, 3), np.uint8), r"is empty, shape \(0, 5, 3\)"),
    ],
)
def test_not_an_rgb_image(predict: Predictor, image: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predict(image)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (200, 90)])
def test_sizes(predict: Predictor, size: tuple[int, int]) -> None:
    assert predict(np.full((*size, 3), 99, np.uint8)).shape == size


def test_stages(predict: Predictor) -> None:
    prediction = predict.run(IMAGE)
    np.testing.assert_array_equal(prediction.depth, predict(IMAGE))
    assert list(prediction.stages_ms)[:2] == ["copy_in", "inference"]
    assert all(duration >= 0 for duration in prediction.stages_ms.values())


def test_warming_up_for_several_images_at_once(model_dir: Path) -> None:
    with (
        load_predictor(model_dir / "any.onnx", threads=1) as batching,
        load_predictor(model_dir / "one.onnx") as single,
    ):
        for predictor, counts in ((batching, [1, 2, 4]), (single, [1])):
            predictor.warm_up(20, 30, together=5)
            sessions = predictor._backend._sessions._sessions
            assert [shape for shape, _ in sessions] == [(count, 20, 30) for count in counts]


def test_more_sizes_than_are_kept(predict: Predictor) -> None:
    first = predict(IMAGE)
    for height in range(20, 30):
        predict.warm_up(height, 40)
    np.testing.assert_array_equal(predict(IMAGE), first)


def test_info(predict: Predictor) -> None:
    info = predict.info
    assert (info.name, info.device, info.precision, info.input_size) == ("tiny", "cpu", "fp32", (32, 64))
    assert (info.min_depth, info.max_depth, info.training_camera) == (0.001, 60.0, (1242.0, 375.0, 721.5, 722.5))
    assert info.fixed_size is None and info.file.is_file()


def test_both_backends_agree(model_dir: Path) -> None:
    with load_predictor(model_dir / "any.onnx") as graph, load_predictor(model_dir / "checkpoint.safetensors") as torch:
        assert (graph.info.backend, torch.info.backend) == ("onnxruntime", "torch")
        np.testing.assert_allclose(graph(IMAGE), torch(IMAGE), rtol=1e-4, atol=1e-4)


def test_a_closed_predictor(model_dir: Path) -> None:
    predictor = load_predictor(model_dir / "any.onnx")
    predictor.close()
    predictor.close()
    with pytest.raises(BackendError, match=r"any\.onnx: this predictor is closed"):
        predictor(IMAGE)


def test_a_batch_equals_its_images_one_by_one(predict: Predictor) -> None:
    images = [IMAGE, np.ascontiguousarray(IMAGE[..., ::-1])[..., ::-1], 255 - IMAGE]
    together = predict.run_batch(images)
    assert len(together) == 3
    for image, prediction in zip(images, together, strict=True):
        np.testing.assert_allclose(prediction.depth, predict(image), rtol=1e-5, atol=1e-5)
        assert "inference" in prediction.stages_ms
    assert predict.batches
    assert predict.device_memory() is None


def test_images_of_different_sizes_do_not_run_together(predict: Predictor) -> None:
    with pytest.raises(InputError, match=r"must be of one size to run together, got \[\(30, 100\), \(60, 100\)\]"):
        predict.run_batch([IMAGE, IMAGE[:30]])


@pytest.mark.parametrize("file", ["any.onnx", "checkpoint.safetensors"])
def test_uncertainty_where_the_model_has_it(file: str, uncertain_dir: Path) -> None:
    model = load_checkpoint(uncertain_dir / "checkpoint.safetensors")
    with torch.inference_mode():
        inputs = ImageToDepth(model).preprocess(torch.from_numpy(np.stack([IMAGE, 255 - IMAGE])))
        expected = model.standard_deviation(model(inputs, (60, 100)))[:, 0].numpy()
    with load_predictor(uncertain_dir / file, device="cpu", threads=1) as predict:
        assert predict.info.uncertainty
        depth, sigma = predict.with_uncertainty(IMAGE)
        np.testing.assert_array_equal(depth, predict(IMAGE))
        np.testing.assert_allclose(sigma, expected[0], rtol=1e-4)
        assert sigma.dtype == np.float32 and sigma.shape == (60, 100)
        together = predict.run_batch([IMAGE, 255 - IMAGE])
        np.testing.assert_allclose(np.stack([prediction.uncertainty for prediction in together]), expected, rtol=1e-4)


def test_a_model_without_uncertainty_says_so(predict: Predictor) -> None:
    assert not predict.info.uncertainty and predict.run(IMAGE).uncertainty is None
    with pytest.raises(InputError, match=r"model tiny: gives no uncertainty; .*model\.uncertainty: true"):
        predict.with_uncertainty(IMAGE)
