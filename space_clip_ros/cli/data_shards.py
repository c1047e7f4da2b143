"""``space_clip data shards``: write the frames of a settings file into shards."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from space_clip_ros.cli.options import add_config, positive

_PARTS = ("train", "validation")
_MB = 1 << 20


def add_parser(subparsers: Any) -> None:
    """Add the action and its options."""
    parser = subparsers.add_parser(
        "shards",
        help="write frames into shards",
        description="Write the frames of data.train and data.validation into shards: plain tar files in WebDataset's "
        "layout, with an index, to be read from a disk, an HTTP server or object storage by sources of kind shards. "
        "Nothing is lost, and training on them is the same to the bit. Run the command again to continue after "
        "an interruption.",
        epilog="example: space_clip data shards config/kitti.yaml --out data/kitti_shards",
    )
    add_config(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--only", choices=_PARTS, help="write only these frames (default: both)")
    parser.add_argument("--frames", type=positive, metavar="N", help="frames in a shard (default: 256)")


def run(args: argparse.Namespace) -> int:
    """Write the shards, and print the settings that read them.

    Raises:
        ConfigError: the settings cannot be used, or name no frames.
        DataError: frames cannot be read, or shards cannot be written.
    """
    from space_clip_ros.cli.console import progress_bar, say
    from space_clip_ros.data.collection import open_sources
    from space_clip_ros.data.shard_writer import FRAMES_A_SHARD, write_shards
    from space_clip_ros.errors import ConfigError
    from space_clip_ros.files import check_output_folder
    from space_clip_ros.settings import load
    from space_clip_ros.training_config import TrainingConfig, sources

    check_output_folder(args.out)
    config = load(TrainingConfig, args.config, args.overrides)
    if config.data.skip_broken:
        raise ConfigError(
            "data.skip_broken",
            "cannot be used for shards, which must hold every frame",
            "set it to false and repair the frames that 'space_clip data check' lists",
        )
    parts = {part: sources(getattr(config.data, part)) for part in _PARTS if args.only in (None, part)}
    if not any(parts.values()):
        raise ConfigError(args.config, "names no frames", "add data.train or data.validation")
    settings = []
    for part, configs in parts.items():
        entries = []
        for number, source in enumerate(configs):
            folder = args.out / f"{part}_{number}"
            frames = open_sources([source])
            with progress_bar(sum(map(len, frames)), folder.name) as bar:
                written = write_shards(frames, folder, bar.update, args.frames or FRAMES_A_SHARD)
            say(f"{folder}: {written.frames} frames in {written.shards} shards, {written.size / _MB:.1f} MB")
            weight = f", weight: {source.weight:g}" if source.weight != 1.0 else ""
            entries.append(f"{{kind: shards, path: {folder}{weight}}}")
        if entries:
            settings.append(f"'data.{part}=[{', '.join(entries)}]'")
    say(f"read them with {' '.join(settings)}")
    return 0
