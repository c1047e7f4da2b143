"""``space_clip download``: fetches data sets and weights from their official addresses."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from space_clip_ros.data.remote_files import DATA_SETS, RemoteFile


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand and its options."""
    parser = subparsers.add_parser(
        "download",
        help="fetch data sets and weights",
        description="Fetch KITTI (raw drives of the Eigen split, annotated depth: about 175 GB of archives), NYU Depth"
        " V2 (24,231 synchronised training frames, about 6 GB, and the labelled set with the test frames, 2.8 GB) or"
        " CLIP ViT-B/16's weights (0.35 GB). Interrupted downloads resume where they stopped. Each has its own licence:"
        " see its publisher's page.",
        epilog="example: space_clip download kitti --to data/kitti --only '2011_09_26_calib.zip' '*drive_0001*'",
    )
    parser.add_argument("what", choices=DATA_SETS, help="what to fetch")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder to fetch to (default data/WHAT)")
    parser.add_argument("--only", nargs="+", default=[], metavar="PATTERN", help="only files whose names match")
    parser.add_argument("--list", action="store_true", help="list the files and their addresses without fetching them")
    parser.add_argument("--keep-archives", action="store_true", help="keep archives after unpacking them")


def run(args: argparse.Namespace) -> int:
    """Fetch and unpack the files, and print where they are.

    Raises:
        InputError: a pattern matches no file.
        DownloadError: a file cannot be downloaded or unpacked.
        DataError: NYU's labelled set cannot be converted.
        ImportError: NYU's labelled set needs h5py and SciPy, and one is not installed.
    """
    from space_clip_ros.cli.console import say
    from space_clip_ros.data.download import choose_files
    from space_clip_ros.data.nyu_labeled import import_readers

    files = choose_files(args.what, args.only)
    if args.list:
        for file in files:
            say(f"{file.name}  {' or '.join(file.urls)}  sha256 {file.sha256 or 'not published'}")
        return 0
    convert = args.what == "nyu" and not args.only
    if convert:
        import_readers()
    folder = args.to or Path("data", args.what)
    # NYU's test frames are ready before the long download of its training frames starts.
    labelled = [file for file in files if file.unpack is None] if convert else []
    _fetch(labelled, folder, args)
    if convert:
        _convert_nyu(folder, say)
    _fetch([file for file in files if file not in labelled], folder, args)
    return 0


def _fetch(files: Sequence[RemoteFile], folder: Path, args: argparse.Namespace) -> None:
    from space_clip_ros.cli.console import callback, progress_bar, say
    from space_clip_ros.data.download import download

    with progress_bar(0, args.what, "B") as bar:
        show = callback(bar)

        def report(label: str, done: int, total: int) -> None:
            show(done, total, label)

        for path in dict.fromkeys(download(files, folder, keep_archives=args.keep_archives, progress=report)):
            say(str(path))


def _convert_nyu(folder: Path, say: Callable[[str], None]) -> None:
    from space_clip_ros.cli.console import callback, progress_bar
    from space_clip_ros.data.nyu_labeled import TEST_LIST, convert_labeled

    if (folder / TEST_LIST).is_file():
        return
    with progress_bar(1, "converting") as bar:
        files = (folder / "nyu_depth_v2_labeled.mat", folder / "splits.mat")
        for path in convert_labeled(*files, folder, callback(bar)):
            say(str(path))
