"""The demo's live view: takes its port before anything starts, and serves the page from its own process."""

from __future__ import annotations

import importlib

from space_clip_ros.libraries import import_error
from space_clip_ros.tools.executables import LIVE_VIEW
from space_clip_ros.tools.live import address
from space_clip_ros.tools.live.options import ViewOptions
from space_clip_ros.tools.processes import Child, Children

# With more processes than cores, the node must come first.
_NICENESS = 10


class LiveView:
    """The live page of one run.

    Args:
        port: where it is served; 0 for any free one.
        transport: ``raw`` or ``compressed`` images.

    Attributes:
        url: its address, for a browser.

    Raises:
        LibraryError: the library that serves it is not installed.
        InputError: the port is taken, or this user may not use it.
    """

    def __init__(self, port: int, transport: str) -> None:
        """Take the port."""
        try:
            importlib.import_module("tornado")
        except ImportError as error:
            raise import_error(error, "tornado") from error
        self._listener = address.listen(port)
        self._transport = transport
        self.url = address.address(self._listener)

    def start(self, children: Children) -> Child:
        """Start the server, which takes over the port, and open a browser if there is a display."""
        inherited = self._listener.fileno()
        options = ViewOptions(socket=inherited, image_transport=self._transport)
        child = children.start(LIVE_VIEW, {}, options.arguments(), niceness=_NICENESS, inherited=[inherited])
        self._listener.close()
        address.open_browser(self.url)
        return child
