"""The demo: plays a drive over ROS 2 into the node, and reports images, rates, latencies and errors.

Player, node and evaluator run in their own processes and talk over DDS. This process subscribes to every output, as
any user of the node would, and measures the time from each image's stamp to the arrival of an output.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rclpy.utilities import get_rmw_implementation_identifier

from space_clip_ros.cli.options import add_setting, add_settings, positive, rate_hz
from space_clip_ros.config import NodeConfig, ScaleConfig
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError
from space_clip_ros.files import made_folder, write_json
from space_clip_ros.geometry.image_file import write_rgb
from space_clip_ros.ros.common import dds
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.tools.arrival_node import running
from space_clip_ros.tools.demo.live_view import LiveView
from space_clip_ros.tools.demo.recording import Recording
from space_clip_ros.tools.demo.report import ReportFrame, draw_report
from space_clip_ros.tools.demo.run import DemoPlan, DemoRun
from space_clip_ros.tools.demo.sources import BagSource, DemoSource, DriveSource
from space_clip_ros.tools.demo.subscriber import DemoSubscriber
from space_clip_ros.tools.demo.summary import table
from space_clip_ros.tools.live import address
from space_clip_ros.tools.processes import Children
from space_clip_ros.tools.program import run_program
from space_clip_ros.tools.reporting.scale_words import NAME
from space_clip_ros.tools.terminal import Terminal

_PROCESSES = 4
_SHOWN = 4
_SYNTHETIC_FRAMES = 40
_SYNTHETIC_SEED = 1


def main(args: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 on success, 1 after an error, 2 for wrong usage, 130 after Ctrl-C or SIGTERM."""
    parser = make_parser()
    options = parser.parse_args(args)
    if problem := _usage_problem(options):
        parser.error(problem)
    terminal = Terminal()
    return run_program("demo", lambda: _run(options, terminal), terminal)


def _run(options: argparse.Namespace, terminal: Terminal) -> None:
    out: Path = options.out
    logs = made_folder(out / "logs")
    source = _source(options, terminal)
    recording = None
    if options.recording:
        folder = out / "recording"
        if options.bag and folder.resolve() in (options.bag.resolve(), *options.bag.resolve().parents):
            raise DataError(options.bag, "would be replaced by this run's recording", "give another --out")
        recording = Recording(folder, source.transport, options.record_clouds)
    view = LiveView(options.view_port, source.transport) if options.view else None
    profile = dds.prepare_environment(logs, _PROCESSES + options.recording + options.view)
    scale = _scale_parameters(options)
    plan = DemoPlan(source, options.rate, options.model, options.backend, logs, recording, view, scale)
    terminal.say(
        f"{source.name}: {source.frame_count} frames at {options.rate:g} Hz into {options.model}; DDS profile {profile}"
    )
    make_subscriber = functools.partial(DemoSubscriber, source.frame_count, _SHOWN, source.transport)
    with running(make_subscriber) as subscriber, Children(logs) as children:
        run = DemoRun(plan, children, subscriber, terminal)
        summary = run.run(
            {
                "drive": source.name,
                "recording": "" if recording is None else recording.folder.name,
                "asked_rate_hz": options.rate,
                "rmw": get_rmw_implementation_identifier(),
                "dds_profile": profile,
                "ros_domain_id": int(os.environ["ROS_DOMAIN_ID"]),
            }
        )
        frames = run.report_frames()
    write_results(out, summary, frames, terminal)
    written = [out / "summary.json", out / "report.png", *([recording.folder] if recording else [])]
    terminal.say(f"written: {', '.join(map(str, written))}")


def _usage_problem(options: argparse.Namespace) -> str:
    """Return what is wrong with options that are fine one by one; empty if nothing is."""
    if options.image and not options.bag:
        return "--image chooses a topic of a --bag"
    if options.record_clouds and not options.recording:
        return "--record-clouds needs the recording, which --no-recording leaves out"
    if options.camera_height == 0 and not options.scale_mode:
        return "--camera-height 0 takes the height from the transforms; say what for, with --scale-mode camera_height"
    return ""


def _source(options: argparse.Namespace, terminal: Terminal) -> DemoSource:
    if options.bag:
        return BagSource(options.bag, options.image, options.frames)
    drive = options.drive or _synthetic_drive(options.out / "drive", options.frames or _SYNTHETIC_FRAMES, terminal)
    return DriveSource(KittiDrive(drive), options.frames)


