"""``space_clip evaluate``: compares a model's depth with the truth."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.console import progress_bar, say
from space_clip_ros.cli.evaluation_report import show_report
from space_clip_ros.cli.options import (
    add_setting,
    add_settings,
    image_size,
    positive,
    rate_hz,
    refuse_options,
    refuse_sources,
)
from space_clip_ros.cli.scale_evaluation import lines, scale_spec
from space_clip_ros.cli.semantic_evaluation import run_semantic, semantic_queries
from space_clip_ros.cli.shared_evaluation import shared_evaluation
from space_clip_ros.config import CROPS, EvaluatorConfig, NodeConfig
from space_clip_ros.errors import DataError
from space_clip_ros.files import check_output_files, check_output_folder
from space_clip_ros.training_config import PROTOCOLS

if TYPE_CHECKING:
    from space_clip_ros.data.collection import FrameCollection
    from space_clip_ros.data.frames import RgbdFrame
    from space_clip_ros.evaluation.evaluator import PredictBatch
    from space_clip_ros.evaluation.protocol import EvaluationProtocol
    from space_clip_ros.evaluation.scale_measurement import ScaleMeasurement
    from space_clip_ros.geometry.depth import Depth
    from space_clip_ros.inference.predictor import Predictor
    from space_clip_ros.training_config import TrainingConfig

GROUPS = ("scene", "folder")
"""What frames can be grouped by."""

_OF_LABELS = ("queries", "windows", "boxes")
_OF_DEPTH = (
    *("crop", "kitti_crop", "flip", "median_scaling", "scale", "scale_rate", "min_depth", "max_depth"),
    *("focal_scaling", "batch", "by", "edges", "temporal", "csv", "worst", "out"),
)
"""Options without meaning for labels."""
_OF_STANDARD = ("crop", "kitti_crop")
_CROP, _BATCH, _OUT = "garg", 4, Path("out/evaluate")
_DENSE = "give synthetic drives, with truth: annotated and unknown: far, or other frames with depth at most pixels"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its options."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare a model's depth with the truth",
        description="Run a model over the validation frames of a YAML file and compare its depth with the truth.",
        epilog="example: space_clip evaluate --model road_tiny --data config/road_tiny.yaml --protocol standard",
    )
    add_setting(parser, NodeConfig, "model", required=True, help="bundled model, .onnx or .pt2 file, or checkpoint")
    parser.add_argument("--data", required=True, metavar="CONFIG", help="YAML file; its data.validation is used")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="settings that replace the file's")
    parser.add_argument(
        "--protocol",
        required=True,
        choices=PROTOCOLS,
        help="reference (as in the paper's published numbers) or standard (as in most depth papers)",
    )
    parser.add_argument("--crop", choices=CROPS, help=f"standard: image region compared (default: {_CROP})")
    parser.add_argument("--kitti-crop", action="store_true", help="standard: first cut 1216 x 352 at the bottom centre")
    parser.add_argument("--flip", action="store_true", help="average with the mirror image's depth")
    scaling = parser.add_mutually_exclusive_group()
    scaling.add_argument("--median-scaling", action="store_true", help="scale each depth map to the truth's median")
    scaling.add_argument(
        "--scale",
        type=scale_spec,
        metavar="EVIDENCE",
        help="scale depth as depth_node would: camera_height:METRES uses the ground in view; ranges:ROWS uses every "
        "ROWS-th row of the truth, and the other rows are compared",
    )
    parser.add_argument(
        "--scale-rate",
        type=rate_hz,
        metavar="HZ",
        help="with --scale: the frames of a folder are a drive at this rate, and share one filter (default: each frame "
        "is scaled by itself)",
    )
    for name in ("min_depth", "max_depth"):
        help = f"metres (default: the settings' model.{name})"
        add_setting(parser, EvaluatorConfig, name, default=None, metavar="M", help=help)
    add_setting(parser, NodeConfig, "focal_scaling", default=None)
    add_settings(parser, NodeConfig, "backend", "device", "precision")
    parser.add_argument(
        "--batch", type=positive, metavar="N", help=f"images per run, if the model takes several (default: {_BATCH})"
    )
    parser.add_argument("--by", choices=GROUPS, help="also report each scene (or drive), or each folder, on its own")
    parser.add_argument(
        "--edges",
        action="store_true",
        help="also report how well depth boundaries fit, and how much of the sky is predicted near; needs dense truth",
    )
    parser.add_argument(
        "--semantic",
        action="store_true",
        help="score the classes that language features give the pixels, instead of depth; needs sources with labels",
    )
    parser.add_argument(
        "--queries", type=Path, metavar="FILE", help="with --semantic: vectors of the classes, from space_clip text"
    )
    parser.add_argument(
        "--windows",
        type=image_size,
        metavar="WxH",
        help="with --semantic: resize pictures to this size, and average windows of 224 pixels, 112 apart, as "
        "published figures do (Cityscapes: 1120x560)",
    )
    parser.add_argument(
        "--boxes",
        action="store_true",
        help="with --semantic: also place cars and people with the true labels, the true depth or both in place of the "
        "model's, by distance, to tell which of them limits boxes; needs dense truth",
    )
    parser.add_argument(
        "--temporal", action="store_true", help="also report how steady depth is from frame to consecutive frame"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write one line per image here")
    parser.add_argument("--worst", type=positive, metavar="N", help="draw the N frames with the largest abs_rel")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"folder for those pictures (default: {_OUT})")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the metrics and write the requested files.

    Raises:
        ConfigError: the settings cannot be used.
        DataError: frames cannot be read or compared, or a result cannot be written.
        SpaceClipError: the model cannot be loaded or run.
    """
    from space_clip_ros.evaluation.boundaries import is_dense
    from space_clip_ros.evaluation.evaluator import (
        evaluate,
        flip_averaged,
        one_by_one,
        prepared_frames,
        worst_frames,
    )
    from space_clip_ros.evaluation.focal_scaler import FocalScaler
    from space_clip_ros.evaluation.report import EvaluationReport, write_csv, write_json, write_worst
    from space_clip_ros.evaluation.temporal import TemporalAverage, follows
    from space_clip_ros.inference import load_predictor
    from space_clip_ros.settings import load
    from space_clip_ros.training_config import TrainingConfig

    _check_usage(args)
    config = load(TrainingConfig, args.data, args.overrides)
    protocol = _protocol(args, config)
    frames = _frames(args.data, config)
    queries = semantic_queries(args, frames) if args.semantic else None
    if args.edges and not any(
        is_dense(frame.depth) for _, frame in prepared_frames(frames, range(len(frames)), protocol)
    ):
        raise _no_dense_depth(args.data)
    with (
        shared_evaluation(args.device, args.temporal or args.scale is not None) as part,
        load_predictor(args.model, args.backend, part.device, args.precision) as predictor,
    ):
        if args.semantic:
            return run_semantic(args, predictor, frames, queries)
        groups = _groups(args.by, frames)
        scale = _scale(args, protocol, frames, predictor.info.metric)
        predict = flip_averaged(predictor) if args.flip else predictor
        info = predictor.info
        if info.units_text and not (args.scale or args.median_scaling):
            say(f"{info.units_text}; give --scale or --median-scaling")
        focal_scaling = NodeConfig().focal_scaling if args.focal_scaling is None else args.focal_scaling
        scaler, steadiness = FocalScaler(focal_scaling, info), TemporalAverage(protocol)

        def on_depth(index: int, frame: RgbdFrame, depth: Depth) -> None:
            if args.temporal:
                consecutive = index > 0 and follows(frames.files(index - 1), frames.files(index))
                steadiness.add(index, frame, depth, consecutive)

        own = part.own(frames)
        batch = args.batch or _BATCH
        with progress_bar(len(own), "evaluating") as bar:
            together = one_by_one(predict) if args.flip else _batched(predictor)
            own_scores = evaluate(
                together, own, protocol, lambda scored: bar.update(), batch, args.edges, scaler, on_depth, scale
            )
        scores = part.all_scores(own_scores)
        scaler.counts = part.total(scaler.counts)
        if not part.first:
            return 0
        groups = [groups[score.number] for score in scores] if groups else []
        report = EvaluationReport.from_scores(
            scores, info.name, info.backend, args.protocol, protocol, args.flip, groups
        )
        if args.edges and "boundaries" not in report.edges:
            raise _no_dense_depth(args.data)
        report = dataclasses.replace(
            report,
            focal_scaling=dict(scaler.counts),
            temporal=steadiness.report() if args.temporal else None,
            scale=None if scale is None else dataclasses.asdict(scale.result()),
            unreadable=len(frames) - len(scores),
        )
        show_report(report, args.by)
        for line in lines(scale.result()) if scale is not None else ():
            say(line)
        if args.json:
            write_json(args.json, report)
        if args.csv:
            write_csv(args.csv, scores)
        factors = None if scale is None else scale.factors
        worst = worst_frames(scores, args.worst or 0)
        for path in write_worst(args.out or _OUT, worst, predict, frames, protocol, scaler, factors):
            say(f"wrote {path}")
    return 0


