"""``space_clip compare``: accuracy and speed of several models side by side."""

from __future__ import annotations

import argparse
import dataclasses
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.console import progress_bar, say
from space_clip_ros.cli.options import add_settings, positive, refuse_sources
from space_clip_ros.config import CROPS, NodeConfig
from space_clip_ros.training_config import PROTOCOLS

if TYPE_CHECKING:
    from space_clip_ros.data.collection import FrameCollection
    from space_clip_ros.data.frames import RgbdFrame
    from space_clip_ros.evaluation.protocol import EvaluationProtocol
    from space_clip_ros.tools.comparison.frames import Entrant

_FRAMES = 100


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its options."""
    parser = subparsers.add_parser(
        "compare",
        help="accuracy and speed of several models side by side",
        description="Run several models over the same validation frames of a YAML file, taking turns on this machine, "
        "and show their accuracy, size and speed in one table and one picture. Relative depth is scaled to the "
        "truth's median, and marked.",
        epilog="example: space_clip compare road_tiny dav2_outdoor.onnx --data config/road_tiny.yaml --picture "
        "models.png",
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="bundled models, .onnx or .pt2 files, or checkpoints"
    )
    parser.add_argument("--data", required=True, metavar="CONFIG", help="YAML file; its data.validation is used")
    parser.add_argument("--protocol", default="standard", choices=PROTOCOLS, help="(default: %(default)s)")
    parser.add_argument("--crop", default="garg", choices=CROPS, help="image region compared (default: %(default)s)")
    parser.add_argument(
        "--frames", type=positive, default=_FRAMES, metavar="N", help="at most N, evenly spaced (default: %(default)s)"
    )
    add_settings(parser, NodeConfig, "focal_scaling", "backend", "device", "threads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the middle frame of each model here")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print the table and write the files.

    Raises:
        ConfigError: the settings cannot be used.
        DataError: frames cannot be read or compared, or a file cannot be written.
        SpaceClipError: a model cannot be loaded or run.
    """
    from space_clip_ros.evaluation.protocol import named_protocol
    from space_clip_ros.files import check_output_files, write_json
    from space_clip_ros.geometry.image_file import check_picture, write_rgb
    from space_clip_ros.inference import model_files
    from space_clip_ros.settings import load
    from space_clip_ros.tools.comparison.frames import run_together
    from space_clip_ros.tools.comparison.table import as_json, picture, table
    from space_clip_ros.tools.machine import describe_machine
    from space_clip_ros.training_config import TrainingConfig

    refuse_sources(args, args.data, *args.models, names=("json", "picture"))
    check_output_files(args.json, args.picture)
    if args.picture:
        check_picture(args.picture)
    for model in args.models:
        model_files.resolve(model)
    config = load(TrainingConfig, args.data)
    low, high = config.model.min_depth, config.model.max_depth
    protocol = named_protocol(args.protocol, low, high, args.crop)
    frames = _frames(args.data, config)
    count = min(args.frames, len(frames))
    indices = [number * len(frames) // count for number in range(count)]
    middle = indices[count // 2]
    drawn: list[tuple[int, RgbdFrame, list[Any]]] = []
    with ExitStack() as stack:
        entrants = [_entrant(args, stack, model, protocol) for model in args.models]
        with progress_bar(count, "comparing") as bar:

            def on_frame(index: int, frame: RgbdFrame, depths: Any) -> None:
                # Of the frames that can be read, the one nearest to the middle.
                if not drawn or abs(index - middle) < abs(drawn[0][0] - middle):
                    drawn[:] = [(index, frame, list(depths))]
                bar.update()

            run_together(entrants, frames, indices, args.focal_scaling, on_frame)
        count = len(entrants[0].scores)
        say(f"{count} frames of {args.data}, {args.protocol} protocol; times are medians, on this machine, in turn")
        for line in table(entrants):
            say(line)
        if args.json:
            content = as_json(entrants, describe_machine(), args.protocol, count)
            write_json(args.json, content)
        if args.picture:
            _, frame, depths = drawn[0]
            write_rgb(args.picture, picture(entrants, frame, depths, high))
    for path in filter(None, (args.json, args.picture)):
        say(f"wrote {path}")
    return 0


def _entrant(args: argparse.Namespace, stack: ExitStack, model: str, protocol: EvaluationProtocol) -> Entrant:
    from space_clip_ros.inference import load_predictor
    from space_clip_ros.inference.model_files import is_graph
    from space_clip_ros.inference.onnx_sessions import OnnxSessions
    from space_clip_ros.tools.comparison.frames import Entrant

    predictor = stack.enter_context(load_predictor(model, args.backend, args.device, threads=args.threads))
    info = predictor.info
    operations = None
    if is_graph(info.file) and (cost := OnnxSessions(info.file).metadata.cost):
        operations = round(sum(stage.operations for stage in cost.values()) / 1e9, 6)
    if not info.metric:
        protocol = dataclasses.replace(protocol, median_scaling=True)
    return Entrant(predictor, info.file.stat().st_size / 1e6, operations, protocol)


def _frames(name: str, config: Any) -> FrameCollection:
    from space_clip_ros.data.collection import FrameCollection, open_sources
    from space_clip_ros.errors import ConfigError
    from space_clip_ros.training_config import sources

    if not config.data.validation:
        raise ConfigError(name, "data.validation names no source to compare on", "add one with its path")
    return FrameCollection(open_sources(sources(config.data.validation)), skip_broken=config.data.skip_broken)
