"""One bag's task: the plain data that goes to a worker and comes back."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from space_clip_ros.errors import DataError, SpaceClipError, describe
from space_clip_ros.inference import load_predictor
from space_clip_ros.tools.bags.prediction import PredictionOptions, predict_bag
from space_clip_ros.tools.fleet.bags import FleetBag
from space_clip_ros.tools.fleet.storage import Storage, is_url


@dataclass(frozen=True)
class BagTask:
    """A bag to add depth to.

    Attributes:
        bag: the bag.
        out: path or address of the new bag.
        options: what is added.
        threads: CPU threads of the model if its settings do not say; 0 for one per physical core.
    """

    bag: FleetBag
    out: str
    options: PredictionOptions
    threads: int = 0


@dataclass(frozen=True)
class BagResult:
    """How a task ended.

    Attributes:
        name: name of the bag.
        images: number of its images.
        left_out: number of images that gave no depth.
        notes: what is unusual about the bag.
        problem: why there is no new bag; empty if there is one.
        trace: traceback of an unexpected error.
        ran: backend, device and precision that the model ran with; empty if there is no new bag.
    """

    name: str
    images: int = 0
    left_out: int = 0
    notes: tuple[str, ...] = ()
    problem: str = ""
    trace: str = field(default="", repr=False)
    ran: str = ""


def run_task(task: BagTask) -> BagResult:
    """Add depth to one bag; every error becomes the result's problem."""
    notes: list[str] = []
    try:
        settings = task.options.settings
        running = settings.running()
        running["threads"] = running["threads"] or task.threads
        with (
            load_predictor(settings.model, **running) as predictor,
            tempfile.TemporaryDirectory(prefix="space_clip_fleet_") as scratch,
        ):
            source = _fetched(task.bag.source, Path(scratch))
            stored = is_url(task.out)
            out = Path(scratch, "out", Path(task.bag.name).name) if stored else Path(task.out)
            added = predict_bag(source, out, predictor, task.options, warn=notes.append)
            ran = f"{predictor.info.backend}, {predictor.info.device.partition(':')[0]}, {predictor.info.precision}"
            if stored:
                Storage(task.out).put(out, task.out)
    except SpaceClipError as error:
        return BagResult(task.bag.name, notes=tuple(notes), problem=str(error))
    except Exception as error:
        # An unexpected error in one bag must not cost the others.
        trace = traceback.format_exc()
        return BagResult(task.bag.name, notes=tuple(notes), problem=f"internal error, {describe(error)}", trace=trace)
    return BagResult(task.bag.name, added.images, added.left_out, tuple(notes), ran=ran)


def _fetched(source: str, scratch: Path) -> Path:
    """Return a bag on this machine's disk."""
    if not is_url(source):
        return Path(source)
    target = scratch / "bag" / source.rpartition("/")[2]
    try:
        free = shutil.disk_usage(scratch).free
        Storage(source).fetch(source, target)
    except OSError as error:
        raise DataError(source, f"cannot be copied to {scratch} ({error.strerror}; {free >> 20} MB free)") from error
    return target
