from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from space_clip_ros.data.download import RECORD_FILE, choose_files, download, read_records
from space_clip_ros.data.eigen_split import TEST_DRIVES
from space_clip_ros.data.published_lists import published_samples
from space_clip_ros.data.remote_files import DATA_SETS, RemoteFile, remote_files
from space_clip_ros.errors import DownloadError, InputError


class RecordingHandler(SimpleHTTPRequestHandler):
    served: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.served.append(self.path)
        if self.path == "/quota":  # as Google Drive answers after too many downloads of a file
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"<html>Quota exceeded</html>")
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    RecordingHandler.served.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(RecordingHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_archive_is_fetched_unpacked_recorded_and_removed(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    data = zipped({"2011_09_26/x_sync/image_00/a": b"grey", "2011_09_26/x_sync/image_02/a": b"color"})
    (folder / "x.zip").write_bytes(data)
    source = RemoteFile(f"{url}/x.zip", "x.zip", unpack=".", skip=("/image_00/",))
    reports: list[tuple[str, int, int]] = []
    places = download([source], tmp_path / "to", progress=lambda *report: reports.append(report))
    assert places == [tmp_path / "to"]
    assert (tmp_path / "to/2011_09_26/x_sync/image_02/a").read_bytes() == b"color"
    assert not (tmp_path / "to/2011_09_26/x_sync/image_00").exists()
    assert not (tmp_path / "to/x.zip").exists()
    record = read_records(tmp_path / "to")["x.zip"]
    assert record.unpacked
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert record.size == len(data)
    assert {label for label, _, _ in reports} == {"x.zip", "unpacking x.zip"}


def test_finished_downloads_are_not_repeated(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    (folder / "x.zip").write_bytes(zipped({"a": b"1"}))
    (folder / "w.pt").write_bytes(b"weights")
    wanted = [RemoteFile(f"{url}/x.zip", "x.zip", unpack="."), RemoteFile(f"{url}/w.pt", "w.pt")]
    for _ in range(2):
        download(wanted, tmp_path / "to", keep_archives=True)
    assert RecordingHandler.served == ["/x.zip", "/w.pt"]
    assert (tmp_path / "to/x.zip").exists()


def test_interrupted_unpacking_needs_no_second_download(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    (folder / "x.zip").write_bytes(zipped({"a": b"1", "b": b"2"}))
    source = RemoteFile(f"{url}/x.zip", "x.zip", unpack=".")

    def interrupt(label: str, done: int, total: int) -> None:
        if label.startswith("unpacking"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download([source], tmp_path / "to", progress=interrupt)
    download([source], tmp_path / "to")
    assert RecordingHandler.served == ["/x.zip"]
    assert (tmp_path / "to/b").read_bytes() == b"2"


def test_a_published_checksum_is_checked(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    (folder / "w.pt").write_bytes(b"weights")
    good = hashlib.sha256(b"weights").hexdigest()
    assert download([RemoteFile(f"{url}/w.pt", "w.pt", good)], tmp_path / "good") == [tmp_path / "good/w.pt"]
    with pytest.raises(DownloadError, match="instead of"):
        download([RemoteFile(f"{url}/w.pt", "w.pt", "1" * 64)], tmp_path / "bad")
    assert [path.name for path in (tmp_path / "bad").iterdir()] == []


def test_the_first_download_s_checksum_is_checked_if_none_is_published(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    source = RemoteFile(f"{url}/w.pt", "w.pt")
    (folder / "w.pt").write_bytes(b"weights")
    download([source], tmp_path / "to")
    (tmp_path / "to/w.pt").unlink()
    (folder / "w.pt").write_bytes(b"other weights")
    with pytest.raises(DownloadError, match="the first download had another checksum"):
        download([source], tmp_path / "to")
    (tmp_path / "to" / RECORD_FILE).unlink()
    download([source], tmp_path / "to")
    assert (tmp_path / "to/w.pt").read_bytes() == b"other weights"


def test_file_cut_short_on_the_disk_is_fetched_again(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    (folder / "w.pt").write_bytes(b"weights")
    source = RemoteFile(f"{url}/w.pt", "w.pt")
    download([source], tmp_path / "to")
    (tmp_path / "to/w.pt").write_bytes(b"wei")
    download([source], tmp_path / "to")
    assert (tmp_path / "to/w.pt").read_bytes() == b"weights"


@pytest.fixture(scope="module")
def sync() -> bytes:
    """An archive packed as others pack NYU's synchronised frames, with the test frames in their place."""
    samples = published_samples("nyu_test")
    files = {f"nyu/{path}": b"1" for sample in samples for path in (sample.image, sample.depth)}
    return zipped({**files, "nyu/extra_scene/rgb_00000.jpg": b"2", "nyu/nyu_train.txt": b"", "__MACOSX/a/._b": b""})


def frames_of_nyu(url: str, *mirrors: str) -> RemoteFile:
    skip = ("/__MACOSX/", ".txt")
    return RemoteFile(url, "sync.zip", unpack="sync", skip=skip, levels=1, holds="nyu_test", mirrors=mirrors)


def test_a_refusing_server_s_mirror_is_taken_and_checked_by_what_it_holds(
    site: tuple[Path, str], tmp_path: Path, sync: bytes
) -> None:
    folder, url = site
    (folder / "nyu.zip").write_bytes(sync)
    source = frames_of_nyu(f"{url}/quota", f"{url}/nothing", f"{url}/nyu.zip")
    for _ in range(2):
        assert download([source], tmp_path / "to") == [tmp_path / "to/sync"]
    assert RecordingHandler.served == ["/quota", "/nothing", "/nyu.zip"]
    assert read_records(tmp_path / "to")["sync.zip"].url == f"{url}/nyu.zip"
    unpacked = {path.relative_to(tmp_path / "to/sync") for path in (tmp_path / "to/sync").rglob("*.*")}
    assert len(unpacked) == 2 * 654 + 1 and Path("bathroom/sync_depth_00045.png") in unpacked


def test_an_interrupted_download_goes_on_at_the_address_that_it_came_from(
    site: tuple[Path, str], tmp_path: Path
) -> None:
    folder, url = site
    (folder / "nyu.zip").write_bytes(zipped({"bathroom/rgb_00045.jpg": b"1"}))
    source = frames_of_nyu(f"{url}/quota", f"{url}/nyu.zip")

    def interrupt(label: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download([source], tmp_path, progress=interrupt)
    with pytest.raises(DownloadError, match="lacks 1307 of 1308 files"):
        download([source], tmp_path)
    assert RecordingHandler.served == ["/quota", "/nyu.zip"]  # every byte had arrived


def test_an_archive_fetched_by_hand_is_taken_unless_it_lacks_frames(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    data = zipped({"bathroom/rgb_00045.jpg": b"1", "bathroom/sync_depth_00045.png": b"1"})
    (tmp_path / "sync.zip").write_bytes(data)
    with pytest.raises(DownloadError, match=r"lacks 1306 of 1308 files .* the first: bathroom/rgb_00046\.jpg"):
        download([frames_of_nyu(f"{url}/quota")], tmp_path)
    assert RecordingHandler.served == []
    record = read_records(tmp_path)["sync.zip"]
    assert record.sha256 == hashlib.sha256(data).hexdigest() and not record.unpacked
    assert not (tmp_path / "sync").exists()
    # Deleted as the error says, it is fetched again whatever its checksum.
    (tmp_path / "sync.zip").unlink()
    other = zipped({"bathroom/rgb_00045.jpg": b"1"})
    (folder / "nyu.zip").write_bytes(other)
    with pytest.raises(DownloadError, match="lacks 1307 of 1308 files"):
        download([frames_of_nyu(f"{url}/quota", f"{url}/nyu.zip")], tmp_path)
    assert read_records(tmp_path)["sync.zip"].sha256 == hashlib.sha256(other).hexdigest()


def test_without_any_server_the_error_says_how_to_fetch_by_hand(site: tuple[Path, str], tmp_path: Path) -> None:
    _, url = site
    with pytest.raises(DownloadError) as raised:
        download([frames_of_nyu(f"{url}/nothing", f"{url}/quota")], tmp_path)
    assert "a web page instead of the file" in raised.value.reason
    assert raised.value.remedy.startswith(f"fetch it in a browser from {url}/nothing or {url}/quota, save it as ")


def test_nyu_s_frames_are_those_of_the_published_list() -> None:
    *_, sync = remote_files("nyu")
    assert (sync.name, sync.unpack, sync.holds, len(sync.urls)) == ("sync.zip", "sync", "nyu_train", 2)


def test_hostile_archive_writes_nothing(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = site
    (folder / "x.zip").write_bytes(zipped({"../../evil": b"1"}))
    with pytest.raises(DownloadError, match="leads out"):
        download([RemoteFile(f"{url}/x.zip", "x.zip", unpack=".")], tmp_path / "a" / "to")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"size": 1}}'])
def test_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(DownloadError, match=RECORD_FILE):
        read_records(tmp_path)


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "to").write_text("")
    with pytest.raises(DownloadError, match="cannot be written"):
        download([], tmp_path / "to")


def test_table_has_every_test_drive_once_with_its_days_calibration() -> None:
    names = [source.name for source in remote_files("kitti")]
    assert len(names) == len(set(names))
    assert {f"{drive}.zip" for drive in TEST_DRIVES} <= set(names)
    drives = [name for name in names if "drive" in name]
    assert len(drives) == 61
    for drive in drives:
        assert names.index(f"{drive[:10]}_calib.zip") < names.index(drive)
    assert names[-1] == "data_depth_annotated.zip"
    assert all(source.url.startswith("https://") for name in DATA_SETS for source in remote_files(name))


def test_choosing_files() -> None:
    assert [source.name for source in choose_files("kitti", ["2011_09_28*", "*_09_29_calib*"])] == [
        "2011_09_28_calib.zip",
        "2011_09_28_drive_0001_sync.zip",
        "2011_09_28_drive_0002_sync.zip",
        "2011_09_29_calib.zip",
    ]
    with pytest.raises(InputError, match="matches 'moon'"):
        choose_files("kitti", ["moon"])
    with pytest.raises(InputError, match="kitti, nyu, clip"):
        choose_files("mnist")


def test_clips_checksum_is_its_publishers() -> None:
    (source,) = remote_files("clip")
    assert source.sha256 is not None
    assert source.sha256 in source.url
    assert json.dumps(source.name) == '"ViT-B-16.pt"'
