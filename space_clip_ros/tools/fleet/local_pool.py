"""Runs tasks on this machine, each in its own process, so that a bag that crashes affects no other."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess as _Process

from space_clip_ros.cli.signals import ending_on_sigterm
from space_clip_ros.tools.fleet.tasks import BagResult, BagTask, run_task


class LocalPool:
    """Runs tasks in processes.

    Args:
        workers: number of tasks at once.
    """

    def __init__(self, workers: int) -> None:
        """Keep the number; nothing is started yet."""
        self._workers = workers

    def results(self, tasks: Sequence[BagTask]) -> Generator[BagResult, None, None]:
        """Yield the result of each task as it ends. Closing the iterator ends the running tasks."""
        context = get_context("spawn")
        waiting = deque(tasks)
        running: dict[Connection, tuple[BagTask, _Process]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._workers:
                    task = waiting.popleft()
                    ours, theirs = context.Pipe(duplex=False)
                    process = context.Process(target=_work, args=(theirs, task), name=task.bag.name)
                    process.start()
                    theirs.close()
                    running[ours] = (task, process)
                for ready in wait(list(running)):
                    assert isinstance(ready, Connection)
                    task, process = running.pop(ready)
                    yield _received(ready, task, process)
        finally:
            for _, process in running.values():
                process.terminate()
            for _, process in running.values():
                process.join()


def _received(connection: Connection, task: BagTask, process: _Process) -> BagResult:
    with connection:
        try:
            result: BagResult = connection.recv()
        except EOFError:
            process.join()
            return BagResult(task.bag.name, problem=f"its process {_ending(process.exitcode)}")
    process.join()
    return result


def _ending(status: int | None) -> str:
    if status is None or status >= 0:
        return f"ended with status {status}"
    killed = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-status).name}{killed}"


def _work(connection: Connection, task: BagTask) -> None:
    # Ctrl-C reaches every process of a terminal; the one that started this decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ending_on_sigterm(), connection:
        connection.send(run_task(task))
