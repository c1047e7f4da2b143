"""``space_clip export``: a checkpoint as one self-contained ONNX file, or compiled by PyTorch for one machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from space_clip_ros.cli.console import callback, progress_bar, say
from space_clip_ros.cli.options import add_clip_options, check_image_size, check_model_out, positive, refuse_options
from space_clip_ros.config import PRECISIONS
from space_clip_ros.files import file_sha256
from space_clip_ros.model_config import LANGUAGE_OUTPUTS

if TYPE_CHECKING:
    from space_clip_ros.export.precision import Proof


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "export",
        help="write a checkpoint, or CLIP's text tower, as one ONNX file, compared with PyTorch",
        description="Write a checkpoint as one self-contained ONNX file: uint8 RGB at the camera's size in, depth in "
        "metres at the same size out. The file appears only after it has been compared with PyTorch. fp16 is for "
        "engines on GPUs. int8 is calibrated on a drive's frames, and kept only if abs_rel on other frames changes by "
        "less than 1 %; it is for CPUs, or with --symmetric for TensorRT. Language features are judged by themselves. "
        "A FILE that ends in .pt2 is compiled by PyTorch for this machine's GPU, or else its processor, and for images "
        "of one size; backend torch runs it without a compiler, on machines like this one. "
        "With --text, CHECKPOINT is a CLIP, and the file is its text tower, which makes queries on a robot without "
        "PyTorch.",
        epilog="example: space_clip export best.safetensors --out road.onnx --height 375 --width 1242 "
        "--images drive/image_02/data/*.png; space_clip export best.safetensors --out road_int8.onnx --precision int8 "
        "--drive kitti/2011_09_26/2011_09_26_drive_0005_sync; space_clip export openai --text --out text.onnx",
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="checkpoint file to export; with --text a CLIP, as for --clip",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write, .onnx or .pt2")
    parser.add_argument(
        "--height",
        type=positive,
        metavar="H",
        help="height of every image, pixels; without height and width an .onnx file takes any size",
    )
    parser.add_argument("--width", type=positive, metavar="W", help="width of every image, pixels")
    parser.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="images per run (default: any number, or 1 with --height and --width)",
    )
    parser.add_argument(
        "--precision",
        choices=[precision for precision in PRECISIONS if precision != "auto"],
        default="fp32",
        help="number format (default: %(default)s)",
    )
    parser.add_argument(
        "--symmetric",
        action="store_true",
        help="symmetric int8, which TensorRT needs (default: with a zero point, which is faster on CPUs)",
    )
    parser.add_argument(
        "--images", type=Path, nargs="+", default=[], metavar="IMAGE", help="real images to compare on as well"
    )
    parser.add_argument(
        "--drive",
        type=Path,
        metavar="DIR",
        help="KITTI raw or synthetic drive with depth: its first frames calibrate int8, the last sixth judge the file",
    )
    parser.add_argument(
        "--outputs",
        nargs="+",
        choices=("depth", *LANGUAGE_OUTPUTS),
        metavar="NAME",
        help="what the file gives: depth, embedding (one vector for the image), dense (one for each patch); depth "
        "always (default: everything that the model has)",
    )
    parser.add_argument(
        "--clip",
        metavar="CLIP",
        help="the CLIP whose frozen tower the checkpoint has, for language features that it was saved without: "
        "openai, another name or file that open_clip knows",
    )
    parser.add_argument(
        "--queries",
        type=Path,
        metavar="FILE.safetensors",
        help="judge language features by what they label with these queries of 'space_clip text'",
    )
    parser.add_argument("--text", action="store_true", help="export the text tower of a CLIP instead of a checkpoint")
    add_clip_options(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Export a checkpoint and report the file and its difference from PyTorch.

    Raises:
        SpaceClipError: the checkpoint, an image or the drive cannot be read, or the export failed its comparison.
    """
    check_image_size(args)
    if args.text:
        of_a_checkpoint = ("height", "width", "batch", "precision", "images", "drive", "outputs", "clip", "queries")
        refuse_options(args, "no effect with --text", *of_a_checkpoint)
    else:
        refuse_options(args, "no effect without --text", "templates", "clip_settings")
    if args.precision != "int8":
        refuse_options(args, "no effect without --precision int8", "symmetric")
    if args.precision == "int8" and not args.drive:
        args.parser.error("--precision int8 needs --drive, a KITTI raw drive or one of 'space_clip synthesize'")
    check_model_out(args, args.checkpoint, ".onnx", *(() if args.text else (".pt2",)))
    if args.text:
        return _run_text(args)

    from space_clip_ros.cli.drive_evidence import drive_evidence
    from space_clip_ros.data.kitti_raw_frames import open_raw_drives
    from space_clip_ros.export.onnx import export
    from space_clip_ros.geometry.image_file import read_rgb
    from space_clip_ros.language.queries import QuerySet
    from space_clip_ros.model import load_checkpoint
    from space_clip_ros.model.joint_space import with_joint_space
    from space_clip_ros.training_config import SourceConfig

    images = [read_rgb(file) for file in args.images]
    queries = None if args.queries is None else QuerySet.read(args.queries)
    if args.drive is not None:
        open_raw_drives(SourceConfig(path=str(args.drive)))
    model = load_checkpoint(args.checkpoint)
    if args.clip is not None:
        model = with_joint_space(model, args.clip)
    evidence = None if args.drive is None else drive_evidence(args.drive, model.config)
    with progress_bar(0, "comparing with PyTorch") as bar:
        report = export(
            model,
            args.out,
            args.height,
            args.width,
            args.batch,
            args.precision,
            symmetric=args.symmetric,
            images=images,
            evidence=evidence,
            source_sha256=file_sha256(args.checkpoint),
            progress=callback(bar),
            outputs=args.outputs,
            queries=queries,
        )
    size = "any size" if args.height is None else f"{args.width} x {args.height} pixels"
    metadata = report.metadata
    batch = "any batch" if metadata.batch is None else f"batch {metadata.batch}"
    say(f"{report.path}: {metadata.config.name}, {size}, {batch}, {metadata.precision}, {report.bytes / 1e6:.1f} MB")
    if report.target:
        say(f"compiled for {report.target}")
    for line in _proof_lines(report.proof):
        say(line)
    return 0


def _run_text(args: argparse.Namespace) -> int:
    from space_clip_ros.export.text import export_text
    from space_clip_ros.language import load_clip

    facts = export_text(load_clip(str(args.checkpoint), args.clip_settings), args.out, args.templates)
    say(
        f"{args.out}: text tower of {facts.tower[:12]}, {facts.embed_dim} numbers a vector, {len(facts.templates)} "
        f"templates, {args.out.stat().st_size / 1e6:.1f} MB"
    )
    say(f"largest difference from PyTorch: {facts.difference:.2g}")
    return 0


def _proof_lines(proof: Proof) -> Iterator[str]:
    difference = proof.difference
    yield (
        f"largest difference from PyTorch on {difference.images} images: {difference.relative:.2g} relative, "
        f"{difference.absolute:.2g} m; mean of the worst image {difference.mean:.2g} relative"
    )
    if proof.largest_fp16 is not None:
        yield f"largest fp16 value {proof.largest_fp16:.3g} of 65504"
    if proof.language is not None:
        yield str(proof.language)
    if proof.abs_rel is not None:
        before, after = proof.abs_rel
        yield f"abs_rel on held-out frames {before:.4f}, PyTorch's, to {after:.4f}: {after / before - 1:+.2%}"
