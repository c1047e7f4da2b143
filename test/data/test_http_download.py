from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from space_clip_ros.data import http_download
from space_clip_ros.data.http_download import ChecksumError, UnavailableError, fetch, require_space
from space_clip_ros.errors import DownloadError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one file, with the faults that a test sets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag = CONTENT, '"v1"'
        self.ranges = True
        self.cuts: list[int] = []  # close after so many bytes, one entry a request
        self.errors: list[int] = []  # answer these first
        self.wrong_part = False
        self.page = False
        self.lengthless = False
        self.requests: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        byte_range = self.headers.get("Range")
        server.requests.append(byte_range)
        if server.errors:
            self.send_error(server.errors.pop(0))
            return
        start = 0
        same = self.headers.get("If-Range", server.etag) == server.etag
        if byte_range and server.ranges and same:
            start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            first = start + 7 if server.wrong_part else start
            self.send_header("Content-Range", f"bytes {first}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        if not server.lengthless:
            self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.page:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_whole_file(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetched = fetch(server.url, tmp_path / "f", SHA256, lambda *counts: seen.append(counts))
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert (fetched.size, fetched.sha256, fetched.etag) == (len(CONTENT), SHA256, '"v1"')
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_connection_that_breaks_is_resumed_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 200_000]
    fetched = fetch(server.url, tmp_path / "f", SHA256, pause_s=0)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert fetched.sha256 == SHA256
    assert server.requests == [None, "bytes=100000-", "bytes=300000-"]


def test_the_next_run_resumes_an_interrupted_download(server: Server, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    server.cuts = [300_000]
    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, tmp_path / "f", SHA256, interrupt)
    assert not (tmp_path / "f").exists()
    assert (tmp_path / "f.part").stat().st_size == 300_000
    fetch(server.url, tmp_path / "f", SHA256)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=300000-"


def test_a_complete_part_needs_no_request(server: Server, tmp_path: Path) -> None:
    server.cuts = [len(CONTENT)]
    with pytest.raises(DownloadError):
        fetch(server.url, tmp_path / "f", "0" * 64)
    (tmp_path / "f.part").write_bytes(CONTENT)
    note = {"url": server.url, "etag": '"v1"', "modified": "", "total": len(CONTENT)}
    (tmp_path / "f.part.json").write_text(json.dumps(note))
    requests = len(server.requests)
    fetch(server.url, tmp_path / "f", SHA256)
    assert len(server.requests) == requests


@pytest.mark.parametrize("ranges", [True, False])
def test_file_that_changed_or_server_without_ranges_starts_over(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.cuts = [100_000]
    server.errors = []
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    etag = '"v1"' if not ranges else '"old"'
    note = {"url": server.url, "etag": etag, "modified": "", "total": 5000}
    (tmp_path / "f.part.json").write_text(json.dumps(note))
    server.ranges = ranges
    server.cuts = []
    fetch(server.url, tmp_path / "f", SHA256)
    assert server.requests == ["bytes=1000-"]
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_without_a_version_the_length_says_whether_it_is_the_same_file(server: Server, tmp_path: Path) -> None:
    server.etag, server.cuts = "", [1000, 2000]
    assert fetch(server.url, tmp_path / "a", SHA256, pause_s=0).sha256 == SHA256
    assert server.requests == [None, "bytes=1000-", "bytes=3000-"]
    server.cuts = [1000]
    server.requests.clear()
    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, tmp_path / "b", progress=lambda done, total: interrupt(), pause_s=0)
    server.content = CONTENT[:-1]
    assert fetch(server.url, tmp_path / "b", pause_s=0).size == len(CONTENT) - 1
    assert server.requests == [None, "bytes=1000-", None]


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_web_page_is_not_the_file(server: Server, tmp_path: Path) -> None:
    server.page = True
    with pytest.raises(UnavailableError, match="a web page instead of the file; open the address in a browser"):
        fetch(server.url, tmp_path / "file.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_unknown_version_is_discarded(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(b"rubbish")
    fetch(server.url, tmp_path / "f", SHA256)
    assert server.requests == [None]


def test_part_longer_than_the_file_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(CONTENT + b"more")
    note = {"url": server.url, "etag": '"v1"', "modified": "", "total": 9_999_999}
    (tmp_path / "f.part.json").write_text(json.dumps(note))
    fetch(server.url, tmp_path / "f", SHA256, pause_s=0)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_wrong_content_range_starts_over(server: Server, tmp_path: Path) -> None:
    server.cuts, server.wrong_part = [100_000], True
    fetch(server.url, tmp_path / "f", SHA256, pause_s=0)
    assert server.requests == [None, "bytes=100000-", None]


def test_a_file_of_unknown_length(server: Server, tmp_path: Path) -> None:
    server.lengthless = True
    assert fetch(server.url, tmp_path / "f", SHA256).size == len(CONTENT)


def test_a_busy_server_is_retried(server: Server, tmp_path: Path) -> None:
    server.errors = [503, 429]
    fetch(server.url, tmp_path / "f", SHA256, pause_s=0)
    assert len(server.requests) == 3


def test_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ChecksumError, match=f"sha256 {SHA256} instead of {'0' * 64}"):
        fetch(server.url, tmp_path / "f", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_request_is_not_retried(server: Server, tmp_path: Path) -> None:
    server.errors = [404]
    with pytest.raises(DownloadError, match="404"):
        fetch(server.url, tmp_path / "f")
    assert len(server.requests) == 1


def test_gives_up_without_progress_and_keeps_the_part(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000] + [0] * 50
    with pytest.raises(DownloadError, match="resume at byte 1000"):
        fetch(server.url, tmp_path / "f", pause_s=0)
    assert (tmp_path / "f.part").stat().st_size == 1000


def test_an_unreachable_server_is_given_up(server: Server, tmp_path: Path) -> None:
    url = server.url
    server.server_close()
    with pytest.raises(DownloadError, match="gave up"):
        fetch(url, tmp_path / "f", pause_s=0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "data:,x"])
def test_only_http_addresses_are_downloaded(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="http"):
        fetch(url, tmp_path / "f")


def test_free_disk_space_is_checked_first(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(http_download.shutil, "disk_usage", lambda folder: usage._replace(free=1_000_000))
    with pytest.raises(DownloadError, match=r"needs 0\.00 GB, but 0\.00 GB are free"):
        fetch(server.url, tmp_path / "f")
    assert not (tmp_path / "f.part").exists()
    require_space(tmp_path, 0, "nothing")
