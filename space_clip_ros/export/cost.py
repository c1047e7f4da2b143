"""Counts the operations and weights of a network, which ``space_clip benchmark`` compares run times with.

The counts are stored in every exported file. ``python -m space_clip_ros.export.cost FILE.onnx`` adds them to files
exported before; the graph and its checksum stay as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from space_clip_ros.config import AdapterConfig, ModelConfig
from space_clip_ros.errors import ModelError
from space_clip_ros.files import write_whole
from space_clip_ros.inference.metadata import DECODER, ENCODER, OnnxMetadata, StageCost
from space_clip_ros.model import SpaceClip

_NORMS = (nn.LayerNorm, nn.BatchNorm2d)


def network_cost(config: ModelConfig) -> dict[str, StageCost]:
    """Count one image's operations, and the weights, of the encoder and of the decoder with its heads.

    The model is the method's own, whatever an export makes cheaper: adapters merged, no auxiliary heads. Norms,
    activations and gates are left out; they are under one percent. Nothing is computed, only shapes are followed.
    """
    config = replace(config, encoder=replace(config.encoder, adapters=AdapterConfig()))
    with torch.device("meta"):
        model = SpaceClip(config).eval()
        image = torch.empty(1, 3, *config.input_size)
    # The counter does not know every fused attention; written out as matrix products it is counted on any PyTorch.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.encoder(image)
        encoder = counter.get_total_flops()
        model(image, auxiliary=False)
        decoder = counter.get_total_flops() - 2 * encoder
    heads = [head for name, head in model.named_children() if name.endswith("_head")]
    return {
        ENCODER: StageCost(encoder, _weights(model.encoder)),
        DECODER: StageCost(decoder, _weights(model.decoder) + sum(map(_weights, heads))),
    }


def add_cost(file: Path) -> None:
    """Store the counts in a file that was exported without them.

    Raises:
        ModelError: the file is not one of ours, or an adopted one.
        DataError: it cannot be written.
    """
    # Imported here because counting, which a benchmark of a checkpoint does, needs no onnx.
    import onnx

    model = onnx.load(file)
    metadata = OnnxMetadata.from_properties({entry.key: entry.value for entry in model.metadata_props}, file)
    if not isinstance(metadata.config, ModelConfig):
        raise ModelError(file, "is an adopted model, whose cost was counted when it was adopted", "adopt it again")
    metadata = replace(metadata, cost=network_cost(metadata.config))
    onnx.helper.set_model_props(model, metadata.to_properties())
    write_whole(file, model.SerializeToString())


def _weights(module: nn.Module) -> int:
    layers = (layer for layer in module.modules() if not isinstance(layer, _NORMS))
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters(recurse=False))


def main(arguments: Sequence[str] | None = None) -> int:
    """Add the counts to each file of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m space_clip_ros.export.cost",
        description="Store how many operations a model takes in a file exported before 'space_clip export' did so.",
        epilog="example: python -m space_clip_ros.export.cost models/road_tiny.onnx",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.onnx", help="exported files, changed in place")
    for file in parser.parse_args(arguments).files:
        add_cost(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
