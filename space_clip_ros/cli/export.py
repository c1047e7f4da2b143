"""``space_clip export``: a checkpoint as one self-contained ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path

from space_clip_ros.cli.console import callback, progress_bar, say
from space_clip_ros.config import PRECISIONS
from space_clip_ros.inference.digest import file_sha256


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "export",
        help="write a checkpoint as one ONNX file, compared with PyTorch",
        description="Write a checkpoint as one self-contained ONNX file: uint8 RGB at the camera's size in, depth in "
        "metres at the same size out. It is compared with PyTorch before it appears.",
        epilog="example: space_clip export best.safetensors --out road.onnx --height 375 --width 1242 "
        "--images drive/image_02/data/*.png",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="checkpoint file to export")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx", help="file to write")
    parser.add_argument(
        "--height",
        type=_positive,
        metavar="H",
        help="height of every image, pixels; without both sizes any will do",
    )
    parser.add_argument("--width", type=_positive, metavar="W", help="width of every image, pixels")
    parser.add_argument(
        "--batch",
        type=_positive,
        metavar="N",
        help="images of every run (default: any number, or 1 with --height and --width)",
    )
    parser.add_argument(
        "--precision",
        choices=[precision for precision in PRECISIONS if precision != "auto"],
        default="fp32",
        help="number format (default: %(default)s)",
    )
    parser.add_argument(
        "--images", type=Path, nargs="+", default=[], metavar="IMAGE", help="real pictures to compare on as well"
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Export, and say what came of it.

    Raises:
        SpaceClipError: the checkpoint or a picture cannot be read, or the export failed its comparison.
    """
    if (args.height is None) != (args.width is None):
        args.parser.error("give both --height and --width (one image size), or neither (any size)")

    from space_clip_ros.export.onnx import export
    from space_clip_ros.geometry.image_file import read_rgb
    from space_clip_ros.model import load_checkpoint

    images = [read_rgb(file) for file in args.images]
    model = load_checkpoint(args.checkpoint)
    with progress_bar(0, "comparing with PyTorch") as bar:
        report = export(
            model,
            args.out,
            args.height,
            args.width,
            args.batch,
            args.precision,
            images=images,
            source_sha256=file_sha256(args.checkpoint),
            progress=callback(bar),
        )
    size = "any size" if args.height is None else f"{args.width} x {args.height} pixels"
    difference = report.difference
    metadata = report.metadata
    batch = "any batch" if metadata.batch is None else f"batch {metadata.batch}"
    say(f"{report.path}: {metadata.config.name}, {size}, {batch}, {metadata.precision}, {report.bytes / 1e6:.1f} MB")
    say(
        f"largest difference from PyTorch on {difference.images} images: {difference.relative:.2g} relative, "
        f"{difference.absolute:.2g} m"
    )
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return int(text)
