"""Options of the live view; needs neither ROS nor Tornado."""

from __future__ import annotations

from dataclasses import dataclass

from space_clip_ros.tools.live.address import PORT, port_number
from space_clip_ros.tools.program_options import ProgramOptions, option

RAW, COMPRESSED = "raw", "compressed"
"""Forms of the images, named as by ``image_transport``."""


@dataclass(frozen=True)
class ViewOptions(ProgramOptions):
    """Where the page is served and what it shows."""

    port: int = option(PORT, "port of the page; 0 for any free one", parse=port_number)
    # The demo's child inherits a socket that already listens, instead of --port.
    socket: int | None = option(None, "")
    image_transport: str = option(RAW, "form of the images", choices=(RAW, COMPRESSED))
