"""The ``main`` of every executable: arguments, executor, signals and the last log line.

The main thread only waits for signals; the executor spins in a thread of its own. So Ctrl-C and SIGTERM work at once
even while a callback loads a model, which a signal handler in a busy main thread could not do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from space_clip_ros.errors import DeviceLostError, SpaceClipError, one_line
from space_clip_ros.settings import declared

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
CLOSE_S = 0.6
_WAKE_S = 0.1
_HELP_WIDTH = 100


class Finish(Protocol):
    """Ends the run, from any thread."""

    def __call__(self, failure: BaseException | None = None) -> None:
        """End it: a job is done, or ``failure`` makes it impossible to continue."""


MakeNode = Callable[[Finish], Any]
"""Makes an rclpy node with a method ``close() -> str``.

It is called once, after the last callback; it ends the node's own threads and returns the last log line. A node whose
attribute ``error`` is not None after that has failed.
"""


def run(
    make_node: MakeNode,
    name: str,
    description: str,
    args: Sequence[str] | None = None,
    close_s: float = CLOSE_S,
    settings: type | None = None,
    example: str = "",
) -> int:
    """Run a node until SIGINT, SIGTERM, its own end or an external shutdown; return the exit status.

    Args:
        make_node: makes the node once ROS is initialised.
        name: the executable's name.
        description: what ``--help`` says.
        args: command line without the program's name; None for the process's own.
        close_s: seconds that the node may take to close before the process ends anyway.
        settings: the dataclass of the node's parameters, which ``--help`` lists; None for a node without any.
        example: arguments that show how to call it.

    Returns:
        0 after a signal or a finished job, 1 if the node could not start, a callback failed, or the node gave up or has
        an ``error``.
    """
    command_line = list(sys.argv if args is None else [name, *args])
    events: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    with _signals_into(events):
        try:
            _parse(command_line, name, description, settings, example)
            rclpy.init(args=command_line, signal_handler_options=SignalHandlerOptions.NO)
            node = make_node(lambda failure=None: events.put(failure))
        except (SpaceClipError, RuntimeError) as error:
            # RuntimeError is what rclpy raises for arguments it cannot read.
            get_logger(name).fatal(one_line(error))
            rclpy.try_shutdown()
            return 1
        spinner = _Spinner(node, events)
        spinner.start()
        failure = events.get()
        return _finish(spinner, node, name, failure, close_s)


class _Spinner(threading.Thread):
    """Spins one node until it is stopped, and reports how it ended."""

    def __init__(self, node: Any, events: queue.SimpleQueue[BaseException | None]) -> None:
        super().__init__(name="executor", daemon=True)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._events = events
        self._stopping = False

    def run(self) -> None:
        failure: BaseException | None = None
        try:
            while not self._stopping:
                self._executor.spin_once(timeout_sec=_WAKE_S)
        except ExternalShutdownException:
            pass
        except BaseException as error:
            failure = error
        self._events.put(failure)

    def stop(self) -> None:
        """Stop spinning and wait for the current callback."""
        self._stopping = True
        self.join()
        # Not earlier: shutting a spinning executor down destroys what its own thread still waits for.
        self._executor.shutdown()


def _parse(command_line: list[str], name: str, description: str, settings: type | None, example: str) -> None:
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog="\n".join([*_parameters(settings), *([f"example: {name} --ros-args {example}"] if example else [])]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ros-args", action="store_true", help="ROS arguments follow, e.g. -p NAME:=VALUE -r FROM:=TO")
    parser.parse_args(remove_ros_args(args=command_line)[1:])


def _parameters(settings: type | None) -> Iterator[str]:
    """Yield the lines of ``--help`` about a node's parameters."""
    if settings is None:
        return
    yield "parameters (-p NAME:=VALUE; docs/parameters.md has types and ranges):"
    for setting in declared(settings):
        text = f"{setting.name} ({json.dumps(setting.default)}): {setting.help}"
        yield from textwrap.wrap(text, _HELP_WIDTH, initial_indent="  ", subsequent_indent=" " * 6)
    yield ""


@contextlib.contextmanager
def _signals_into(events: queue.SimpleQueue[BaseException | None]) -> Iterator[None]:
    # SimpleQueue.put may be interrupted by a handler that also puts; an Event or Condition could deadlock there.
    previous = {number: signal.signal(number, lambda *_: events.put(None)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _finish(spinner: _Spinner, node: Any, name: str, failure: BaseException | None, close_s: float) -> int:
    """Close the node in a thread, so that a callback or a model that hangs cannot keep the process alive."""
    if isinstance(failure, SpaceClipError):
        get_logger(name).fatal(one_line(failure))
    closing = threading.Thread(target=_close, args=(spinner, node), name="closing", daemon=True)
    closing.start()
    closing.join(close_s)
    if failure is not None and not isinstance(failure, SpaceClipError):
        sys.excepthook(type(failure), failure, failure.__traceback__)
    status = int(failure is not None or getattr(node, "error", None) is not None)
    busy = closing.is_alive()
    if busy:
        get_logger(name).info("stopped while busy")
    if busy or isinstance(failure, DeviceLostError):
        # A GPU library that cannot free its memory any more aborts the process in its destructors.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _close(spinner: _Spinner, node: Any) -> None:
    spinner.stop()
    farewell = node.close()
    node.get_logger().info(farewell)
    node.destroy_node()
    rclpy.try_shutdown()
