"""``space_clip benchmark``: how fast a model runs here, stage by stage, next to the floor and to eager PyTorch."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.console import progress_bar, say
from space_clip_ros.cli.options import image_size, positive, refuse_options, refuse_sources
from space_clip_ros.cli.signals import ending_on_sigterm
from space_clip_ros.config import RUNNING
from space_clip_ros.errors import BackendError, ModelError
from space_clip_ros.files import check_output_files, write_whole
from space_clip_ros.libraries import ROS_REMEDY
from space_clip_ros.model_config import AdoptedConfig
from space_clip_ros.tools.benchmark import training_command
from space_clip_ros.tools.benchmark.options import add_options, command_line

if TYPE_CHECKING:
    from space_clip_ros.inference.backend import ModelInfo
    from space_clip_ros.tools.benchmark.eager import EagerModel
    from space_clip_ros.tools.benchmark.measured_model import MeasuredModel
    from space_clip_ros.tools.benchmark.roofline import Roofline

_SIZES = ((1242, 375), (1280, 720))
_END_TO_END = "space_clip_ros.tools.benchmark.end_to_end"
_STEPS = 200
_NEEDS_ROS = f"it needs ROS 2: leave --end-to-end out, or {ROS_REMEDY}"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "benchmark",
        help="measure latency and throughput per stage",
        description="Measure how fast a model runs on this machine: each stage's p50, p95 and p99, throughput and "
        "memory, next to the floor that the machine's own peak sets, measured in the same run. docs/benchmarks.md "
        "explains every figure.",
        epilog="example: space_clip benchmark --model road_tiny --end-to-end --markdown benchmark.md; "
        "space_clip benchmark --training config/kitti.yaml optimizer.batch_size=2 --steps 100",
    )
    add_options(parser)
    parser.add_argument(
        "--size",
        type=image_size,
        nargs="+",
        metavar="WxH",
        help="image sizes, pixels (default: the size the file was exported for, otherwise 1242x375 and 1280x720)",
    )
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images per run (default: %(default)s)")
    parser.add_argument("--eager", type=Path, metavar="CHECKPOINT", help="compare with eager fp32 PyTorch of this")
    parser.add_argument(
        "--end-to-end", action="store_true", help="also measure from stamp to subscriber over DDS (needs ROS 2)"
    )
    parser.add_argument(
        "--training",
        nargs="+",
        metavar=("CONFIG", "key=value"),
        help="instead of a model, measure training steps of this YAML file next to a plain eager loop",
    )
    parser.add_argument(
        "--steps", type=positive, default=_STEPS, metavar="N", help="training steps per side (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write tables to this file")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print the main figures and write the files.

    Raises:
        SpaceClipError: the model cannot be used, a run failed, or a file cannot be written.
    """
    from space_clip_ros.tools.benchmark.report import markdown
    from space_clip_ros.tools.benchmark.training_report import training_markdown

    if args.training:
        of_a_model = ("model", *RUNNING, "size", "batch", "frames", "eager", "end_to_end")
        refuse_options(args, "no effect with --training", *of_a_model)
    else:
        refuse_options(args, "no effect without --training", "steps")
    if not args.end_to_end:
        refuse_options(args, "no effect without --end-to-end", "rate", "stride", "depth_resolution", "also")
    if args.end_to_end and not importlib.util.find_spec("rclpy"):
        raise BackendError("--end-to-end", "there is no rclpy here", _NEEDS_ROS)
    read = args.training[:1] if args.training else (args.model, args.eager)
    refuse_sources(args, *read, names=("json", "markdown"))
    check_output_files(args.json, args.markdown)
    result = training_command.measure(args.training, args.steps) if args.training else _measure(args)
    if args.json:
        _write(args.json, json.dumps(result, indent=2) + "\n")
    if args.markdown:
        _write(args.markdown, training_markdown(result) if args.training else markdown(result))
    return 0


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    from space_clip_ros.inference import model_files
    from space_clip_ros.inference.predictor import no_uncertainty
    from space_clip_ros.inference.threads import thread_count
    from space_clip_ros.tools.benchmark.measured_model import check_images, open_model
    from space_clip_ros.tools.benchmark.report import end_to_end_summary, opening

    result, threads = opening(), thread_count(args.threads)
    if args.eager:
        model_files.resolve(args.eager)
    model = open_model(args.model, **{name: getattr(args, name) for name in RUNNING})
    info = model.info
    for width, height in _sizes(args, info):
        check_images(info, args.batch, height, width)
    if args.end_to_end and "depth/uncertainty" in args.also and not info.uncertainty:
        raise no_uncertainty(info)
    spinning = args.thread_spinning and (info.backend, info.device) == ("onnxruntime", "cpu")
    spin = " that spin" if spinning else ""
    say(f"{info.name} on {info.backend}, {info.device}, {info.precision}, {threads} threads{spin}")
    try:
        roofline = _roofline(model, threads)
        cases = _cases(args, model, roofline)
    finally:
        model.close()
    results = _end_to_end(args, [tuple(case["size"]) for case in cases]) if args.end_to_end else []
    for end_to_end in results:
        say(f"end to end, {end_to_end_summary(end_to_end)}")
    return {
        **result,
        "model": {
            "name": info.name,
            "file": info.file.name,
            "backend": info.backend,
            "device": info.device,
            "precision": info.precision,
            "input_size": list(info.input_size),
            "threads": threads,
            "thread_spinning": spinning,
        },
        "roofline": None if roofline is None else vars(roofline),
        "cases": cases,
        "end_to_end": results,
    }


