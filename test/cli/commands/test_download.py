from __future__ import annotations

import argparse
import dataclasses
import socket
from pathlib import Path

import pytest

from space_clip_ros.cli.commands import download as command
from space_clip_ros.data import download
from space_clip_ros.data.remote_files import remote_files
from space_clip_ros.errors import DownloadError, InputError


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["download", *arguments])


def test_list_names_files_and_says_which_checksums_are_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(parse("clip", "--list")) == 0
    assert "sha256 5806e77c" in capsys.readouterr().out
    assert command.run(parse("kitti", "--list", "--only", "2011_09_28*")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("sha256 not published" in line for line in lines)


def test_unknown_pattern_is_refused() -> None:
    with pytest.raises(InputError, match="moon"):
        command.run(parse("kitti", "--only", "moon"))


def test_unknown_set_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as exit_status:
        parse("mnist")
    assert exit_status.value.code == 2


def test_server_out_of_reach_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    source = remote_files("clip")[0]
    unreachable = dataclasses.replace(source, url=f"http://127.0.0.1:{port}/ViT-B-16.pt")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "remote_files", lambda what: [unreachable])
    monkeypatch.setattr("space_clip_ros.data.http_download.time.sleep", lambda seconds: None)
    with pytest.raises(DownloadError, match="gave up after 5 attempts"):
        command.run(parse("clip", "--to", str(tmp_path / "weights")))
