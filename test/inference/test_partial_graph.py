"""What is cut out of a file is a whole model that gives the same, and less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from space_clip_ros.inference.partial_graph import partial_graph


def run(model: bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": image}), strict=True))


@pytest.mark.parametrize("name", ["road_tiny", "road_tiny_int8"])
def test_the_bundled_models_without_names_give_the_same_depth(name: str, project_root: Path) -> None:
    whole = (project_root / "models" / f"{name}.onnx").read_bytes()
    cut = partial_graph(whole, ["uncertainty", "depth"])
    image = np.random.default_rng(0).integers(0, 255, (1, 60, 90, 3), np.uint8)
    all_of_it, less = run(whole, image), run(cut, image)
    assert sorted(all_of_it) == ["dense", "depth", "uncertainty"] and sorted(less) == ["depth", "uncertainty"]
    for output, values in less.items():
        np.testing.assert_allclose(values, all_of_it[output], rtol=1e-5)
    before, after = onnx.load_from_string(whole), onnx.load_from_string(cut)
    onnx.checker.check_model(after)
    names = {node.name for node in after.graph.node}
    assert names < {node.name for node in before.graph.node} and not any(
        "language_head" in node_name for node_name in names
    )
    assert len(after.graph.initializer) < len(before.graph.initializer)
    assert list(after.metadata_props) == list(before.metadata_props)


def test_everything_kept_is_the_same_file_node_by_node(project_root: Path) -> None:
    whole = (project_root / "models" / "road_tiny.onnx").read_bytes()
    before, after = (
        onnx.load_from_string(data) for data in (whole, partial_graph(whole, ["depth", "dense", "uncertainty"]))
    )
    assert [node.name for node in after.graph.node] == [node.name for node in before.graph.node]


def test_what_is_no_such_graph_is_refused(project_root: Path) -> None:
    whole = (project_root / "models" / "road_tiny.onnx").read_bytes()
    with pytest.raises(ValueError, match="the graph has no output embedding, sound"):
        partial_graph(whole, ["depth", "sound", "embedding"])
    for damaged in (whole[: len(whole) // 2], b"\x0b", b"\xff"):
        with pytest.raises(ValueError, match=r"ends too early|unknown wire type"):
            partial_graph(damaged, ["depth"])
