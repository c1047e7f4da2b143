"""The demo's live view: its page is reserved before anything starts, and served by a process of its own."""

from __future__ import annotations

import importlib.util

from space_clip_ros.errors import DataError
from space_clip_ros.tools.live import address
from space_clip_ros.tools.live.options import ViewOptions
from space_clip_ros.tools.processes import Child, Children

# The node goes first where there are more processes than cores.
_NICENESS = 10


class LiveView:
    """The page of one run.

    Args:
        port: where it is served; 0 for any that is free.
        transport: the images' form, ``raw`` or ``compressed``.

    Attributes:
        url: what a browser opens.

    Raises:
        DataError: the library that serves it is not installed.
        InputError: the port cannot be had.
    """

    def __init__(self, port: int, transport: str) -> None:
        """Take the port."""
        if importlib.util.find_spec("tornado") is None:
            raise DataError(
                "--view needs the Python package tornado, which is not installed; pip install 'space_clip_ros[view]'"
            )
        self._listener = address.listen(port)
        self._transport = transport
        self.url = address.address(self._listener)

    def start(self, children: Children) -> Child:
        """Start the server, which takes the port over, and a browser where there is a display."""
        inherited = self._listener.fileno()
        options = ViewOptions(socket=inherited, image_transport=self._transport)
        child = children.start("view", {}, options.arguments(), niceness=_NICENESS, inherited=[inherited])
        self._listener.close()
        address.open_browser(self.url)
        return child
