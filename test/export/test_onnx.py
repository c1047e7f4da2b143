"""Exported files: their content, their comparison with PyTorch, and that failures leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export import onnx as exporter
from space_clip_ros.export.onnx import ExportReport, export
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.image_to_depth import ImageToDepth

ONLY_AT_ANY_SIZE = {"Shape", "Range", "Floor", "Where", "Less", "ConstantOfShape"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def any_size(model: SpaceClip, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return export(model, tmp_path_factory.mktemp("any") / "any.onnx", source_sha256="ab" * 32)


@pytest.fixture(scope="module")
def fixed(model: SpaceClip, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    real = np.random.default_rng(5).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    return export(model, tmp_path_factory.mktemp("fixed") / "fixed.onnx", 60, 100, batch=2, images=[real])


def operators(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(file).graph.node]


def optimised(file: Path, folder: Path, **free: int) -> list[str]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    for name, size in free.items():
        options.add_free_dimension_override_by_name(name, size)
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return operators(folder / "optimised.onnx")


def shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def test_any_size_has_symbolic_axes(any_size: ExportReport) -> None:
    graph = onnx.load(any_size.path).graph
    assert [(value.name, shape(value)) for value in (*graph.input, *graph.output)] == [
        ("image", ["batch", "height", "width", 3]),
        ("depth", ["batch", "height", "width"]),
    ]


def test_fixed_size_has_static_shapes_and_plain_operators(fixed: ExportReport) -> None:
    loaded = onnx.load(fixed.path)
    onnx.checker.check_model(loaded, full_check=True)
    assert shape(loaded.graph.input[0]) == [2, 60, 100, 3]
    assert shape(loaded.graph.output[0]) == [2, 60, 100]
    assert not ONLY_AT_ANY_SIZE & set(operators(fixed.path))
    assert [(opset.domain, opset.version) for opset in loaded.opset_import] == [("", 17)]
    assert all(node.domain == "" for node in loaded.graph.node)
    assert not any(tensor.external_data for tensor in loaded.graph.initializer)


def test_batch_norms_are_merged(fixed: ExportReport) -> None:
    assert "BatchNormalization" not in operators(fixed.path)


def test_known_sizes_turn_the_resize_into_constants(any_size: ExportReport, tmp_path: Path) -> None:
    loose, folded = (
        optimised(any_size.path, tmp_path, **free) for free in ({}, {"batch": 1, "height": 60, "width": 100})
    )
    assert set(loose) >= ONLY_AT_ANY_SIZE
    assert not ONLY_AT_ANY_SIZE & set(folded)


def test_a_known_batch_leaves_the_graph_that_is_exported_for_it(
    any_size: ExportReport, model: SpaceClip, tmp_path: Path
) -> None:
    for batch in (1, 2):
        own = export(model, tmp_path / "own.onnx", 60, 100, batch=batch)
        known = optimised(any_size.path, tmp_path, batch=batch, height=60, width=100)
        assert sorted(known) == sorted(optimised(own.path, tmp_path))


@pytest.mark.parametrize("size", [(1, 60, 100), (3, 200, 33), (5, 1, 1)])
def test_any_size_computes_the_model_at_sizes_it_was_not_tried_on(
    any_size: ExportReport, model: SpaceClip, size: tuple[int, int, int]
) -> None:
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(any_size.path), providers=["CPUExecutionProvider"])
    (depth,) = session.run(["depth"], {"image": image})
    with torch.inference_mode():
        expected = ImageToDepth(model)(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(depth, expected, rtol=1e-4, atol=1e-4)


def test_metadata(any_size: ExportReport, fixed: ExportReport) -> None:
    stored = {entry.key: entry.value for entry in onnx.load(any_size.path).metadata_props}
    assert stored == any_size.metadata.to_properties()
    assert stored["space_clip.format_version"] == "1" and stored["space_clip.name"] == "tiny"
    assert stored["space_clip.source_sha256"] == "ab" * 32
    assert (stored["space_clip.height"], stored["space_clip.width"], stored["space_clip.batch"]) == ("", "", "")
    assert float(stored["space_clip.max_difference"]) == pytest.approx(any_size.proof.difference.relative, rel=0.01)
    assert "torch" in stored["space_clip.created_with"]
    assert fixed.metadata.size == (60, 100) and fixed.metadata.batch == 2


def test_the_report(fixed: ExportReport) -> None:
    assert fixed.proof.difference.images == 4  # three made up, one given
    assert 0 <= fixed.proof.difference.relative < 1e-4
    assert fixed.bytes == fixed.path.stat().st_size


def test_nothing_of_this_machine_is_in_the_file(any_size: ExportReport) -> None:
    content = any_size.path.read_bytes()
    assert b".py" not in content and str(Path.home()).encode() not in content
    assert [path.name for path in any_size.path.parent.iterdir()] == ["any.onnx"]


def test_progress_reaches_the_end(model: SpaceClip, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    export(model, tmp_path / "a.onnx", 40, 40, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_model_stays_as_it_was(model: SpaceClip, tmp_path: Path) -> None:
    training = build(model.config).train()
    training.load_state_dict(model.state_dict())
    before = {name: tensor.clone() for name, tensor in training.state_dict().items()}
    export(training, tmp_path / "a.onnx", 40, 40)
    assert training.training
    for name, tensor in training.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, msg=name)


def test_a_wrong_export_is_refused_and_leaves_the_old_file(
    model: SpaceClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"old")
    traced = exporter._traced

    def slightly_wrong(*arguments: object, **options: object) -> onnx.ModelProto:
        graph = traced(*arguments, **options)
        bias = next(
            tensor for tensor in graph.graph.initializer if tensor.name.endswith("depth_head.depth.blocks.bias")
        )
        wrong = onnx.numpy_helper.to_array(bias) * np.float32(1.05)
        bias.CopyFrom(onnx.numpy_helper.from_array(wrong, bias.name))
        return graph

    monkeypatch.setattr(exporter, "_traced", slightly_wrong)
    with pytest.raises(ExportError, match=r"a\.onnx: not written, as ONNX Runtime differs from PyTorch by 0\.\d+ "):
        export(model, path, 40, 40)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("bias", "message"), [(-1e6, "0 m everywhere"), (float("nan"), "not finite")])
def test_depth_that_proves_nothing_is_refused(model: SpaceClip, tmp_path: Path, bias: float, message: str) -> None:
    broken = build(model.config)
    with torch.no_grad():
        broken.depth_head.depth.bias.fill_(bias)
    with pytest.raises(ExportError, match=message):
        export(broken, tmp_path / "a.onnx", 40, 40)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 10}, "both height and width or neither, got height 10 and width None"),
        ({"height": 0, "width": 5}, "at least 1 x 1 pixel"),
        ({"batch": 0}, "batch: must be at least 1, got 0"),
        ({"images": [np.zeros((4, 4), np.uint8)]}, r"must have shape \(H, W, 3\)"),
    ],
)
def test_wrong_arguments(model: SpaceClip, tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a.onnx", **arguments)


def test_a_folder_that_is_not_there(model: SpaceClip, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be written"):
        export(model, tmp_path / "missing" / "a.onnx", 40, 40)


def test_a_model_too_large_for_one_file(model: SpaceClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "LARGEST_FILE", 1000)
    with pytest.raises(ExportError, match="over 2 GB"):
        export(model, tmp_path / "a.onnx", 40, 40)
