"""fp16's rounding on a CPU without it, against NumPy's fp16."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from space_clip_ros.export.fp16_emulation import EmulatedSession

COLUMNS = 4


def graph(factor: float) -> onnx.ModelProto:
    """Converts the image to fp16, multiplies by ``factor`` and by its inverse, so that the rounding of fp16 shows."""
    identity = np.eye(3, dtype=np.float16)
    up, down = identity * np.float16(factor), identity / np.float16(factor)
    weights = {"up": up, "down": down, "channels": np.array([3], np.int64)}
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["pixels"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "up"], ["large"]),
        helper.make_node("MatMul", ["large", "down"], ["small"]),
        helper.make_node("Cast", ["small"], ["back"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["back", "channels"], ["depth"], keepdims=0),
    ]
    made = helper.make_graph(
        nodes,
        "trial",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 1, COLUMNS, 3])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, COLUMNS])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("factor", [3.1, 0.7, 200.0])
def test_it_rounds_as_numpy_does(factor: float) -> None:
    image = np.random.default_rng(0).integers(1, 256, (1, 1, COLUMNS, 3), dtype=np.uint8)
    session = EmulatedSession(graph(factor))
    up, down = np.float16(factor), np.float16(1) / np.float16(factor)
    large = image.astype(np.float16) * up
    expected = (large * down).astype(np.float32).sum(axis=3)
    np.testing.assert_allclose(session.run(image), expected, rtol=1e-7)
    assert session.largest == max(large.max(), image.max())
    assert not np.allclose(expected, image.astype(np.float32).sum(axis=3), rtol=1e-6), "nothing was rounded"


def test_an_overflow_that_this_machine_would_hide_is_seen() -> None:
    image = np.full((1, 1, COLUMNS, 3), 255, np.uint8)
    session = EmulatedSession(graph(300.0))
    session.run(image)
    assert session.largest == pytest.approx(255 * 300, rel=1e-3)
    assert session.largest > 65504.0


def test_the_largest_is_kept_over_runs() -> None:
    session = EmulatedSession(graph(1.0))
    for level in (200, 3):
        session.run(np.full((1, 1, COLUMNS, 3), level, np.uint8))
    assert session.largest == 200.0
