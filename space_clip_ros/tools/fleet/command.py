"""``space_clip predict --bag`` with many bags: its output and exit status."""

from __future__ import annotations

from collections.abc import Sequence

from space_clip_ros.cli.console import complain, progress_bar, say
from space_clip_ros.errors import listed
from space_clip_ros.inference.threads import thread_count
from space_clip_ros.tools.bags.prediction import PredictionOptions
from space_clip_ros.tools.fleet.bags import find_bags, refuse_inside
from space_clip_ros.tools.fleet.local_pool import LocalPool
from space_clip_ros.tools.fleet.run import FleetRun, Pool
from space_clip_ros.tools.fleet.tasks import BagResult


def run_fleet(sources: Sequence[str], out: str, options: PredictionOptions, workers: int, ray: str) -> int:
    """Add depth to every bag; return 0, or 1 if one failed.

    Args:
        sources: see :func:`~space_clip_ros.tools.fleet.bags.find_bags`.
        out: path or address of the output folder.
        options: what is added.
        workers: number of bags at once; 0 for one on this machine, or as many as fit on a Ray cluster.
        ray: address of a Ray cluster, see :class:`~space_clip_ros.tools.fleet.ray_pool.RayPool`; empty for none.

    Raises:
        SpaceClipError: nothing can be done: a source, the output folder, the model or the cluster cannot be used.
    """
    bags = find_bags(sources)
    refuse_inside(sources, bags, out)
    run = FleetRun(bags, out, options, threads_per_task(workers, ray))
    pool = _pool(workers, ray)
    if run.done:
        say(f"{len(run.done)} of {len(bags)} bags are done already")
    failed: list[BagResult] = []
    with progress_bar(len(run.tasks), "bags") as bar:
        for result in run.results(pool):
            bar.update()
            _report(result)
            if result.problem:
                failed.append(result)
    for result in sorted(failed, key=lambda result: result.name):
        complain(f"failed: {result.name}: {result.problem}")
    say(f"{len(bags) - len(failed)} of {len(bags)} bags are in {out}")
    if len(run.ways) > 1:
        parts = "; ".join(f"{way} for {listed(names)}" for way, names in run.ways.items())
        complain(
            f"the model did not run the same way for all bags ({parts}); --backend, --device and --precision fix it"
        )
    if failed:
        complain(f"{len(failed)} of {len(bags)} bags failed; run the command again to try only these")
    return 1 if failed else 0


def threads_per_task(workers: int, ray: str) -> int:
    """Return the CPU threads of each task: workers share the cores, and more threads than cores slow all of them."""
    return 1 if ray else max(thread_count() // max(workers, 1), 1)


def _pool(workers: int, ray: str) -> Pool:
    if not ray:
        return LocalPool(max(workers, 1))
    from space_clip_ros.tools.fleet.ray_pool import RayPool

    return RayPool(ray, workers)


def _report(result: BagResult) -> None:
    for note in result.notes:
        complain(f"{result.name}: {note}")
    if result.trace:
        complain(result.trace.rstrip())
    if not result.problem:
        left_out = f", {result.left_out} left out" if result.left_out else ""
        say(f"{result.name}: {result.images} images{left_out}")
