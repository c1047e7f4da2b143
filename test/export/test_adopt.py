"""Other people's models become files of ours that give what the models give."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from space_clip_ros.errors import ExportError, InputError, ModelError
from space_clip_ros.export.adopt import MEDIAN_M, adopt
from space_clip_ros.export.adopt_recipe import NORMALISATIONS, Recipe
from space_clip_ros.inference import load_predictor
from space_clip_ros.model_config import AdoptedConfig

MEAN, STD = NORMALISATIONS["imagenet"]
RECIPE = Recipe(size=(28, 42), mean=MEAN, std=STD, output="depth", max_depth=80.0)
SIZE = (30, 50)


@pytest.fixture(scope="module")
def image() -> Any:
    ramp = np.linspace(0, 255, 30 * 50).reshape(30, 50)
    return np.stack([ramp, ramp[::-1], np.random.default_rng(0).integers(0, 256, (30, 50))], axis=-1).astype(np.uint8)


def expected(file: Path, image: Any, size: tuple[int, int] = (28, 42)) -> Any:
    """The model's own output at the image's size, with OpenCV before and after it."""
    small = cv2.resize(image.astype(np.float32) / 255.0, size[::-1], interpolation=cv2.INTER_LINEAR)
    pixels = ((small - np.asarray(MEAN)) / np.asarray(STD)).transpose(2, 0, 1)[None].astype(np.float32)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    raw = session.run(None, {session.get_inputs()[0].name: pixels})[0].reshape(size)
    return cv2.resize(raw, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def test_depth_is_that_of_the_model_run_with_opencv(tmp_path: Path, third_party_models: Any, image: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx")
    report = adopt(file, tmp_path / "ours.onnx", RECIPE, images=[image])
    with load_predictor(tmp_path / "ours.onnx") as predict:
        np.testing.assert_allclose(predict(image), expected(file, image), rtol=1e-4)
        info = predict.info
        two = predict.run_batch([image, image[::-1].copy()])
        np.testing.assert_allclose(two[1].depth, predict(image[::-1]), rtol=1e-5)
    assert (info.name, info.metric, info.fixed_size, info.max_depth) == ("theirs", True, None, 80.0)
    assert report.proof.images == 4 and report.proof.real == 1
    assert report.proof.mean < 1e-5
    assert report.metadata.source_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_every_opset_and_a_fixed_image_size(tmp_path: Path, third_party_models: Any, image: Any, opset: int) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx", opset=opset)
    adopt(file, tmp_path / "ours.onnx", RECIPE, *SIZE)
    with load_predictor(tmp_path / "ours.onnx") as predict:
        assert predict.info.fixed_size == SIZE
        np.testing.assert_allclose(predict(image), expected(file, image), rtol=1e-4)


@pytest.mark.parametrize(
    ("dims", "facts"),
    [
        ((1, 3, 28, 42), {"output": "maps"}),
        (("b", "h", "w", 3), {"output": "planes"}),
        ((3, 28, 42), {"output": "flat"}),
        (("b", 1, 3, "h", "w"), {"output": "maps"}),
        (("b", 3, "h", "w"), {"output": "halves"}),
        (("b", 3, "h", "w"), {"element": TensorProto.UINT8}),
        (("b", 3, "h", "w"), {"element": TensorProto.FLOAT16, "input_name": "image"}),
    ],
    ids=lambda value: str(value),
)
def test_layouts_and_types(tmp_path: Path, third_party_models: Any, image: Any, dims: Any, facts: Any) -> None:
    """A file is written only if it agrees with the original model."""
    file = third_party_models.write(tmp_path / "theirs.onnx", dims, **facts)
    report = adopt(file, tmp_path / "ours.onnx", RECIPE, *SIZE)
    assert report.metadata.precision == ("fp16" if facts.get("element") == TensorProto.FLOAT16 else "fp32")
    with load_predictor(tmp_path / "ours.onnx") as predict:
        depth = predict(image)
    assert depth.shape == SIZE and depth.std() > 0.02 and depth.min() > 1.0


@pytest.mark.parametrize("rule", ["lower_bound", "upper_bound", "pad"])
@pytest.mark.parametrize("size", [None, SIZE])
def test_rules_that_keep_the_shape(
    tmp_path: Path, third_party_models: Any, rule: str, size: tuple[int, int] | None
) -> None:
    recipe = replace(RECIPE, rule=rule, multiple=1 if rule == "pad" else 14, interpolation="bicubic",
                     border=(120.0, 30.0, 60.0), channels="bgr", align_corners=True)  # fmt: skip
    file = third_party_models.write(tmp_path / "theirs.onnx", output="halves" if rule == "pad" else "planes")
    report = adopt(file, tmp_path / "ours.onnx", recipe, *(size or (None, None)))
    assert report.proof.mean < 1e-5


def test_antialiasing_is_pillows(tmp_path: Path, third_party_models: Any, image: Any) -> None:
    from PIL import Image

    file = third_party_models.write(tmp_path / "theirs.onnx")
    adopt(file, tmp_path / "ours.onnx", replace(RECIPE, size=(14, 28), interpolation="bicubic", antialias=True))
    small = np.asarray(Image.fromarray(image).resize((28, 14), Image.Resampling.BICUBIC))
    with load_predictor(tmp_path / "ours.onnx") as predict:
        prediction = predict(image)
    # Pillow rounds to whole numbers, and the wrapped graph does not
    np.testing.assert_allclose(prediction, cv2.resize(expected(file, small, (14, 28)), (50, 30)), rtol=0.02)


def test_an_elongated_image_is_refused_before_it_takes_all_memory(tmp_path: Path, third_party_models: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx")
    adopt(file, tmp_path / "ours.onnx", replace(RECIPE, rule="lower_bound"))
    with load_predictor(tmp_path / "ours.onnx") as predict:
        assert predict(np.zeros((10, 150, 3), np.uint8)).shape == (10, 150)
        with pytest.raises(InputError, match=r"would see 112000 x 28 pixels of 4000 x 1; cut the image"):
            predict(np.zeros((1, 4000, 3), np.uint8))


def test_uncertainty_must_be_a_number(tmp_path: Path, third_party_models: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx", confidence=True)
    model = onnx.load(file)
    for node in model.graph.node:
        node.output[:] = ["positive" if name == "confidence" else name for name in node.output]
    model.graph.node.extend(
        [helper.make_node("Neg", ["positive"], ["negative"]), helper.make_node("Log", ["negative"], ["confidence"])]
    )
    onnx.save(model, file)
    recipe = replace(RECIPE, depth_output="depth", uncertainty_output="confidence", uncertainty="share")
    with pytest.raises(ExportError, match=r"ours\.onnx: its uncertainty is not finite; check --uncertainty"):
        adopt(file, tmp_path / "ours.onnx", recipe)
    assert list(tmp_path.iterdir()) == [file]


def test_inverse_depth_becomes_metres(tmp_path: Path, third_party_models: Any, image: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx")
    adopt(file, tmp_path / "ours.onnx", replace(RECIPE, output="inverse", scale=0.1, shift=-0.2, max_depth=10.0))
    with load_predictor(tmp_path / "ours.onnx") as predict:
        depth = predict(image)
    np.testing.assert_allclose(depth, 1 / np.maximum(0.1 * expected(file, image) - 0.2, 0.1), rtol=1e-3)
    assert depth.max() == pytest.approx(10.0)


@pytest.mark.parametrize("output", ["relative", "relative_depth"])
def test_relative_depth_is_scaled_to_a_usual_median_and_says_so(
    tmp_path: Path, third_party_models: Any, image: Any, output: str
) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx", scale=0.01)
    adopt(file, tmp_path / "ours.onnx", replace(RECIPE, output=output, max_depth=None), images=[image])
    with load_predictor(tmp_path / "ours.onnx") as predict:
        assert np.median(predict(image)) == pytest.approx(MEDIAN_M, rel=0.05)
        assert not predict.info.metric
        assert "not metric" in predict.info.units_text


def test_points_another_input_and_a_confidence(tmp_path: Path, third_party_models: Any, image: Any) -> None:
    file = third_party_models.write(
        tmp_path / "theirs.onnx", output="points", confidence=True, constant_input=True, input_name="image"
    )
    recipe = replace(RECIPE, depth_output="depth", channel=2, constants={"num_tokens": (3.0,)},
                     uncertainty_output="confidence", uncertainty="confidence", uncertainty_scale=0.5)  # fmt: skip
    report = adopt(file, tmp_path / "ours.onnx", recipe)
    assert report.proof.uncertainty is not None and report.proof.uncertainty < 1e-5
    with load_predictor(tmp_path / "ours.onnx") as predict:
        depth, sigma = predict.with_uncertainty(image)
    assert depth.min() > 3.0
    assert 0.0 <= (sigma / depth).min() < (sigma / depth).max() <= 0.5


@pytest.mark.parametrize("kind", ["share", "metres", "reciprocal"])
def test_other_uncertainties(tmp_path: Path, third_party_models: Any, kind: str) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx", confidence=True)
    recipe = replace(RECIPE, depth_output="depth", uncertainty_output="confidence", uncertainty=kind)
    report = adopt(file, tmp_path / "ours.onnx", recipe, *SIZE)
    assert report.proof.uncertainty is not None and report.proof.uncertainty < 1e-5


def test_external_weights_end_in_one_file(tmp_path: Path, third_party_models: Any, image: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx", external="theirs.data")
    report = adopt(file, tmp_path / "ours.onnx", RECIPE, *SIZE)
    assert report.metadata.source_sha256 != hashlib.sha256(file.read_bytes()).hexdigest()
    correct = expected(file, image)
    (tmp_path / "theirs.data").unlink()
    with load_predictor(tmp_path / "ours.onnx") as predict:
        np.testing.assert_allclose(predict(image), correct, rtol=1e-4)
    with pytest.raises(ModelError, match="missing"):
        adopt(file, tmp_path / "again.onnx", RECIPE)


def test_a_file_of_one_size_squeezes_images_unless_told_to_keep_their_shape(
    tmp_path: Path, third_party_models: Any
) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx", (1, 3, 28, 28))
    recipe = replace(RECIPE, rule="lower_bound", multiple=14, size=(28, 28))
    report = adopt(file, tmp_path / "ours.onnx", recipe)
    assert report.recipe.rule == "straight" and "squeezed" in report.notes[0]
    assert report.metadata.batch == 1
    with pytest.raises(InputError, match="takes only 28x28"):
        adopt(file, tmp_path / "ours.onnx", recipe, keep_rule=True)
    kept = adopt(file, tmp_path / "kept.onnx", recipe, 60, 60, keep_rule=True)
    assert kept.recipe.rule == "lower_bound"


def test_a_canonical_focal_length_makes_metres_of_every_camera(
    tmp_path: Path, third_party_models: Any, image: Any
) -> None:
    """Depth is the output * f * s / canonical, with s the resize to the network; as Metric3D's authors have it."""
    from space_clip_ros.config import NodeConfig
    from space_clip_ros.geometry.camera import PinholeCamera
    from space_clip_ros.perception.calibration import RectifiedView
    from space_clip_ros.perception.core import DepthCore
    from space_clip_ros.perception.frame import DepthRequest

    file = third_party_models.write(tmp_path / "theirs.onnx")
    adopt(file, tmp_path / "ours.onnx", replace(RECIPE, rule="pad", canonical_focal=1000.0))
    camera = PinholeCamera(50, 30, fx=700.0, fy=700.0, cx=25.0, cy=15.0)
    with load_predictor(tmp_path / "ours.onnx") as predict:
        (frame,) = DepthCore(predict).run([DepthRequest(image, RectifiedView(camera), NodeConfig(), ())])
        raw = predict(image)
    scale = min(28 / 30, 42 / 50)
    assert not isinstance(frame, Exception)
    # the resized image has whole pixels, so the focal length in it is known to half a pixel of 25
    np.testing.assert_allclose(frame.depth, raw * 700.0 * scale / 1000.0, rtol=0.02)