def _check_usage(args: argparse.Namespace) -> None:
    """Exit with status 2 if options do not go together.

    Raises:
        DataError: a result cannot be written.
    """
    if args.semantic:
        refuse_options(args, "no effect with --semantic", *_OF_DEPTH)
    else:
        refuse_options(args, "no effect without --semantic", *_OF_LABELS)
    if args.protocol != "standard":
        refuse_options(args, "no effect without --protocol standard", *_OF_STANDARD)
    if args.scale is None:
        refuse_options(args, "no effect without --scale", "scale_rate")
    if args.worst is None:
        refuse_options(args, "no effect without --worst", "out")
    refuse_sources(args, args.data, args.model, args.queries, names=("json", "csv"))
    check_output_files(args.json, args.csv)
    if args.worst:
        check_output_folder(args.out or _OUT)


def _no_dense_depth(data: str) -> DataError:
    return DataError(data, "no validation frame has dense depth, which --edges needs", _DENSE)


def _batched(predictor: Predictor) -> PredictBatch:
    from space_clip_ros.evaluation.evaluator import Estimate

    return lambda images: [
        Estimate(prediction.depth, prediction.uncertainty) for prediction in predictor.run_batch(images)
    ]


def _protocol(args: argparse.Namespace, config: TrainingConfig) -> EvaluationProtocol:
    from space_clip_ros.evaluation.protocol import named_protocol

    low = config.model.min_depth if args.min_depth is None else args.min_depth
    high = config.model.max_depth if args.max_depth is None else args.max_depth
    return named_protocol(args.protocol, low, high, args.crop or _CROP, args.kitti_crop, args.median_scaling)


