"""``space_clip benchmark``: how fast a model runs here, stage by stage, next to the floor and to eager PyTorch."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.console import progress_bar, say
from space_clip_ros.cli.signals import ending_on_sigterm
from space_clip_ros.config import BACKENDS, PRECISIONS, RUNNING, NodeConfig
from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.tools.benchmark import training_command

if TYPE_CHECKING:
    from space_clip_ros.inference.backend import ModelInfo
    from space_clip_ros.tools.benchmark.eager import EagerModel
    from space_clip_ros.tools.benchmark.measured_model import Subject
    from space_clip_ros.tools.benchmark.roofline import Roof

_SIZES = ((1242, 375), (1280, 720))
_END_TO_END = "space_clip_ros.tools.benchmark.end_to_end"
_RATE_HZ = 10.0
_STEPS = 200


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    node = NodeConfig()
    parser = subparsers.add_parser(
        "benchmark",
        help="measure latency and throughput per stage",
        description="Measure how fast a model runs on this machine: each stage's p50, p95 and p99, throughput and "
        "memory, next to the floor that the machine's own peak sets, measured in the same run. docs/benchmarks.md "
        "explains every figure.",
        epilog="example: space_clip benchmark --model road_tiny --end-to-end --markdown benchmark.md; "
        "space_clip benchmark --training config/kitti.yaml optimizer.batch_size=2 --steps 100",
    )
    parser.add_argument("--model", default=node.model, metavar="M", help="name or file (default: %(default)s)")
    parser.add_argument("--backend", choices=BACKENDS, default=node.backend, help="default: %(default)s")
    parser.add_argument("--device", default=node.device, help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default=node.precision, help="default: %(default)s")
    parser.add_argument("--threads", type=_count, default=node.threads, metavar="N", help="CPU threads (one a core)")
    parser.add_argument(
        "--thread-spinning", action="store_true", help="as the node's parameter: threads spin while they wait"
    )
    parser.add_argument(
        "--size",
        type=_size,
        nargs="+",
        metavar="WxH",
        help="image sizes, pixels (default: the file's own where it has one, else 1242x375 and 1280x720)",
    )
    parser.add_argument("--batch", type=_count, default=1, metavar="N", help="images a run (default: %(default)s)")
    parser.add_argument("--frames", type=_count, default=100, metavar="N", help="images a size (default: %(default)s)")
    parser.add_argument("--eager", type=Path, metavar="CHECKPOINT", help="compare with eager fp32 PyTorch of this")
    parser.add_argument(
        "--end-to-end", action="store_true", help="also from stamp to subscriber over DDS (needs ROS 2)"
    )
    parser.add_argument("--rate", type=_rate, default=_RATE_HZ, metavar="HZ", help="end to end (default: %(default)g)")
    parser.add_argument("--stride", type=_count, default=1, metavar="N", help="end to end: cloud stride (default: 1)")
    parser.add_argument(
        "--training",
        nargs="+",
        metavar=("CONFIG", "key=value"),
        help="measure training steps of this YAML file next to a plain eager loop instead of a model",
    )
    parser.add_argument(
        "--steps", type=_count, default=_STEPS, metavar="N", help="training steps of each side (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write tables here")


def run(args: argparse.Namespace) -> int:
    """Measure, say the main figures and write the files.

    Raises:
        SpaceClipError: the model cannot be used, or a run failed.
    """
    from space_clip_ros.tools.benchmark.report import markdown
    from space_clip_ros.tools.benchmark.training_report import training_markdown

    if args.training and (args.eager or args.end_to_end):
        raise InputError("--training measures training alone; leave out --eager and --end-to-end")
    result = training_command.measure(args.training, args.steps) if args.training else _measure(args)
    if args.json:
        _write(args.json, json.dumps(result, indent=2) + "\n")
    if args.markdown:
        _write(args.markdown, training_markdown(result) if args.training else markdown(result))
    return 0


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    from space_clip_ros.inference.threads import thread_count
    from space_clip_ros.tools.benchmark.measured_model import open_subject
    from space_clip_ros.tools.benchmark.report import end_to_end_summary, opening

    result, threads = opening(), thread_count(args.threads)
    subject = open_subject(args.model, **{name: getattr(args, name) for name in RUNNING})
    info = subject.info
    spinning = args.thread_spinning and (info.backend, info.device) == ("onnxruntime", "cpu")
    waiting = " that spin" if spinning else ""
    say(f"{info.name} on {info.backend}, {info.device}, {info.precision}, {threads} threads{waiting}")
    roof = _roof(info, threads)
    try:
        cases = _cases(args, subject, roof)
    finally:
        subject.close()
    parts = _end_to_end(args, [tuple(case["size"]) for case in cases]) if args.end_to_end else []
    for part in parts:
        say(f"end to end, {end_to_end_summary(part)}")
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
        "roof": None if roof is None else vars(roof),
        "cases": cases,
        "end_to_end": parts,
    }


def _roof(info: ModelInfo, threads: int) -> Roof | None:
    """Measure the machine's limits; None on a GPU without PyTorch to measure it with."""
    import importlib.util

    from space_clip_ros.tools.benchmark.roofline import measure_cpu, measure_device

    if info.device == "cpu":
        roof = measure_cpu(threads)
    elif importlib.util.find_spec("torch"):
        roof = measure_device(info.device, info.precision)
    else:
        say("no floor: measuring a GPU's limits needs PyTorch")
        return None
    say(f"limits here: {roof.gflops:g} GFLOP/s {roof.precision}, {roof.gbytes:g} GB/s ({roof.measured_by})")
    return roof


