"""The graph that an engine is built from: one size, bytes converted first, the same depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.int8 import to_int8
from space_clip_ros.export.onnx import _traced, export
from space_clip_ros.export.simplify import with_merged_adapters
from space_clip_ros.export.static_graph import BYTES_NAME, static_graph
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.inference.metadata import INPUT_NAME, OnnxMetadata
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.model import SpaceClip

# What TensorRT 8.6's parser reads (onnx-tensorrt, docs/operators.md of release/8.6-GA), as far as exports use it.
TENSORRT_8_6 = """
    Add AveragePool Cast Clip Concat Conv ConvTranspose DepthToSpace Div Erf Exp Expand Gather Gemm LayerNormalization
    Log MatMul Mul ReduceL2 Relu Reshape Resize Sigmoid Slice Softmax Split Squeeze Sub Transpose Unsqueeze
"""


@pytest.fixture(scope="module")
def files(model: SpaceClip, tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    paths = {name: folder / f"{name}.onnx" for name in ("any", "fixed", "pair")}
    paths["half"] = project_root / "models" / "road_tiny_fp16.onnx"
    export(model, paths["any"])
    export(model, paths["fixed"], 60, 100)
    export(model, paths["pair"], 60, 100, batch=2)
    return paths


def metadata(file: Path) -> OnnxMetadata:
    return OnnxSessions(file).metadata


@pytest.mark.parametrize("name", ["any", "half", "fixed"])
def test_the_same_depth_bit_for_bit(files: dict[str, Path], name: str) -> None:
    content = static_graph(files[name], metadata(files[name]), (60, 100))
    image = np.random.default_rng(0).integers(0, 256, (1, 60, 100, 3), dtype=np.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (depth,) = session.run(["depth"], {BYTES_NAME: image})
    np.testing.assert_array_equal(depth, OnnxSessions(files[name], threads=1).run(image))


@pytest.mark.parametrize("name", ["any", "half", "fixed"])
def test_tensorrt_can_read_it(files: dict[str, Path], name: str) -> None:
    graph = onnx.load_model_from_string(static_graph(files[name], metadata(files[name]), (60, 100)))
    onnx.checker.check_model(graph, full_check=True)
    (image,), (depth, *_) = graph.graph.input, graph.graph.output
    assert (image.name, image.type.tensor_type.elem_type) == (BYTES_NAME, onnx.TensorProto.UINT8)
    assert [size.dim_value for size in image.type.tensor_type.shape.dim] == [1, 60, 100, 3]
    assert [size.dim_value for size in depth.type.tensor_type.shape.dim] == [1, 60, 100]
    assert [node.op_type for node in graph.graph.node if BYTES_NAME in node.input] == ["Cast"]
    assert [opset.domain for opset in graph.opset_import] == [""]
    assert {node.op_type for node in graph.graph.node} <= set(TENSORRT_8_6.split())
    modes = {
        attribute.s
        for node in graph.graph.node
        for attribute in node.attribute
        if node.op_type == "Resize" and attribute.name == "coordinate_transformation_mode"
    }
    assert modes <= {b"half_pixel", b"pytorch_half_pixel", b"asymmetric", b"align_corners"}


@pytest.mark.parametrize("name", ["any", "half"])
def test_nothing_depends_on_shapes_at_run_time(files: dict[str, Path], name: str) -> None:
    graph = onnx.load_model_from_string(static_graph(files[name], metadata(files[name]), (60, 100)))
    assert not {node.op_type for node in graph.graph.node} & {"Shape", "Range", "Where", "ConstantOfShape", "NonZero"}


def test_the_bundled_fp16_file_keeps_its_types(project_root: Path) -> None:
    file = project_root / "models" / "road_tiny_fp16.onnx"
    before = onnx.load(file).graph
    graph = onnx.load_model_from_string(static_graph(file, metadata(file), (90, 300)))
    onnx.checker.check_model(graph, full_check=True)
    assert not any(dim.dim_param for output in graph.graph.output for dim in output.type.tensor_type.shape.dim)
    products = {node.name: list(node.input) for node in before.node if node.op_type in ("Conv", "Gemm", "MatMul")}
    assert len(products) == 156
    # the same products of the same values: nothing was merged, moved or converted
    after = {node.name: list(node.input) for node in graph.graph.node}
    assert {name: after[name] for name in products} == products
    weights = {tensor.name: tensor.data_type for tensor in before.initializer}
    assert all(weights.get(tensor.name, tensor.data_type) == tensor.data_type for tensor in graph.graph.initializer)


def test_refusals(files: dict[str, Path]) -> None:
    with pytest.raises(
        InputError, match=r"of 100 x 60 pixels, not 70 x 50; export it again with --height 50 --width 70"
    ):
        static_graph(files["fixed"], metadata(files["fixed"]), (50, 70))
    with pytest.raises(InputError, match="takes 2 images at once, an engine takes one"):
        static_graph(files["pair"], metadata(files["pair"]), (60, 100))


@pytest.mark.parametrize("symmetric", [True, False])
def test_only_symmetric_int8_is_taken(model: SpaceClip, tmp_path: Path, symmetric: bool) -> None:
    size, file = (60, 100), tmp_path / "int8.onnx"
    images = synthetic_images(*size)
    quantised = to_int8(_traced(with_merged_adapters(model), size, 1, bands=1), images, size, 1, symmetric)
    onnx.save(quantised, file)
    facts = OnnxMetadata(model.config, precision="int8", size=size)
    if symmetric:
        content = static_graph(file, facts, size)
        graph = onnx.load_model_from_string(content)
        onnx.checker.check_model(graph, full_check=True)
        known = {*TENSORRT_8_6.split(), "QuantizeLinear", "DequantizeLinear"}
        assert {node.op_type for node in graph.graph.node} <= known
        before, after = (
            onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"]).run(None, {name: images[0][None]})
            for written, name in ((str(file), INPUT_NAME), (content, BYTES_NAME))
        )
        np.testing.assert_array_equal(after[0], before[0])
    else:
        with pytest.raises(
            InputError,
            match=r"quantised for CPUs, .* int8 only; export it again with .*--width 100 --precision int8 --symmetric",
        ):
            static_graph(file, facts, size)


@pytest.mark.parametrize("kept", [10, 5000])
def test_half_a_file(files: dict[str, Path], tmp_path: Path, kept: int) -> None:
    half = tmp_path / "half.onnx"
    half.write_bytes(files["fixed"].read_bytes()[:kept])
    with pytest.raises(ExportError, match=r"half\.onnx: is not a whole ONNX file; export it again"):
        static_graph(half, metadata(files["fixed"]), (60, 100))
