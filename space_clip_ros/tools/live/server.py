"""The page's server: Tornado in a thread, which sends the newest update to every open page that is ready for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from space_clip_ros.tools.live import page

_OWN_NAMES = ("127.0.0.1", "localhost")
_GOING_AWAY = 1001
_CLOSE_S = 0.3
_PING_S = 10
_MAX_REQUEST_BYTES = 64
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'self'; "
    "connect-src 'self' ws://{host}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class LiveServer:
    """Serves the page on a listening socket until it is closed.

    A page gets an update only after it has drawn the one before: a slow connection skips updates and shows none late.
    Every public method may be called from any thread.
    """

    def __init__(self, listener: socket.socket) -> None:
        """Start the server; closing it closes ``listener`` too."""
        self._listener = listener
        self._pages = _Pages()
        self._ready = threading.Event()
        application = _application(self._pages)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(application)), name="live", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def watchers(self) -> int:
        """Number of open pages."""
        return len(self._pages.watchers)

    def show(self, update: bytes) -> None:
        """Send an update of :func:`~space_clip_ros.tools.live.update.encode_update` to every page that is ready."""
        # A closed server raises this, because its event loop has ended.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._pages.show, update)

    def close(self) -> None:
        """Tell the open pages that the view has ended, and stop; takes at most about a third of a second."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _serve(self, application: Application) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = HTTPServer(application)
        self._listener.setblocking(False)
        server.add_socket(self._listener)
        self._ready.set()
        await self._stopping.wait()
        server.stop()
        await self._pages.close()
        await server.close_all_connections()


class _Pages:
    """The open pages; used in the server's thread only."""

    def __init__(self) -> None:
        self.watchers: set[_Watcher] = set()
        self._update = b""
        self._number = 0

    def show(self, update: bytes) -> None:
        self._update = update
        self._number += 1
        for watcher in self.watchers:
            self.offer(watcher)

    def offer(self, watcher: _Watcher) -> None:
        """Send the newest update if the watcher is ready and does not have it yet."""
        if watcher.ready and watcher.seen < self._number:
            watcher.ready, watcher.seen = False, self._number
            watcher.send(self._update)

    def add(self, watcher: _Watcher) -> None:
        # The newest update may be old, from an earlier watcher, so the next one is sent first.
        watcher.seen = self._number
        self.watchers.add(watcher)

    async def close(self) -> None:
        for watcher in list(self.watchers):
            watcher.close(_GOING_AWAY, "the demo has ended")
        deadline = asyncio.get_running_loop().time() + _CLOSE_S
        while self.watchers and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)


class _LocalHandler(RequestHandler):
    """Answers only requests to this machine's own names, so that DNS rebinding gives no other page access."""

    def prepare(self) -> None:
        if self.request.host_name not in _OWN_NAMES:
            raise HTTPError(403, reason="only by the names of this machine")

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", _POLICY.format(host=self.request.host))
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")


class _TextHandler(_LocalHandler):
    def initialize(self, text: str, kind: str) -> None:
        self._text, self._kind = text, kind

    def get(self) -> None:
        self.set_header("Content-Type", f"{self._kind}; charset=utf-8")
        self.finish(self._text)


class _NotFoundHandler(_LocalHandler):
    def get(self) -> None:
        raise HTTPError(404)


class _Watcher(_LocalHandler, WebSocketHandler):
    """The WebSocket of one open page. Tornado checks that the page came from this server."""

    def initialize(self, pages: _Pages) -> None:
        self.ready, self.seen = True, 0
        self._pages = pages
        self._sending: asyncio.Future[None] | None = None

    def open(self, *_: Any, **__: Any) -> None:
        self.set_nodelay(True)
        self._pages.add(self)

    def on_message(self, _: str | bytes) -> None:
        self.ready = True
        self._pages.offer(self)

    def on_close(self) -> None:
        self._pages.watchers.discard(self)

    def send(self, update: bytes) -> None:
        self._sending = asyncio.ensure_future(self._send(update))

    async def _send(self, update: bytes) -> None:
        with contextlib.suppress(WebSocketClosedError):
            await self.write_message(update, binary=True)


def _application(pages: _Pages) -> Application:
    texts = {"/": (page.html(), "text/html"), "/live.js": (page.script(), "text/javascript")}
    handlers: list[Any] = [(path, _TextHandler, {"text": text, "kind": kind}) for path, (text, kind) in texts.items()]
    return Application(
        [*handlers, ("/live", _Watcher, {"pages": pages})],
        default_handler_class=_NotFoundHandler,
        websocket_ping_interval=_PING_S,
        websocket_max_message_size=_MAX_REQUEST_BYTES,
    )
