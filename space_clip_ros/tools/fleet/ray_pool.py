"""Runs tasks on a Ray cluster; the only module that imports Ray."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

from space_clip_ros.errors import BackendError, describe
from space_clip_ros.libraries import import_error
from space_clip_ros.tools.fleet.tasks import BagResult, BagTask, run_task

LOCAL = "local"
"""Address that starts Ray on this machine while the tasks run."""

_RETRIES = 2
"""How often a task is retried if its machine or process is lost."""


class RayPool:
    """Runs tasks on a Ray cluster, whose machines must all have this package and see the bags and the model.

    A task takes one CPU and, where the cluster has any, one GPU.

    Args:
        address: ``local``; ``auto`` for the cluster that this machine is part of; or ``ray://HOST:10001``.
        workers: number of tasks at once; 0 for as many as fit.

    Raises:
        LibraryError: Ray is not installed.
    """

    def __init__(self, address: str, workers: int) -> None:
        """Import Ray; nothing is started yet."""
        try:
            import ray
        except ImportError as error:
            raise import_error(error, "ray") from error
        self._ray: Any = ray
        self._address = address
        self._workers = workers

    def results(self, tasks: Sequence[BagTask]) -> Generator[BagResult, None, None]:
        """Yield the result of each task as it ends. Closing the iterator ends the running tasks.

        Raises:
            BackendError: there is no cluster at the address.
        """
        self._connect()
        try:
            yield from self._run(tasks)
        finally:
            self._ray.shutdown()

    def _connect(self) -> None:
        options: dict[str, Any] = {}
        # A client of a cluster elsewhere takes no options.
        if not self._address.startswith("ray://"):
            options = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address == LOCAL:
            options |= {"num_cpus": self._workers or None, "include_dashboard": False}
        try:
            self._ray.init(address=self._address, **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise BackendError(f"Ray at {self._address}", f"cannot be used ({described(error)})") from error

    def _run(self, tasks: Sequence[BagTask]) -> Generator[BagResult, None, None]:
        gpus = 1 if self._ray.cluster_resources().get("GPU", 0) else 0
        remote = self._ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_RETRIES)(run_task)
        waiting = deque(tasks)
        running: dict[Any, BagTask] = {}
        while waiting or running:
            while waiting and (not self._workers or len(running) < self._workers):
                task = waiting.popleft()
                running[remote.remote(task)] = task
            ended, _ = self._ray.wait(list(running), num_returns=1)
            for reference in ended:
                yield self._result(reference, running.pop(reference))

    def _result(self, reference: Any, task: BagTask) -> BagResult:
        try:
            result: BagResult = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return BagResult(task.bag.name, problem=f"Ray: {described(error)}")
        return result


def described(error: Exception) -> str:
    """Return an error as one line; of a text that holds a worker's or server's traceback, only the last line."""
    text = str(error).strip()
    if "Traceback (most recent call last)" not in text:
        return describe(error)
    return text.splitlines()[-1].strip()
