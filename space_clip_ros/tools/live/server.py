"""The page's server: a thread with Tornado, which sends every watcher the newest moment it is ready for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from space_clip_ros.config import NodeConfig
from space_clip_ros.tools.live import page

_NAMES = ("127.0.0.1", "localhost")
_GOING_AWAY = 1001
_FAREWELL_S = 0.3
_PING_S = 10
_LONGEST_QUESTION = 64
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'self'; "
    "connect-src 'self' ws://{host}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class LiveServer:
    """Serves the page on a listening socket until it is closed.

    A watcher gets a moment only when it has drawn the one before, so that on a slow line moments are left out and none
    is late. All but the thread's own code may be called from any thread.
    """

    def __init__(self, listener: socket.socket) -> None:
        """Start; ``listener`` is closed with the server."""
        self._listener = listener
        self._audience = _Audience()
        self._ready = threading.Event()
        application = _application(self._audience)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(application)), name="live", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def watchers(self) -> int:
        """How many pages are open."""
        return len(self._audience.watchers)

    def show(self, moment: bytes) -> None:
        """Send an update, made by :func:`~space_clip_ros.tools.live.update.message`, to every watcher that is ready."""
        # After the end there is no loop any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._audience.show, moment)

    def close(self) -> None:
        """Tell the watchers that it is over, and end; returns within about a third of a second."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, application: Application) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = HTTPServer(application)
        self._listener.setblocking(False)
        server.add_socket(self._listener)
        self._ready.set()
        await self._over.wait()
        server.stop()
        await self._audience.leave()
        await server.close_all_connections()


class _Audience:
    """The open pages; everything happens in the server's thread."""

    def __init__(self) -> None:
        self.watchers: set[_Live] = set()
        self._moment = b""
        self._number = 0

    def show(self, moment: bytes) -> None:
        self._moment = moment
        self._number += 1
        for watcher in self.watchers:
            self.offer(watcher)

    def offer(self, watcher: _Live) -> None:
        """Send the newest moment if the watcher is ready and has not had it."""
        if watcher.ready and watcher.seen < self._number:
            watcher.ready, watcher.seen = False, self._number
            watcher.send(self._moment)

    def add(self, watcher: _Live) -> None:
        # What an earlier watcher saw is old: the first moment is one to come.
        watcher.seen = self._number
        self.watchers.add(watcher)

    async def leave(self) -> None:
        for watcher in list(self.watchers):
            watcher.close(_GOING_AWAY, "the demo has ended")
        deadline = asyncio.get_running_loop().time() + _FAREWELL_S
        while self.watchers and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)


class _Guarded(RequestHandler):
    """Answers only who asked for this machine by its own names, however a foreign page made its name lead here."""

    def prepare(self) -> None:
        if self.request.host_name not in _NAMES:
            raise HTTPError(403, reason="only by the names of this machine")

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", _POLICY.format(host=self.request.host))
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")


class _Text(_Guarded):
    def initialize(self, text: str, kind: str) -> None:
        self._text, self._kind = text, kind

    def get(self) -> None:
        self.set_header("Content-Type", f"{self._kind}; charset=utf-8")
        self.finish(self._text)


class _Unknown(_Guarded):
    def get(self) -> None:
        raise HTTPError(404)


class _Live(_Guarded, WebSocketHandler):
    """One watcher. That the page asks from the server's own origin is checked by Tornado."""

    def initialize(self, audience: _Audience) -> None:
        self.ready, self.seen = True, 0
        self._audience = audience
        self._sending: asyncio.Future[None] | None = None

    def open(self, *_: Any, **__: Any) -> None:
        self.set_nodelay(True)
        self._audience.add(self)

    def on_message(self, _: str | bytes) -> None:
        self.ready = True
        self._audience.offer(self)

    def on_close(self) -> None:
        self._audience.watchers.discard(self)

    def send(self, moment: bytes) -> None:
        self._sending = asyncio.ensure_future(self._send(moment))

    async def _send(self, moment: bytes) -> None:
        with contextlib.suppress(WebSocketClosedError):
            await self.write_message(moment, binary=True)


def _application(audience: _Audience) -> Application:
    texts = {"/": (page.html(NodeConfig()), "text/html"), "/live.js": (page.script(), "text/javascript")}
    handlers: list[Any] = [(path, _Text, {"text": text, "kind": kind}) for path, (text, kind) in texts.items()]
    return Application(
        [*handlers, ("/live", _Live, {"audience": audience})],
        default_handler_class=_Unknown,
        websocket_ping_interval=_PING_S,
        websocket_max_message_size=_LONGEST_QUESTION,
    )