def _cases(args: argparse.Namespace, subject: Subject, roof: Roof | None) -> list[dict[str, Any]]:
    from space_clip_ros.tools.benchmark.measure import Case, measure, peak_memory, steps
    from space_clip_ros.tools.benchmark.report import summary

    cases = [Case(width, height, args.batch, args.frames) for width, height in _sizes(args, subject)]
    # Before PyTorch is loaded for the comparison, whose memory is not the model's.
    memory = [peak_memory(subject, case) for case in cases]
    eager = _eager(args, subject)
    results = []
    with progress_bar(sum(steps(case, eager is not None) for case in cases), "benchmark") as bar:
        for case, held in zip(cases, memory, strict=True):
            results.append({**measure(subject, eager, roof, case, bar.advance), "memory_mb": held})
    for result in results:
        say(summary(result))
    return results


def _sizes(args: argparse.Namespace, subject: Subject) -> list[tuple[int, int]]:
    if args.size:
        return list(args.size)
    fixed = subject.info.fixed_size
    return list(_SIZES) if fixed is None else [(fixed[1], fixed[0])]


def _eager(args: argparse.Namespace, subject: Subject) -> EagerModel | None:
    if args.eager is None:
        return None
    from space_clip_ros.tools.benchmark.eager import EagerModel

    eager = EagerModel(args.eager, subject.info.device, args.threads)
    ours, plain = subject.config, eager.config
    if (ours.encoder, ours.decoder.channels, ours.input_size) != (
        plain.encoder,
        plain.decoder.channels,
        plain.input_size,
    ):
        raise ModelError(
            f"{args.eager}: is another network than {subject.info.file}; give the checkpoint it was exported from"
        )
    return eager


def _end_to_end(args: argparse.Namespace, sizes: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    """Run the part that needs ROS, in a process of its own: the command line itself does without."""
    with tempfile.TemporaryDirectory(prefix="space_clip_benchmark_") as folder:
        file = Path(folder, "end_to_end.json")
        command = [sys.executable, "-m", _END_TO_END, "--json", str(file)]
        for name in ("model", "backend", "device", "precision", "threads", "rate", "frames", "stride"):
            command += [f"--{name}", str(getattr(args, name))]
        command += ["--thread-spinning"] if args.thread_spinning else []
        status = _run_to_its_end([*command, "--size", *("x".join(map(str, size)) for size in sizes)])
        if status:
            raise BackendError(
                f"the end-to-end part ended with status {status}, see above; it needs ROS 2: source "
                "/opt/ros/DISTRO/setup.bash or pip install 'space_clip_ros[ros]', or leave --end-to-end out"
            )
        parts: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return parts


def _run_to_its_end(command: list[str]) -> int:
    """Run a command and return its status; whatever ends this process before ends the command too, in good order."""
    with ending_on_sigterm(), subprocess.Popen(command) as process:
        try:
            return process.wait()
        except BaseException:
            # It stops processes of its own, and must have the time for that.
            process.terminate()
            process.wait()
            raise


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    say(f"written: {path}")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT in pixels, got {text!r}")
    return int(width), int(height)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 200:
        raise argparse.ArgumentTypeError(f"must be between 0.1 and 200 Hz, got {text!r}")
    return value
