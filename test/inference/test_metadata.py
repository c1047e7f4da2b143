"""Metadata of exported files: written, read back, and rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import ModelError
from space_clip_ros.inference.metadata import OnnxMetadata, StageCost
from space_clip_ros.model_config import EncoderConfig, ModelConfig

FILE = Path("model.onnx")


@pytest.mark.parametrize(
    "metadata",
    [
        OnnxMetadata(ModelConfig()),
        OnnxMetadata(
            ModelConfig(name="other", encoder=EncoderConfig(width=64, heads=4), training_camera=(1.0, 2.0, 3.0, 4.0)),
            precision="fp16",
            size=(375, 1242),
            batch=None,
            source_sha256="00ff",
            max_difference=1.25e-5,
            max_difference_m=0.002,
            created_with="something 1.0",
            mean_difference=0.00123,
            drive="drive_9001, 16 + 8 frames",
            abs_rel=(0.165, 0.1651),
            largest_fp16=1234.5,
            graph_sha256="11aa",
            cost={"encoder": StageCost(35_126_120_448, 85_759_488), "decoder": StageCost(10, 2)},
        ),
    ],
)
def test_round_trip(metadata: OnnxMetadata) -> None:
    assert OnnxMetadata.from_properties(metadata.to_properties(), FILE) == metadata


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space_clip.format_version": "2"}, "has format version 2, this package reads 1"),
        ({"space_clip.height": "high"}, "metadata is damaged"),
        ({"space_clip.config": "{"}, "metadata is damaged"),
        ({"space_clip.cost": '{"encoder": {"operations": 1}}'}, r"damaged \('weights' is missing\)"),
        ({"space_clip.config": '{"encoder": {"width": -1}}'}, r"damaged \(config: encoder.width: must be at least 1"),
        ({"space_clip.graph_sha256": None}, r"damaged \('graph_sha256' is missing\)"),
        ({"space_clip.precision": None}, r"damaged \('precision' is missing\)"),
        ({"space_clip.format_version": None}, r"an ONNX file without the space_clip\.\* metadata"),
    ],
)
def test_refused(change: dict[str, str | None], message: str) -> None:
    properties = {**OnnxMetadata(ModelConfig()).to_properties(), **change}
    with pytest.raises(ModelError, match=rf"^model\.onnx: .*{message}"):
        OnnxMetadata.from_properties({key: value for key, value in properties.items() if value is not None}, FILE)
