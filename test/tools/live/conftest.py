"""A running server of the live page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from space_clip_ros.messages.diagnostics import Level


class Served(NamedTuple):
    server: Any
    url: str


@pytest.fixture
def served() -> Iterator[Served]:
    """A server on a free port."""
    from space_clip_ros.tools.live.address import address, listen
    from space_clip_ros.tools.live.server import LiveServer

    listener = listen(0)
    url = address(listener)
    server = LiveServer(listener)
    yield Served(server, url)
    server.close()


@pytest.fixture
def encoded_update() -> Callable[..., bytes]:
    """Make an update of a grey image and a red depth, and perhaps a blue scan: ``encoded_update(state, grey=128)``."""
    from space_clip_ros.tools.live.page import depth_bar
    from space_clip_ros.tools.live.update import Figures, encode_jpeg, encode_update

    def make(
        state: str, grey: int = 128, level: Level = Level.OK, size: tuple[int, int] = (94, 312), scan: bool = False
    ) -> bytes:
        red = np.zeros((*size, 3), np.uint8)
        red[..., 0] = 200
        facts = [("model", "<b>tiny</b>"), ("stages, ms", ", ".join(f"stage_{number} 1.25" for number in range(9)))]
        figures = Figures(state, level, [("9.8", "Hz published"), ("0.123", "abs_rel against the truth")], facts)
        pictures = {"image": encode_jpeg(np.full((*size, 3), grey, np.uint8)), "depth": encode_jpeg(red)}
        blue = encode_jpeg(np.full((360, 640, 3), (0, 0, 200), np.uint8)) if scan else b""
        figures = replace(figures, scale=depth_bar(0.1, 20.0, "viridis"))
        return encode_update(figures, {**pictures, "uncertainty": b"", "scan": blue})

    return make