def test_what_is_missing_is_named_at_once(tmp_path: Path, third_party_models: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx")
    with pytest.raises(InputError) as caught:
        adopt(file, tmp_path / "ours.onnx", Recipe())
    assert all(option in str(caught.value) for option in ("--size", "--normalise", "--output", "--max-depth"))
    assert not (tmp_path / "ours.onnx").exists()


def test_what_cannot_be_adopted_is_refused(tmp_path: Path, third_party_models: Any) -> None:
    two = third_party_models.write(tmp_path / "two.onnx", confidence=True)
    with pytest.raises(InputError, match="--depth-output"):
        adopt(two, tmp_path / "ours.onnx", RECIPE)
    with pytest.raises(InputError, match="disparity: is not an output of"):
        adopt(two, tmp_path / "ours.onnx", replace(RECIPE, depth_output="disparity"))
    with pytest.raises(InputError, match="--set num_tokens=VALUE"):
        adopt(third_party_models.write(tmp_path / "more.onnx", constant_input=True), tmp_path / "ours.onnx", RECIPE)
    with pytest.raises(InputError, match="--channel"):
        adopt(third_party_models.write(tmp_path / "points.onnx", output="points"), tmp_path / "ours.onnx", RECIPE)
    with pytest.raises(ExportError, match="opset 10"):
        old = onnx.load(two)
        old.opset_import[0].version = 10
        onnx.save(old, tmp_path / "old.onnx")
        adopt(tmp_path / "old.onnx", tmp_path / "ours.onnx", RECIPE)
    (tmp_path / "torn.onnx").write_bytes(two.read_bytes()[:200])
    with pytest.raises(ModelError, match="cannot be read as ONNX"):
        adopt(tmp_path / "torn.onnx", tmp_path / "ours.onnx", RECIPE)
    with pytest.raises(ModelError, match="no such"):
        adopt(tmp_path / "none.onnx", tmp_path / "ours.onnx", RECIPE)
    ours = adopt(third_party_models.write(tmp_path / "one.onnx"), tmp_path / "ours.onnx", RECIPE).path
    with pytest.raises(InputError, match="already a model of this package"):
        adopt(ours, tmp_path / "again.onnx", RECIPE)


def test_a_graph_that_disagrees_is_refused_with_numbers(
    tmp_path: Path, third_party_models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that says something else on every run cannot be compared, so it is not written."""
    file = third_party_models.write(tmp_path / "theirs.onnx")
    model = onnx.load(file)
    model.graph.node[-1].output[0] = "steady"
    shape = helper.make_node("Shape", ["steady"], ["shape"])
    noise = helper.make_node("RandomUniformLike", ["steady"], ["noise"], low=0.0, high=1.0)
    model.graph.node.extend([shape, noise, helper.make_node("Add", ["steady", "noise"], ["depth"])])
    onnx.save(model, file)
    with pytest.raises(ExportError, match=r"original model by 0\.\d+ relative on average and .* more than 0.001"):
        adopt(file, tmp_path / "ours.onnx", RECIPE, batch=1)
    assert list(tmp_path.iterdir()) == [file]


def test_depth_that_is_zero_everywhere_is_refused(tmp_path: Path, third_party_models: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx")
    with pytest.raises(ExportError, match="0 everywhere"):
        adopt(file, tmp_path / "ours.onnx", replace(RECIPE, scale=-1.0))


def test_the_metadata_says_what_was_adopted(tmp_path: Path, third_party_models: Any) -> None:
    recipe = replace(RECIPE, source="somewhere", licence="MIT", training_camera=(640.0, 480.0, 500.0, 500.0))
    report = adopt(third_party_models.write(tmp_path / "theirs.onnx"), tmp_path / "ours.onnx", recipe, *SIZE)
    config = report.metadata.config
    assert isinstance(config, AdoptedConfig)
    assert (config.source, config.licence, config.training_camera) == ("somewhere", "MIT", recipe.training_camera)
    assert "42x28 straight" in config.recipe
    (cost,) = report.metadata.cost.values()
    # 3 -> 4 channels 3x3 and 4 -> 1 channels 1x1, over 28 x 42 pixels
    assert cost.operations == 2 * 28 * 42 * (4 * 27 + 4)
    assert cost.weights == 4 * 27 + 4 + 1 + 1


def test_nothing_of_the_weights_is_changed(tmp_path: Path, third_party_models: Any) -> None:
    file = third_party_models.write(tmp_path / "theirs.onnx")
    theirs = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer}
    adopt(file, tmp_path / "ours.onnx", RECIPE)
    ours = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "ours.onnx").graph.initializer
    }
    assert all((ours[f"/network/{name}"] == values).all() for name, values in theirs.items())


@pytest.mark.parametrize("size", [None, SIZE])
def test_the_graph_for_tensorrt_gives_the_same(
    tmp_path: Path, third_party_models: Any, image: Any, size: tuple[int, int] | None
) -> None:
    """Sizes become constants, and no operator is left that TensorRT does not know."""
    from space_clip_ros.export.static_graph import BYTES_NAME, static_graph
    from space_clip_ros.inference.metadata import OnnxMetadata

    recipe = replace(RECIPE, rule="lower_bound", multiple=14, interpolation="bicubic")
    file = third_party_models.write(tmp_path / "theirs.onnx")
    path = adopt(file, tmp_path / "ours.onnx", recipe, *(size or (None, None))).path
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    content = static_graph(path, OnnxMetadata.from_properties(properties, path), SIZE)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (depth,) = session.run(["depth"], {BYTES_NAME: image[None]})
    with load_predictor(path) as predict:
        np.testing.assert_allclose(depth[0], predict(image), rtol=1e-5)
    operators = {node.op_type for node in onnx.load_from_string(content).graph.node}
    assert operators <= {"Add", "Cast", "Conv", "MatMul", "Max", "Mul", "Relu", "Reshape", "Resize", "Transpose",
                         "Identity", "Shape", "Slice", "Concat"}  # fmt: skip
