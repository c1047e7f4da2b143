"""``space_clip predict --bag``: depth of a bag's images, as topics of a copy of the bag."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from space_clip_ros.cli.options import add_setting, positive, refuse_options
from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import ConfigError
from space_clip_ros.ros_parameters import node_values
from space_clip_ros.settings import nest, parse
from space_clip_ros.tools.bags.options import STORAGES

if TYPE_CHECKING:
    from space_clip_ros.tools.bags.prediction import PredictionOptions

_SHARED = ("model", "backend", "device", "precision", "focal_scaling")
"""Settings with options of their own, for both image files and bags."""
_ONLY_IMAGES = ("camera", "ply")
_OUTPUTS = {
    **{name: (f"depth/{name}",) for name in ("points", "color", "uncertainty", "obstacles", "scan")},
    "labels": ("semantic/labels", "semantic/confidence", "semantic/label_info"),
    "detections": ("semantic/detections", "semantic/markers"),
    "tokens": ("semantic/tokens",),
    "embedding": ("semantic/embedding",),
}
"""The topics that each option adds."""
_ONLY_BAGS = ("image", *_OUTPUTS, "query", "params_file", "scale_points", "workers", "ray")
_NODE = "depth"


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add the options for the model and its scale; see :func:`settings_of`."""
    for name in _SHARED:
        add_setting(parser, NodeConfig, name, default=None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for a bag."""
    bags = parser.add_argument_group("bags", "space_clip predict --bag drive_0005 --out drive_0005_depth --points")
    bags.add_argument(
        "--bag",
        nargs="+",
        metavar="BAG",
        help="rosbag2 folder, or one .mcap or .db3 file. For many bags: several of these, a folder of bags, a text "
        "file with one per line, or an address such as s3://bucket/bags; each gets its own folder below --out",
    )
    bags.add_argument("--image", nargs="+", metavar="TOPIC", help="image topics (default: the only one there is)")
    for name, topics in _OUTPUTS.items():
        bags.add_argument(f"--{name}", action="store_true", help=f"also add {', '.join(topics)}")
    bags.add_argument("--query", nargs="+", metavar="NAME", help="names for labels and detections to look for")
    bags.add_argument("--storage", choices=STORAGES, help="file format of the new bag (default: the bag's own)")
    bags.add_argument(
        "--scale-points",
        metavar="TOPIC",
        help="point clouds for scale.mode ranges, of one camera (default: scale/points beside the images)",
    )
    bags.add_argument(
        "--workers", type=positive, metavar="N", help="number of bags at once, of many (default: 1; with --ray, all)"
    )
    bags.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="run many bags on Ray: local (default), auto for this machine's cluster, or ray://HOST:10001",
    )
    bags.add_argument("--params-file", type=Path, metavar="FILE", help="ROS parameter file of depth_node")


def check_usage(args: argparse.Namespace) -> None:
    """Exit with status 2 if options do not go together."""
    if bool(args.images) == bool(args.bag):
        args.parser.error("give image files, or a bag with --bag")
    if args.bag and not args.out:
        args.parser.error("--bag needs --out, the folder of the new bag")
    if args.bag:
        refuse_options(args, "no effect with --bag", *_ONLY_IMAGES)
    else:
        refuse_options(args, "no effect without --bag", *_ONLY_BAGS)


def run(args: argparse.Namespace) -> int:
    """Write the new bag or bags, and print what was added to each.

    Raises:
        SpaceClipError: the bag, its topics, the parameters or the model cannot be used, or the bag cannot be written.
    """
    from space_clip_ros.tools.fleet.bags import is_fleet
    from space_clip_ros.tools.fleet.command import run_fleet

    options = _options(args)
    if is_fleet(args.bag):
        return run_fleet(args.bag, str(args.out), options, args.workers or 0, args.ray or "")
    refuse_options(args, f"for many bags; {args.bag[0]} is one", "workers", "ray")
    return _run_one(args, Path(args.bag[0]), options)


def _options(args: argparse.Namespace) -> PredictionOptions:
    from space_clip_ros.perception.outputs import need_queries
    from space_clip_ros.perception.queries import check_query_file
    from space_clip_ros.tools.bags.prediction import PredictionOptions

    settings = settings_of(args)
    outputs = ["depth/image", "depth/camera_info"]
    outputs += [topic for name, topics in _OUTPUTS.items() if getattr(args, name) for topic in topics]
    if args.scan and settings.scan.frame_id:
        raise ConfigError("scan.frame_id", "needs TF, which is not read from bags", "leave it empty")
    scan = args.scale_points or ""
    options = PredictionOptions(tuple(args.image or ()), tuple(outputs), args.storage, settings, scan)
    if need_queries(options.wanted) and not args.ray:  # a cluster's workers may have files that this machine has not
        check_query_file(settings.semantic)
    return options


def _run_one(args: argparse.Namespace, source: Path, options: PredictionOptions) -> int:
    from space_clip_ros.cli.console import callback, complain, progress_bar, say
    from space_clip_ros.inference import load_predictor
    from space_clip_ros.tools.bags.prediction import check_places, chosen_images, predict_open_bag
    from space_clip_ros.tools.bags.reader import BagReader

    settings, out = options.settings, check_places(source, args.out, options.storage)
    with BagReader(source) as bag:
        chosen_images(bag, options)
        with load_predictor(settings.model, **settings.running()) as predictor, progress_bar(0, "depth") as bar:
            info = predictor.info
            say(f"{info.name} on {info.backend}, {info.device}, {info.precision}")

            report = callback(bar)

            def show(stage: str, done: int, total: int) -> None:
                report(done, total, stage)

            added = predict_open_bag(bag, out, predictor, options, show, complain)
    for topic, text in added.focal.items():
        say(f"{topic}: {text}")
    for topic, count in sorted(added.counts.items()):
        say(f"{count:6d}  {topic}")
    if added.left_out:
        say(f"{added.left_out} of {added.images} images left out")
    say(str(Path(args.out)))
    return 0


def settings_of(args: argparse.Namespace) -> NodeConfig:
    """Return the node's parameters: options of the command line override the file, if there is one.

    Raises:
        ConfigError: the file cannot be used.
    """
    path = args.params_file
    settings = parse(NodeConfig, nest(node_values(path, _NODE)), str(path)) if path else NodeConfig()
    given = {name: getattr(args, name) for name in _SHARED if getattr(args, name) is not None}
    if args.query:
        given["semantic"] = dataclasses.replace(settings.semantic, queries=tuple(args.query))
    return dataclasses.replace(settings, **given)
