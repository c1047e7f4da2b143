"""``space_clip engine``: an exported file as a TensorRT engine for this machine's GPU, checked before it is kept."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.console import callback, progress_bar, say
from space_clip_ros.cli.options import add_setting, check_image_size, positive
from space_clip_ros.config import NodeConfig

if TYPE_CHECKING:
    from space_clip_ros.geometry.color import Rgb

_DRIVE_FRAMES = 8


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "engine",
        help="build a TensorRT engine for this machine's GPU, checked against ONNX Runtime",
        description="Build a TensorRT engine of an exported file for this machine's GPU, compare its depth with ONNX "
        "Runtime's and keep it in the user's cache, where backend auto finds it. An engine that is in the cache "
        "already is not built again.",
        epilog="example: space_clip engine road_fp16.onnx --drive 2011_09_26_drive_0005_sync",
    )
    parser.add_argument(
        "file", metavar="FILE.onnx", help="exported file, or a model's name, whose fp16 file is preferred"
    )
    parser.add_argument(
        "--height", type=positive, metavar="H", help="height of the images, for a file that takes any size"
    )
    parser.add_argument("--width", type=positive, metavar="W", help="width of the images, pixels")
    add_setting(
        parser,
        NodeConfig,
        "precision",
        help="which of a name's files; for a file only a check, as the graph decides the precision, not the builder "
        "(default: %(default)s)",
    )
    add_setting(parser, NodeConfig, "device", help="auto, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--images", type=Path, nargs="+", default=[], metavar="IMAGE", help="real images to compare on as well"
    )
    parser.add_argument("--drive", type=Path, metavar="DIR", help="KITTI raw drive to compare on as well")
    parser.add_argument("--force", action="store_true", help="build even if the cache has the engine")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Build an engine and report its file and its difference from ONNX Runtime.

    Raises:
        SpaceClipError: the file or an image cannot be used, there is no TensorRT or GPU, or the engine was refused.
    """
    check_image_size(args)

    from space_clip_ros.errors import BackendError, InputError
    from space_clip_ros.inference import model_files

    file = _file(args)
    if not model_files.is_graph(file):
        raise InputError(file, "is no .onnx file", "an engine is built of one, made with 'space_clip export'")
    try:
        from space_clip_ros.export.engine import build_engine
    except ModuleNotFoundError as error:
        if error.name != "tensorrt":
            raise
        remedy = "it comes with JetPack, elsewhere pip install tensorrt"
        raise BackendError("the Python package 'tensorrt'", "is not installed", remedy) from error

    with _BuildLog() as log:
        report = build_engine(
            file,
            None if args.height is None else (args.height, args.width),
            args.precision,
            args.device,
            images=list(_images(args)),
            force=args.force,
            progress=log.progress,
            say=log.say,
        )
    key = report.key
    say(f"{report.path}: {key.size_text} pixels, {key.precision}, {'built' if report.built else 'was there already'}")
    say(f"difference from ONNX Runtime: {report.agreement}")
    if report.language is not None:
        say(str(report.language))
    return 0


def _file(args: argparse.Namespace) -> Path:
    """Return the file that is meant; of a name the one in fp16, which ``auto`` runs on a GPU, if there is one."""
    from space_clip_ros.inference import model_files

    file = model_files.resolve(args.file, args.precision)
    chosen = args.precision != "auto" or args.file != file.stem
    return file if chosen else model_files.in_precision(file, "fp16") or file


def _images(args: argparse.Namespace) -> Iterator[Rgb]:
    from space_clip_ros.data.kitti import KittiDrive
    from space_clip_ros.geometry.image_file import read_rgb

    for file in args.images:
        yield read_rgb(file)
    if args.drive is not None:
        drive = KittiDrive(args.drive)
        for index in range(0, len(drive), max(1, len(drive) // _DRIVE_FRAMES)):
            yield drive.image(index)


class _BuildLog:
    """Prints a line for each step and phase, and a progress bar for the current phase."""

    def __init__(self) -> None:
        self._phase = ""
        self._bar: Any = None

    def __enter__(self) -> _BuildLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def say(self, text: str) -> None:
        """Close the progress bar and print a line."""
        self._close()
        say(text)

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show the progress of TensorRT's current phase."""
        if phase != self._phase or self._bar is None:
            self.say(f"TensorRT: {phase}")
            self._phase, self._bar = phase, progress_bar(total, phase)
        callback(self._bar)(done, total)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
