"""Where the page is: a port of this machine's own address, which nobody else can reach."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import subprocess
import sys

from space_clip_ros.errors import InputError

HOST = "127.0.0.1"
"""What the page is served on; other machines come through ``ssh -L``."""

PORT = 8321
_WAITING = 16


def port_number(text: str) -> int:
    """Return a port number of a command line.

    Raises:
        ArgumentTypeError: it is out of range; ValueError where it is no number.
    """
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"must be between 0 and 65535, got {text}")
    return value


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of :data:`HOST`, any free one for 0.

    Raises:
        InputError: the port is taken, or this user may not have it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that an earlier run has just left may be had again.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise InputError(f"port {port} of {HOST} {reason}; give another one, or 0 for any that is free") from error
    return listener


def address(listener: socket.socket) -> str:
    """Return what a browser on this machine opens."""
    return f"http://{HOST}:{listener.getsockname()[1]}/"


def open_browser(url: str) -> bool:
    """Open the page in the user's browser if there is a display to show it on; return whether there is."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    # In a process and session of its own: a browser may talk on the terminal, and Ctrl-C is not for it.
    subprocess.Popen(
        [sys.executable, "-m", "webbrowser", url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True
