"""Exports of models with adapters and cross-attention, compared with the model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import torch

from space_clip_ros.export.onnx import export
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.adapters import adapter_parameters
from space_clip_ros.model_config import ADAPTED, AdapterConfig


def test_merged_adapters_are_compared_with_the_model_that_has_them(model: SpaceClip, tmp_path: Path) -> None:
    plain_encoder = model.config.encoder
    encoder = dataclasses.replace(plain_encoder, adapters=AdapterConfig(rank=2, targets=ADAPTED))
    adapted = build(dataclasses.replace(model.config, encoder=encoder))
    adapted.load_state_dict(model.state_dict(), strict=False)
    torch.manual_seed(5)
    for parameter in adapter_parameters(adapted.encoder.tower).values():
        parameter.data.normal_(0.0, 0.1)
    before = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    images = synthetic_images(30, 50)
    report = export(adapted, tmp_path / "adapted.onnx", 30, 50, images=images)
    assert report.proof.difference.relative < 1e-3
    assert all(torch.equal(tensor, before[name]) for name, tensor in adapted.state_dict().items())
    # the graph is as large as without adapters
    plain = export(model, tmp_path / "plain.onnx", 30, 50)
    assert _operators(report.path) == _operators(plain.path)
    assert _weights(report.path) == _weights(plain.path)


def _operators(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(file).graph.node]


def _weights(file: Path) -> int:
    return sum(int(np.prod(tensor.dims)) for tensor in onnx.load(file).graph.initializer)


def test_cross_attention_is_exported(model: SpaceClip, tmp_path: Path) -> None:
    decoder = dataclasses.replace(model.config.decoder, fusion="cross_attention", attention_heads=2)
    attending = build(dataclasses.replace(model.config, decoder=decoder))
    attending.load_state_dict(model.state_dict(), strict=False)
    torch.manual_seed(5)
    for parameter in attending.decoder.cross_attention.parameters():
        parameter.data.normal_(0.0, 0.3)
    for size in ((30, 50), (None, None)):
        assert export(attending, tmp_path / "attending.onnx", *size).proof.difference.relative < 1e-3
