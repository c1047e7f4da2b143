"""The server over real HTTP and WebSockets: whom it answers, what a page gets, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

PATIENCE_S = 20


def get(url: str, path: str = "/", **headers: str) -> tuple[int, dict[str, str], str]:
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=PATIENCE_S)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


async def watch(url: str, **headers: str) -> WebSocketClientConnection:
    request = HTTPRequest(f"{url.replace('http', 'ws', 1)}live", headers=headers)
    return await asyncio.wait_for(websocket_connect(request), PATIENCE_S)


async def heard(connection: WebSocketClientConnection) -> Any:
    return await asyncio.wait_for(connection.read_message(), PATIENCE_S)


async def watched(server: Any, count: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while server.watchers != count:
        assert time.monotonic() < end, f"{server.watchers} watchers instead of {count}"
        await asyncio.sleep(0.01)


def test_the_page_and_its_script_are_served_with_a_strict_policy(served: Any) -> None:
    for path, kind, part in (("/", "text/html", "<canvas"), ("/live.js", "text/javascript", "WebSocket")):
        status, headers, text = get(served.url, path)
        assert status == 200
        assert headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert part in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe-eval" not in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
    assert get(served.url, "/other")[0] == 404


@pytest.mark.parametrize("path", ["/", "/live.js", "/live", "/other"])
def test_another_name_of_this_machine_is_refused(served: Any, path: str) -> None:
    port = urlsplit(served.url).port
    for name in (f"attacker.example:{port}", "attacker.example", "127.0.0.1.attacker.example", "0.0.0.0"):
        assert get(served.url, path, Host=name)[0] == 403
    assert get(served.url, "/", Host=f"localhost:{port}")[0] == 200
    assert get(served.url, "/", Host="localhost:9")[0] == 200, "through ssh -L 9:127.0.0.1:8321"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://attacker.example"}, {"Host": "attacker.example", "Origin": "http://attacker.example"}],
)
def test_other_pages_may_not_watch(served: Any, headers: dict[str, str]) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(watch(served.url, **headers))
    assert served.server.watchers == 0


def test_the_newest_update_goes_to_pages_that_are_ready(served: Any) -> None:
    async def scene() -> None:
        served.server.show(b"before anybody watched")
        connection = await watch(served.url, Origin=served.url.rstrip("/"))
        await watched(served.server, 1)
        served.server.show(b"one")
        assert await heard(connection) == b"one"
        for number in range(50):
            served.server.show(f"left out {number}".encode())
        served.server.show(b"newest")
        await connection.write_message("next")
        answer = await heard(connection)
        while answer != b"newest":
            # What was newest when the question came; nothing waits behind it.
            assert answer.startswith(b"left out")
            await connection.write_message("next")
            answer = await heard(connection)
        served.server.show(b"two")
        await connection.write_message("next")
        assert await heard(connection) == b"two"
        connection.close()
        await watched(served.server, 0)

    asyncio.run(scene())


def test_watchers_do_not_wait_for_each_other(served: Any) -> None:
    async def scene() -> None:
        slow, quick = await watch(served.url), await watch(served.url)
        await watched(served.server, 2)
        for number in range(20):
            served.server.show(bytes([number]) * 200_000)
            assert (await heard(quick))[0] == number
            await quick.write_message("next")
        assert (await heard(slow))[0] == 0
        await slow.write_message("next")
        assert (await heard(slow))[0] == 19

    asyncio.run(scene())


def test_pages_are_told_of_the_end_and_the_port_is_free_again(served: Any) -> None:
    from space_clip_ros.tools.live.address import listen

    async def scene() -> None:
        connection = await watch(served.url)
        await watched(served.server, 1)
        closing = threading.Thread(target=served.server.close)
        closing.start()
        assert await heard(connection) is None
        assert (connection.close_code, connection.close_reason) == (1001, "the demo has ended")
        await asyncio.to_thread(closing.join, PATIENCE_S)

    asyncio.run(scene())
    listen(urlsplit(served.url).port or 0).close()
    served.server.show(b"nobody is here any more")


def test_a_watcher_that_does_not_answer_does_not_hold_up_the_end(served: Any, until: Callable[..., None]) -> None:
    target = urlsplit(served.url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=PATIENCE_S)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    connection.request("GET", "/live", headers={**headers, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
    until(lambda: served.server.watchers == 1, "the watcher")
    closing = threading.Thread(target=served.server.close)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    connection.close()