def _scale(
    args: argparse.Namespace, protocol: EvaluationProtocol, frames: FrameCollection, metric: bool
) -> ScaleMeasurement | None:
    """Return the measurement of ``--scale``; None without the option."""
    from space_clip_ros.evaluation.scale_measurement import ScaleMeasurement

    if args.scale is None:
        return None
    return ScaleMeasurement(
        args.scale, protocol, _groups("folder", frames), args.scale_rate or 0.0, NodeConfig().scale.max_rate, metric
    )


def _frames(name: str, config: TrainingConfig) -> FrameCollection:
    from space_clip_ros.data.collection import FrameCollection, open_sources
    from space_clip_ros.data.file_check import check_files
    from space_clip_ros.errors import ConfigError
    from space_clip_ros.training_config import sources

    if not config.data.validation:
        raise ConfigError(name, "data.validation names no source to evaluate on", "add one with its path")
    frames = FrameCollection(open_sources(sources(config.data.validation)), skip_broken=config.data.skip_broken)
    if not config.data.scan:
        return frames
    with progress_bar(len(frames), "checking files") as bar:
        return check_files(frames, config.data.skip_broken, bar.update, say)


def _groups(by: str | None, frames: FrameCollection) -> list[str]:
    """Return the name of each frame's group; empty if frames are not grouped."""
    if by == "scene":
        return [frames.scene(index) for index in range(len(frames))]
    if by == "folder":
        # Frames of remote shards have no files here, but they keep their names.
        paths = (next(iter(frames.files(index)), Path(frames.label(index))) for index in range(len(frames)))
        return [str(path.parent) for path in paths]
    return []
