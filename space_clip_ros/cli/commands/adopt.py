"""``space_clip adopt``: turns a third-party ONNX depth model into a model of this package."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.console import callback, progress_bar, say
from space_clip_ros.cli.options import check_image_size, check_model_out, positive, refuse_options
from space_clip_ros.model_config import RESIZE_RULES, AdoptedConfig

if TYPE_CHECKING:
    from space_clip_ros.export.adopt import AdoptionReport, PrecisionConverter
    from space_clip_ros.export.adopt_recipe import Recipe

_NUMBERS: dict[str, Any] = {"nargs": 3, "type": float, "metavar": ("R", "G", "B")}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "adopt",
        help="make a third-party ONNX depth model usable here",
        description="Wrap a third-party ONNX depth model (opset 11 to 21) in this package's format: the graph then "
        "includes the preprocessing and gives metres at the image's size, and depth_node, evaluate, benchmark and "
        "engine take it like any other model. The file is written only if its depth agrees with the original model's.",
        epilog="example: space_clip adopt depth_anything_v2_metric_vkitti_vits.onnx --out dav2_outdoor.onnx --preset "
        "depth_anything_v2_metric_outdoor --images street/*.png",
    )
    parser.add_argument(
        "model", type=Path, metavar="MODEL.onnx", nargs="?", help="the model; external weights lie beside it"
    )
    parser.add_argument("--out", type=Path, metavar="NAME.onnx", help="file to write")
    parser.add_argument("--preset", metavar="P", help="settings of a known family of models; --presets lists them")
    parser.add_argument("--presets", action="store_true", help="list the presets: source, licence, training camera")
    parser.add_argument("--name", help="name shown in files and diagnostics (default: that of NAME.onnx)")
    _add_sizes(parser)
    _add_input(parser)
    _add_output(parser)
    parser.add_argument(
        "--precision",
        choices=("fp16", "int8"),
        help="compute the network's matrix products in this precision (default: keep the file's own)",
    )
    parser.add_argument("--symmetric", action="store_true", help="symmetric int8, which TensorRT needs")
    parser.add_argument(
        "--drive", type=Path, metavar="DIR", help="drive with depth, to calibrate int8 and to test a lower precision"
    )
    parser.add_argument("--images", type=Path, nargs="+", default=[], metavar="IMAGE", help="real images to compare on")
    parser.set_defaults(parser=parser)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("image size (any, without height and width)")
    group.add_argument("--height", type=positive, metavar="H", help="height of every image, pixels")
    group.add_argument("--width", type=positive, metavar="W", help="width of every image, pixels")
    group.add_argument("--batch", type=positive, metavar="N", help="images per run (default: what the model takes)")


def _add_input(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input of the model (overrides the preset)")
    group.add_argument("--size", nargs=2, type=positive, metavar=("H", "W"), help="size for --resize, pixels")
    group.add_argument(
        "--resize",
        choices=RESIZE_RULES,
        help="straight (squeeze), lower_bound or upper_bound (keep the shape; no side shorter or longer than --size), "
        "pad (keep the shape, fill with --border)",
    )
    group.add_argument("--multiple", type=positive, metavar="N", help="sides are multiples of N pixels")
    group.add_argument("--interpolation", choices=("bilinear", "bicubic"), help="interpolation of that resize")
    group.add_argument("--antialias", action="store_true", default=None, help="resize as Pillow does")
    group.add_argument(
        "--normalise",
        choices=("imagenet", "zero_to_one", "minus_one_to_one", "bytes"),
        help="values of the input: ImageNet's mean and deviation, 0 to 1, -1 to 1, or 0 to 255",
    )
    group.add_argument("--mean", **_NUMBERS, help="mean of RGB in [0, 1], instead of --normalise")
    group.add_argument("--std", **_NUMBERS, help="standard deviation of RGB in [0, 1]")
    group.add_argument("--channels", choices=("rgb", "bgr"), help="order of the channels")
    group.add_argument("--border", **_NUMBERS, help="colour of the border, 0 to 255")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=_constant,
        metavar="NAME=VALUE",
        help="constant value of another input",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output of the model (overrides the preset)")
    group.add_argument(
        "--output",
        choices=("depth", "inverse", "relative", "relative_depth"),
        help="after scale and shift: metres, one over metres, inverse depth without unit, depth without unit",
    )
    group.add_argument("--depth-output", metavar="NAME", help="which of several outputs is depth")
    group.add_argument("--channel", type=int, metavar="N", help="which of its channels, such as 2 for z of points")
    group.add_argument("--scale", type=float, metavar="S", help="factor on the output (default: 1)")
    group.add_argument("--shift", type=float, metavar="T", help="added to the scaled output (default: 0)")
    group.add_argument("--min-depth", type=float, metavar="M", help="smallest valid depth, metres")
    group.add_argument("--max-depth", type=float, metavar="M", help="largest valid depth, metres")
    group.add_argument("--uncertainty", dest="uncertainty_output", metavar="NAME", help="output that is uncertainty")
    group.add_argument(
        "--uncertainty-kind",
        dest="uncertainty",
        choices=("share", "metres", "confidence", "reciprocal"),
        help="one sigma as a share of depth or in metres; a confidence c, for a share of 1 - c or of 1 / c",
    )
    group.add_argument("--uncertainty-scale", type=float, metavar="S", help="factor on uncertainty (default: 1)")
    group.add_argument(
        "--training-camera",
        nargs=4,
        type=float,
        metavar=("W", "H", "FX", "FY"),
        help="camera that the model was trained on, pixels; focal_scaling compares other cameras with it",
    )
    group.add_argument(
        "--canonical-focal",
        type=float,
        metavar="F",
        help="focal length that the model's depth assumes, pixels at the network's size; focal_scaling uses it",
    )


def run(args: argparse.Namespace) -> int:
    """Adopt a model and report the file and its difference from the original model.

    Raises:
        SpaceClipError: the file cannot be used, an option is missing, or the wrapped graph disagrees.
    """
    if args.presets:
        _list_presets()
        return 0
    if args.model is None or args.out is None:
        args.parser.error("give MODEL.onnx and --out NAME.onnx, or --presets")
    check_image_size(args)
    if args.normalise and (args.mean or args.std):
        args.parser.error("give --normalise, or --mean and --std")
    if args.uncertainty_output is None and (args.uncertainty or args.uncertainty_scale is not None):
        args.parser.error("--uncertainty-kind and --uncertainty-scale are for the output named by --uncertainty")
    if args.precision is None:
        refuse_options(args, "no effect without --precision", "drive")
    if args.precision != "int8":
        refuse_options(args, "no effect without --precision int8", "symmetric")
    if args.precision == "int8" and args.drive is None:
        args.parser.error("--precision int8 needs --drive")
    check_model_out(args, args.model, ".onnx")

    from space_clip_ros.export.adopt import adopt
    from space_clip_ros.geometry.image_file import read_rgb

    recipe = _recipe(args)
    if args.border and recipe.rule != "pad":
        args.parser.error("--border is for --resize pad")
    images = [read_rgb(file) for file in args.images]
    with progress_bar(0, "comparing with the model") as bar:
        report = adopt(
            args.model,
            args.out,
            recipe,
            args.height,
            args.width,
            args.batch,
            lower=_converter(args, recipe),
            images=images,
            keep_rule=args.resize is not None,
            progress=callback(bar),
        )
    _show(report, args.preset)
    return 0


def _converter(args: argparse.Namespace, recipe: Recipe) -> PrecisionConverter | None:
    if args.precision is None:
        return None
    from space_clip_ros.cli.drive_evidence import drive_evidence
    from space_clip_ros.export.adopt_precision import LowerPrecision

    compared = AdoptedConfig(min_depth=recipe.min_depth, max_depth=recipe.max_depth or AdoptedConfig().max_depth)
    evidence = None if args.drive is None else drive_evidence(args.drive, compared)
    return LowerPrecision(args.precision, evidence, args.symmetric)


def _recipe(args: argparse.Namespace) -> Recipe:
    from space_clip_ros.export.adopt_recipe import NORMALISATIONS, Recipe
    from space_clip_ros.export.presets import preset

    known = preset(args.preset).recipe if args.preset else Recipe()
    given: dict[str, Any] = {"name": args.name or args.out.stem}
    for field in dataclasses.fields(Recipe):
        value = getattr(args, field.name, None)
        if field.name != "name" and value is not None:
            given[field.name] = tuple(value) if isinstance(value, list) else value
    if args.resize is not None:
        given["rule"] = args.resize
    if args.normalise is not None:
        given["mean"], given["std"] = NORMALISATIONS[args.normalise]
    if args.set:
        given["constants"] = {**known.constants, **dict(args.set)}
    if args.training_camera is not None:
        given["canonical_focal"] = args.canonical_focal or 0.0
    if args.canonical_focal is not None and args.training_camera is None:
        given["training_camera"] = ()
    return dataclasses.replace(known, **given)


def _constant(text: str) -> tuple[str, tuple[float, ...]]:
    name, equals, values = text.partition("=")
    try:
        numbers = tuple(float(value) for value in values.split(","))
    except ValueError:
        numbers = ()
    if not name or not equals or not numbers:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE or NAME=VALUE,VALUE,..., got {text!r}")
    return name, numbers


def _list_presets() -> None:
    from space_clip_ros.export.presets import PRESETS

    for name, entry in PRESETS.items():
        say(f"{name}: {entry.about}")
        say(f"  source {entry.recipe.source}; licence {entry.recipe.licence}; trained on: {entry.camera}")
        if entry.note:
            say(f"  {entry.note}")


def _show(report: AdoptionReport, name: str | None) -> None:
    from space_clip_ros.export.presets import preset
    from space_clip_ros.inference.backend import RELATIVE

    metadata, proof = report.metadata, report.proof
    size = "any size" if metadata.size is None else f"{metadata.size[1]} x {metadata.size[0]} pixels"
    batch = "any batch" if metadata.batch is None else f"batch {metadata.batch}"
    say(f"{report.path}: {metadata.config.name}, {size}, {batch}, {metadata.precision}, {report.bytes / 1e6:.1f} MB")
    say(f"as {report.recipe.describe()}")
    if name is not None:
        known = preset(name)
        say(f"source {known.recipe.source}; licence {known.recipe.licence}; trained on: {known.camera}")
    for cost in metadata.cost.values():
        say(f"{cost.operations / 1e9:.2f} GFLOP an image, {cost.weights / 1e6:.1f} M weights")
    say(
        f"largest difference from the original model on {proof.images} images, {proof.real} of them given: "
        f"{proof.relative:.2g} relative, {proof.absolute:.2g} m; mean of the worst image {proof.mean:.2g} relative"
    )
    if proof.uncertainty is not None:
        say(f"of its uncertainty, mean of the worst image: {proof.uncertainty:.2g} relative")
    if metadata.largest_fp16 is not None:
        say(f"largest fp16 value {metadata.largest_fp16:.3g} of 65504")
    if metadata.abs_rel is not None:
        before, after = metadata.abs_rel
        say(f"abs_rel on held-out frames {before:.4f} in fp32, to {after:.4f}: {after / before - 1:+.2%}")
    for note in (*report.notes, *([preset(name).note] if name and preset(name).note else [])):
        say(f"note: {note}")
    if not metadata.config.metric:
        say(f"note: {RELATIVE}")