def _roofline(model: MeasuredModel, threads: int) -> Roofline | None:
    """Measure the machine's limits; None, with a line why, if there can be no floor."""
    from space_clip_ros.tools.benchmark.roofline import measure_cpu, measure_device

    info = model.info
    if not model.cost:
        say(f"no floor: no operations could be counted when {info.file} was adopted")
        return None
    if info.device == "cpu":
        roofline = measure_cpu(threads)
    elif importlib.util.find_spec("torch"):
        roofline = measure_device(info.device, info.precision)
    else:
        say("no floor: measuring a GPU's limits needs PyTorch")
        return None
    peak = f"{roofline.gflops:g} GFLOP/s {roofline.precision}"
    say(f"limits here: {peak}, {roofline.gbytes:g} GB/s ({roofline.measured_by})")
    return roofline


def _cases(args: argparse.Namespace, model: MeasuredModel, roofline: Roofline | None) -> list[dict[str, Any]]:
    from space_clip_ros.tools.benchmark.measure import Case, measure, peak_memory, steps
    from space_clip_ros.tools.benchmark.report import summary

    cases = [Case(width, height, args.batch, args.frames) for width, height in _sizes(args, model.info)]
    # Before PyTorch is loaded for the comparison, since its memory is not the model's.
    memory = [peak_memory(model, case) for case in cases]
    eager = _eager(args, model)
    results = []
    with progress_bar(sum(steps(case, eager is not None) for case in cases), "benchmark") as bar:
        for case, held in zip(cases, memory, strict=True):
            results.append({**measure(model, eager, roofline, case, bar.update), "memory_mb": held})
    for result in results:
        say(summary(result))
    return results


def _sizes(args: argparse.Namespace, info: ModelInfo) -> list[tuple[int, int]]:
    if args.size:
        return list(args.size)
    fixed = info.fixed_size
    return list(_SIZES) if fixed is None else [(fixed[1], fixed[0])]


def _eager(args: argparse.Namespace, model: MeasuredModel) -> EagerModel | None:
    if args.eager is None:
        return None
    from space_clip_ros.tools.benchmark.eager import EagerModel

    eager = EagerModel(args.eager, model.info.device, args.threads)
    ours, plain = model.config, eager.config
    if isinstance(ours, AdoptedConfig) or (ours.encoder, ours.decoder.channels, ours.input_size) != (
        plain.encoder,
        plain.decoder.channels,
        plain.input_size,
    ):
        raise ModelError(
            args.eager, f"is another network than {model.info.file}", "give the checkpoint it was exported from"
        )
    return eager


def _end_to_end(args: argparse.Namespace, sizes: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    """Run the part that needs ROS, in a separate process since the command line itself must not need ROS."""
    with tempfile.TemporaryDirectory(prefix="space_clip_benchmark_") as folder:
        file = Path(folder, "end_to_end.json")
        command = [sys.executable, "-m", _END_TO_END, "--json", str(file), *command_line(args)]
        status = _run_to_its_end([*command, "--size", *("x".join(map(str, size)) for size in sizes)])
        if status:
            raise BackendError(
                "the end-to-end part",
                f"ended with status {status}, see above",
                _NEEDS_ROS,
            )
        results: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return results


def _run_to_its_end(command: list[str]) -> int:
    """Run a command and return its status; if this process is ended before, it ends the command in an orderly way."""
    with ending_on_sigterm(), subprocess.Popen(command) as process:
        try:
            return process.wait()
        except BaseException:
            # The command stops its own child processes first, which takes time.
            process.terminate()
            process.wait()
            raise


def _write(path: Path, text: str) -> None:
    write_whole(path, text.encode())
    say(f"written: {path}")