def _synthetic_drive(folder: Path, frames: int, terminal: Terminal) -> Path:
    """Return the synthetic drive in ``folder``; renders it unless an earlier run has."""
    for rendered in folder.glob(f"*/*_drive_{_SYNTHETIC_SEED:04d}_sync"):
        with contextlib.suppress(DataError):
            if len(KittiDrive(rendered)) >= frames:
                terminal.say(f"no --drive given: playing the synthetic one in {rendered}")
                return rendered
    terminal.say(f"no --drive given: rendering a synthetic one of {frames} frames into {folder}")

    def show(done: int, total: int) -> None:
        terminal.show(f"rendered {done} of {total} frames")

    return write_drive(folder, frames, _SYNTHETIC_SEED, progress=show)


def _scale_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return the requested parameters of the metric scale; empty to keep the node's defaults."""
    mode = options.scale_mode or ("camera_height" if options.camera_height else "none")
    height = {"scale.camera_height": options.camera_height} if options.camera_height else {}
    return {**({"scale.mode": mode} if mode != "none" else {}), **height}


def write_results(out: Path, summary: dict[str, Any], frames: Sequence[ReportFrame], terminal: Terminal) -> None:
    """Write ``summary.json``, print its table, and only then draw ``report.png``, so that no figure is lost with it."""
    write_json(out / "summary.json", summary)
    terminal.say(table(summary))
    write_rgb(out / "report.png", draw_report(frames, *_heading(summary), NodeConfig()))


def _heading(summary: dict[str, Any]) -> tuple[str, list[str]]:
    latency = summary["latency_ms"]
    received = f"{summary['frames_received']} of {summary['frames_sent']} frames received"
    figures = [received, f"{summary['rate_hz'] or 0:.1f} Hz"]
    if "p50" in latency:
        figures.append(f"stamp to last output p50 {latency['p50']:.0f}, p95 {latency['p95']:.0f} ms")
    if summary["abs_rel"] is not None:
        figures.append(f"abs_rel {summary['abs_rel']:.3f}, delta1 {summary['delta1']:.3f}")
    scale = [f"{NAME}: {summary['scale']['text']}"] if "scale" in summary else []
    return f"{summary['model']} on {summary['backend']}, {summary['drive']}", [", ".join(figures), *scale]


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; ``demo.sh`` shows its help from ``scripts/demo_help.txt``, before anything is set up."""
    parser = argparse.ArgumentParser(
        prog="./demo.sh",
        description="Play a drive or a bag over ROS 2 into the depth node, and report rates, latencies and errors.",
        epilog="example: ./demo.sh --drive /data/2011_09_26/2011_09_26_drive_0005_sync --rate 10",
    )
    played = parser.add_mutually_exclusive_group()
    played.add_argument("--drive", type=Path, metavar="DIR", help="KITTI raw drive to play (default: render one)")
    played.add_argument(
        "--bag", type=Path, metavar="BAG", help="rosbag2 to play instead, such as one from space_clip bag"
    )
    parser.add_argument("--image", metavar="TOPIC", help="image topic of the bag, if it has several")
    add_settings(parser, NodeConfig, "model", "backend")
    parser.add_argument(
        "--scale-mode",
        choices=("none", "camera_height"),
        help="find the metric scale while running, from the ground in view (default: camera_height if --camera-height "
        "is given, else none)",
    )
    add_setting(parser, ScaleConfig, "camera_height", default=None, metavar="M")
    parser.add_argument("--rate", type=rate_hz, default=10.0, metavar="HZ", help="frames per second (%(default)g)")
    parser.add_argument("--frames", type=positive, default=0, metavar="N", help="play only the first N frames")
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), metavar="DIR", help="folder for the results (%(default)s)"
    )
    parser.add_argument(
        "--recording",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="record inputs and outputs into OUT/recording, for Foxglove and RViz (default: yes)",
    )
    parser.add_argument("--record-clouds", action="store_true", help="record clouds too; takes several times the space")
    parser.add_argument("--view", action="store_true", help="show the run live in a browser, on a local page")
    parser.add_argument(
        "--view-port",
        type=address.port_number,
        default=address.PORT,
        metavar="PORT",
        help="port of that page; 0 for any free one (%(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
