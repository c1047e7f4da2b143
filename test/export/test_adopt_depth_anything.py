"""Depth Anything V2's architecture from transformers, with random weights, against running it by hand in PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from space_clip_ros.export.adopt import adopt
from space_clip_ros.export.presets import preset
from space_clip_ros.inference import load_predictor

transformers = pytest.importorskip(
    "transformers", reason="needs transformers, for CPython 3.11 or newer: pip install transformers"
)

SIZE = (94, 312)
NETWORK = (56, 56)


class _OnlyDepth(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values).predicted_depth


@pytest.fixture(scope="module")
def network() -> Any:
    """The Small architecture, with 4 blocks of width 24 in place of 12 of 384."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=518, patch_size=14,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=24, neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8,
        head_hidden_size=8, depth_estimation_type="metric", max_depth=80,
    )  # fmt: skip
    config._attn_implementation = "eager"
    model = transformers.DepthAnythingForDepthEstimation(config).eval()
    with torch.no_grad():
        # as initialised, depth would be the same everywhere, and comparing it would prove nothing
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                weights.mul_(6.0 if name.startswith(("neck", "head")) else 3.0)
        model.head.conv3.weight.mul_(60.0)
    return _OnlyDepth(model)


def exported(network: Any, file: Path, rows: int, columns: int) -> Path:
    with torch.inference_mode(), pytest.warns():
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, rows, columns),),
            file,
            opset_version=17,
            dynamo=False,
            input_names=["pixel_values"],
            output_names=["predicted_depth"],
        )
    return file


def test_depth_is_that_of_the_authors_way_in_pytorch(network: Any, tmp_path: Path) -> None:
    """The authors resize in floating point with OpenCV, normalise, run, and resize back with corners aligned."""
    recipe = preset("depth_anything_v2_metric_outdoor").recipe
    rows, columns = 56, 182  # 94 x 312 with its shape kept, 56 on its shorter side, in multiples of 14
    file = exported(network, tmp_path / "theirs.onnx", rows, columns)
    ours = adopt(file, tmp_path / "ours.onnx", replace(recipe, size=NETWORK), *SIZE, keep_rule=True)
    assert ours.recipe.rule == "lower_bound" and ours.recipe.network_size.content(*SIZE) == (rows, columns)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    small = cv2.resize(image / 255.0, (columns, rows), interpolation=cv2.INTER_CUBIC)
    pixels = (small - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    with torch.inference_mode():
        depth = network(torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float())[:, None]
        depth = torch.nn.functional.interpolate(depth, SIZE, mode="bilinear", align_corners=True)[0, 0].numpy()
    with load_predictor(ours.path) as predict:
        prediction = predict(image)
        info = predict.info
    assert depth.std() > 0.05 * depth.mean() > 0
    np.testing.assert_allclose(prediction, depth, rtol=1e-4)
    assert (info.max_depth, info.metric) == (80.0, True)
    # the training camera at this size: seen at the same focal length in the network's pixels
    trained = info.trained_for(SIZE[1], SIZE[0])
    assert trained is not None
    assert trained[2] * columns / SIZE[1] == pytest.approx(725.0087 * (56 / 375), rel=0.02)


def test_a_file_of_one_square_size_squeezes_the_image(network: Any, tmp_path: Path) -> None:
    file = exported(network, tmp_path / "theirs.onnx", *NETWORK)
    report = adopt(file, tmp_path / "ours.onnx", preset("depth_anything_v2_metric_indoor").recipe)
    assert report.recipe.rule == "straight" and report.notes
    assert report.proof.mean < 1e-5
    cost = report.metadata.cost["network"]
    assert cost.weights == pytest.approx(sum(parameter.numel() for parameter in network.parameters()), rel=0.15)
