"""``space_clip data check``: compares the frames on disk with a run's splits, and names the missing files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.options import add_config, refuse_sources
from space_clip_ros.training_config import PUBLISHED_LISTS

if TYPE_CHECKING:
    from space_clip_ros.data.completeness import SceneCheck, SourceCheck

_FILES_SHOWN = 3
_SCENES_SHOWN = 40


def add_parser(actions: Any) -> None:
    """Add the action and its options."""
    parser = actions.add_parser(
        "check",
        help="check whether the data of a training run is complete",
        description="Compare the frames on disk with the lists and splits of a training run, and name the files "
        "that are missing or broken, by drive or scene. Exits with 0 if nothing is missing and with 1 otherwise.",
        epilog="example: space_clip data check config/kitti.yaml --json missing.json",
    )
    add_config(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every missing file to a JSON file")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Check every source; return 0 if all frames are there, 1 otherwise.

    Raises:
        ConfigError: the settings cannot be used, or name no source.
        DataError: the JSON file cannot be written.
    """
    from space_clip_ros.cli.console import callback, progress_bar, say
    from space_clip_ros.data.completeness import check_source
    from space_clip_ros.errors import ConfigError
    from space_clip_ros.files import check_output_files, write_json
    from space_clip_ros.settings import load
    from space_clip_ros.training_config import TrainingConfig, sources

    refuse_sources(args, args.config, names=("json",))
    check_output_files(args.json)
    data = load(TrainingConfig, args.config, args.overrides).data
    named = [(what, sources(values)) for what, values in (("train", data.train), ("validation", data.validation))]
    if not any(configs for _, configs in named):
        raise ConfigError(args.config, "names no source under data.train or data.validation", "add one with its path")
    checks = []
    for what, configs in named:
        for index, config in enumerate(configs):
            where = f"data.{what}[{index}]"
            with progress_bar(0, f"checking {where}") as bar:
                checks.append(check_source(where, config, callback(bar)))
            for line in _lines(checks[-1]):
                say(line)
    complete = all(check.complete for check in checks)
    wanted, present = sum(check.wanted for check in checks), sum(check.present for check in checks)
    unusable = sum(bool(check.problem) for check in checks)
    but = f"{unusable} of {len(checks)} sources cannot be used; of the others, " if unusable else ""
    say(f"complete: {wanted} frames" if complete else f"incomplete: {but}{present} of {wanted} frames are there")
    for name in dict.fromkeys(PUBLISHED_LISTS[check.frames] for check in checks if _lacks_published(check)):
        say(f"`space_clip download {name.removesuffix('_list')}` fetches them; docs/training.md says where to put them")
    if args.json:
        entries = [check.to_dict() for check in checks]
        report = {"complete": complete, "wanted": wanted, "present": present, "sources": entries}
        write_json(args.json, report)
    return 0 if complete else 1


def _lacks_published(check: SourceCheck) -> bool:
    return check.frames in PUBLISHED_LISTS and not check.complete


def _lines(check: SourceCheck) -> Iterator[str]:
    against = f" of {check.frames}" if check.frames else " found (no list to count against)"
    if check.problem:
        yield f"{check.where}: {check.path} cannot be used: {check.problem}"
        return
    of = f"all {check.wanted}" if check.complete else f"{check.present} of {check.wanted}"
    yield f"{check.where}: {of} frames{against} in {check.path}"
    if check.without_depth:
        yield f"  {check.without_depth} more of the published list have no annotated depth and are not counted"
    if not check.present and not Path(check.path).exists():
        yield f"  {check.path}: no such folder"
        return
    lacking = [scene for scene in check.scenes if scene.missing]
    for scene in lacking[:_SCENES_SHOWN]:
        yield f"  {scene.name}: {scene.present} of {scene.wanted}; {_missing_files(scene)}"
    if len(lacking) > _SCENES_SHOWN:
        yield f"  … and {len(lacking) - _SCENES_SHOWN} more with missing files; --json FILE lists all"


def _missing_files(scene: SceneCheck) -> str:
    shown = "; ".join(f"{file.path}: {file.reason}" for file in scene.missing[:_FILES_SHOWN])
    more = len(scene.missing) - _FILES_SHOWN
    return f"{shown}; … and {more} more" if more > 0 else shown
