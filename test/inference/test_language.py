"""Language features beside depth, on every backend; and queries, located in the image and in metres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from space_clip_ros.errors import InputError
from space_clip_ros.export.onnx import export
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.backend import Prediction
from space_clip_ros.inference.locate import located, model_queries
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.model import SpaceClip, load_checkpoint, save_checkpoint
from space_clip_ros.model.image_to_depth import ImageToEstimate
from space_clip_ros.model_config import LanguageConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 60, 100, 3), dtype=np.uint8)
JOINT = LanguageConfig(outputs=("embedding", "dense"), embed_dim=24)
CAMERA = PinholeCamera(width=100, height=60, fx=50.0, fy=50.0, cx=49.5, cy=29.5)
NAMES = ("road", "car", "sky")
CLOSED = LanguageConfig(outputs=("dense",), embed_dim=3, vocabulary=NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., SpaceClip]) -> Path:
    folder = tmp_path_factory.mktemp("language")
    model = tiny_model(language=JOINT, uncertainty=True)
    save_checkpoint(model, folder / "checkpoint.safetensors")
    export(model, folder / "fixed.onnx", 60, 100)
    return folder


def expected(folder: Path, image: np.ndarray) -> list[np.ndarray]:
    model = load_checkpoint(folder / "checkpoint.safetensors")
    with torch.inference_mode():
        return [values[0].numpy() for values in ImageToEstimate(model, (60, 100))(torch.from_numpy(image[None]))]


@pytest.mark.parametrize("file", ["fixed.onnx", "checkpoint.safetensors"])
def test_every_backend_gives_outputs_by_name(file: str, folder: Path) -> None:
    depth, relative, embedding, dense = expected(folder, IMAGES[1])
    with load_predictor(folder / file, device="cpu", threads=1) as predict:
        assert predict.info.language is not None and predict.info.language.outputs == ("embedding", "dense")
        assert len(predict.info.language.tower) == 64
        for prediction in (predict.run(IMAGES[1]), predict.run_batch(list(IMAGES))[1]):
            np.testing.assert_allclose(prediction.depth, depth, rtol=1e-4)
            np.testing.assert_allclose(prediction.relative_deviation, relative, rtol=1e-3)
            np.testing.assert_allclose(prediction.embedding, embedding, atol=1e-5)
            np.testing.assert_allclose(prediction.dense, dense, atol=1e-5)


def test_onnx_runtime_leaves_out_what_nobody_wants(folder: Path) -> None:
    with load_predictor(folder / "fixed.onnx", device="cpu", threads=1) as predict:
        (all_of_it,), (without,) = (predict.run_batch([IMAGES[1]], language) for language in (True, False))
        assert all_of_it.dense is not None and all_of_it.embedding is not None
        assert without.dense is None and without.embedding is None
        np.testing.assert_array_equal(without.depth, all_of_it.depth)
        np.testing.assert_array_equal(without.relative_deviation, all_of_it.relative_deviation)


def test_other_models_give_none(tmp_path: Path, tiny_model: Callable[..., SpaceClip]) -> None:
    save_checkpoint(tiny_model(), tmp_path / "plain.safetensors")
    with load_predictor(tmp_path / "plain.safetensors", device="cpu", threads=1) as predict:
        prediction = predict.run(IMAGES[0])
        assert predict.info.language is None and prediction.embedding is None and prediction.dense is None
        with pytest.raises(InputError, match=r"model tiny: gives no features of patches.*--outputs depth dense"):
            predict.locate(IMAGES[0], ["car"], CAMERA)


def test_queries_must_be_of_the_model_s_space(folder: Path) -> None:
    with load_predictor(folder / "fixed.onnx", device="cpu", threads=1) as predict:
        with pytest.raises(InputError, match="must be vectors for model tiny, which cannot turn words into vectors"):
            model_queries(["car"], predict.info)
        with pytest.raises(InputError, match="are for tower abc with 24 numbers"):
            model_queries(QuerySet(("car",), (), np.eye(24, dtype=np.float32)[:1], "abc"), predict.info)


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., SpaceClip]) -> Any:
    file = tmp_path_factory.mktemp("closed") / "closed.safetensors"
    save_checkpoint(tiny_model(language=CLOSED), file)
    with load_predictor(file, device="cpu", threads=1) as predict:
        prediction = predict.locate(IMAGES[0], ["car"], CAMERA)
        assert [item.name for item in prediction] == ["car"] and prediction[0].mask.shape == (60, 100)
        return predict.info


def scene() -> Prediction:
    """A car of 20 x 20 pixels, 8 m away, before a road 20 m away, right of the middle; a patch has 5 x 5 pixels."""
    depth = np.full((60, 100), 20.0, np.float32)
    depth[20:40, 60:80] = 8.0
    dense = np.zeros((12, 20, 3), np.float32)
    dense[..., 0] = 1.0
    dense[4:8, 12:16] = (0.0, 1.0, 0.0)
    return Prediction(depth, {}, dense=dense)


def test_a_query_s_pixels_and_box_by_hand(info: Any) -> None:
    car, sky = located(scene(), model_queries(["car", "sky"], info), info, CAMERA, 0.5)
    assert (car.name, sky.name) == ("car", "sky")
    assert car.score > 0.99 > 0.01 > sky.score
    wanted = np.zeros((60, 100), bool)
    wanted[20:40, 60:80] = True
    # The probability is interpolated between patches, so the edge is exact to a pixel.
    assert (car.mask != wanted).sum() <= 80 and not sky.mask.any() and sky.center is None and sky.size is None
    np.testing.assert_allclose(car.center, (8 * 20 / 50, 0.0, 8.0), atol=0.02)
    np.testing.assert_allclose(car.size, (8 * 19 / 50, 8 * 19 / 50, 0.01), rtol=0.15)


def test_what_the_node_would_not_report_has_no_place(info: Any) -> None:
    queries, seen = model_queries(["car"], info), scene()
    depth = seen.depth.copy()
    depth[20:39, 60:80] = np.nan
    (car,) = located(seen._replace(depth=depth), queries, info, CAMERA, 0.5)
    assert car.mask.any() and car.center is None  # one row of twenty has depth
    dense = seen.dense.copy()
    dense[4:8, 12:16] = (1.0, 0.0, 0.0)
    dense[4, 12] = (0.69, 0.72, 0.0)
    (car,) = located(seen._replace(dense=dense), queries, info, CAMERA, 0.5)
    assert 0 < car.mask.sum() < 25 and car.center is None  # less than a patch


def test_depth_is_scaled_for_another_lens(info: Any) -> None:
    trained = replace(info, training_camera=(100.0, 60.0, 25.0, 25.0))
    (car,) = located(scene(), model_queries(["car"], info), trained, CAMERA, 0.5)
    assert car.center is not None and car.center[2] == pytest.approx(16.0)


def test_a_camera_of_another_size_is_refused(info: Any) -> None:
    camera = CAMERA.resized(200, 120)
    with pytest.raises(InputError, match="camera: is of 200 x 120 pixels, the image of 100 x 60"):
        located(scene(), model_queries(["car"], info), info, camera, 0.5)
    none: Any = None
    with pytest.raises(InputError, match="camera: must be a PinholeCamera, got None; give the image's calibration"):
        located(scene(), model_queries(["car"], info), info, none, 0.5)


@pytest.mark.parametrize("threshold", [float("nan"), -1.0, 5.0])
def test_a_threshold_is_a_probability(info: Any, threshold: float) -> None:
    with pytest.raises(InputError, match=f"threshold: must be from 0 to 1, got {threshold}"):
        located(scene(), model_queries(["car"], info), info, CAMERA, threshold)
