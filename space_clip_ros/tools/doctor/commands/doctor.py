"""``space_clip doctor``: what this machine has, which backend it would use and why not the others."""

from __future__ import annotations

import argparse
from pathlib import Path

from space_clip_ros.cli.console import progress_bar, say
from space_clip_ros.cli.options import add_setting, refuse_sources
from space_clip_ros.config import NodeConfig


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "doctor",
        help="report what this machine has and which backend it uses",
        description="Print what this machine has (processor, memory, GPU, libraries, ROS 2, DDS), which backend auto "
        "takes for a model and why not the others. It needs no ROS, no PyTorch and no GPU, and says what it could "
        "not find out. The report names no user, no host and no private folder. Paste it into your bug report.",
        epilog="example: space_clip doctor --model road_fp16.onnx --json doctor.json",
    )
    add_setting(
        parser, NodeConfig, "model", help="bundled model, .onnx or .pt2 file, or checkpoint (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report to this file, too")
    # This command must work when NumPy or OpenCV does not load.
    parser.set_defaults(checks_libraries=False, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print the report.

    Raises:
        DataError: the JSON file cannot be written.
    """
    from space_clip_ros.files import check_output_files, write_json
    from space_clip_ros.tools.doctor.report import answers, as_json, as_text, questions

    refuse_sources(args, args.model, names=("json",))
    check_output_files(args.json)
    probes = questions(args.model)
    with progress_bar(len(probes), "looking") as bar:
        report = answers(probes, bar.update)
    say(as_text(report))
    if args.json:
        write_json(args.json, as_json(report))
    return 0
