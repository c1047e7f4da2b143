"""Starts an executable so that it answers Ctrl-C and SIGTERM quietly from the first moment.

Importing ROS and the model's runtime takes a while, and a signal during that time would end in a traceback. Once the
node runs, :mod:`space_clip_ros.ros.common.spin` takes over. Nothing heavy may be imported here.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any, NoReturn

from space_clip_ros.libraries import LibraryError, check_numeric_libraries, import_error


def start(module: str, name: str) -> NoReturn:
    """Import ``space_clip_ros.MODULE``, run its ``main`` and exit with its status.

    A library that is missing or cannot be loaded ends in one line on standard error and status 1.

    Args:
        module: the module below this package, such as ``ros.node.depth_node``.
        name: the executable's name, for the message when a signal stops it during the imports.
    """

    def stop(*_: Any) -> None:
        sys.stdout.write(f"{name}: stopped before it started\n")
        sys.stdout.flush()
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        check_numeric_libraries()
        main = importlib.import_module(f"space_clip_ros.{module}").main
    except LibraryError as error:
        sys.exit(f"{name}: {error}")
    except ImportError as error:
        sys.exit(f"{name}: {import_error(error)}")
    sys.exit(main())
