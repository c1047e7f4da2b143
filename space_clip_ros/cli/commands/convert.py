"""``space_clip convert``: writes a checkpoint as ours; if asked to, at half the size or with its depth multiplied."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from space_clip_ros.cli.console import say
from space_clip_ros.cli.options import add_setting, check_model_out
from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import ConfigError
from space_clip_ros.files import file_sha256, reading


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand and its options."""
    parser = subparsers.add_parser(
        "convert",
        help="convert a checkpoint of the reference implementation, or store one in half the space",
        description="Read a checkpoint of the reference implementation (.pt) or of this package, and write one "
        "safetensors file that carries its configuration. The file is then read back and compared with the checkpoint.",
        epilog="example: space_clip convert best.pt --out space_clip_kitti.safetensors",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the reference's checkpoint, or ours")
    parser.add_argument("--out", type=Path, required=True, metavar="OURS.safetensors", help="file to write")
    parser.add_argument(
        "--encoder",
        type=Path,
        metavar="SETTINGS.json",
        help="encoder settings (kind, width, layers, heads, mlp_ratio, patch_size, image_size, activation, "
        "layer_norm_eps, or tower: open_clip's name of a model), which the reference's files do not carry; default "
        "ViT-B/16",
    )
    parser.add_argument(
        "--decoder",
        type=Path,
        metavar="SETTINGS.json",
        help="decoder settings that the reference's files do not carry: semantic_states and structural_states, or "
        "main_path_indices and structural_path_indices; default the reference's own",
    )
    parser.add_argument(
        "--weights",
        choices=("model", "ema"),
        default="model",
        help="the trained weights, or their moving average if the file holds one (default: %(default)s)",
    )
    add_setting(
        parser,
        NodeConfig,
        "depth_scale",
        metavar="F",
        help="multiply the depth that the model predicts by F, if all of it comes out too near or too far "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="store the weights in fp16, for half the size; they are read as float32 and can be trained further",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Convert the checkpoint, read the result back, compare the two, and print the outcome.

    Raises:
        ConfigError: a file of settings cannot be used.
        ModelError: the checkpoint cannot be read, or the result cannot be written or differs when read back.
    """
    check_model_out(args, args.checkpoint, ".safetensors")

    from space_clip_ros.model import load_checkpoint, save_checkpoint
    from space_clip_ros.model.checkpoint import round_to_half, verify_checkpoint

    encoder, decoder = (_settings(file, part) for file, part in ((args.encoder, "encoder"), (args.decoder, "decoder")))
    model = load_checkpoint(args.checkpoint, encoder, decoder, weights=args.weights)
    for head in (model.depth_head, *model.auxiliary_heads):
        head.scale(args.depth_scale)
    if args.half:
        round_to_half(model)
    notes = {"source": args.checkpoint.name, "source_sha256": file_sha256(args.checkpoint), "weights": args.weights}
    if args.depth_scale != 1.0:
        notes["depth_scale"] = f"{args.depth_scale:g}"
    save_checkpoint(model, args.out, notes, half=args.half)
    compared = verify_checkpoint(model, args.out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(f"{args.out}: {parameters:,} parameters; read back, {compared} tensors and one output are the same")
    return 0


def _settings(path: Path | None, part: str) -> dict[str, Any] | None:
    if path is None:
        return None
    with reading(path, ConfigError, "give a JSON file of settings"):
        content = path.read_bytes()
    try:
        values = json.loads(content)
    except ValueError as error:
        raise ConfigError(path, f"is not valid JSON ({error})") from error
    if isinstance(values, dict) and part in values:
        values = values[part]
    if not isinstance(values, dict):
        raise ConfigError(path, f"must hold a mapping of {part} settings, not a {type(values).__name__}")
    return values
