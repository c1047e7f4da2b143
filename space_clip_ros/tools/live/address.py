"""The page's address: a port of the loopback interface, which other machines cannot reach."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import subprocess
import sys

from space_clip_ros.errors import InputError

HOST = "127.0.0.1"
"""The address the page is served on; other machines reach it only through ``ssh -L``."""

PORT = 8321
"""Default port of the page."""

_BACKLOG = 16


def port_number(text: str) -> int:
    """Return the port number that a command line gives, 0 to 65535.

    Raises:
        ArgumentTypeError: it is out of range.
        ValueError: it is not a number.
    """
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"must be between 0 and 65535, got {text}")
    return value


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of :data:`HOST`; 0 picks any free port.

    Raises:
        InputError: the port is taken, or this user may not use it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Lets a new run use the port right after an earlier run has closed it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise InputError(f"port {port} of {HOST}", reason, "give another one, or 0 for any that is free") from error
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL that a browser on this machine opens."""
    return f"http://{HOST}:{listener.getsockname()[1]}/"


def open_browser(url: str) -> bool:
    """Open the page in the user's browser if there is a display; return whether there is one."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    # Its own session, without the terminal: browsers print messages there, and Ctrl-C must not reach them.
    subprocess.Popen(
        [sys.executable, "-m", "webbrowser", url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True
