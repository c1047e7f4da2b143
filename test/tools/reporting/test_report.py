"""The whole page, parsed as a browser would."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.config import EvaluatorConfig
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import camera_info_from_camera
from space_clip_ros.messages.bag_types import BAGS
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.reporting.recording import Topics
from space_clip_ros.tools.reporting.report import MAX_BYTES, ReportOptions, WrittenReport, write_report

Write = Callable[..., Path]
VOID = {"meta", "link", "img", "input", "br"}


@pytest.fixture()
def recording(tmp_path: Path, write_recording: Write) -> Path:
    """Eight frames, so that the median one is not among the worst; one of them has no depth."""
    return write_recording(tmp_path / "drive", frames=8)


class Page(HTMLParser):
    """A page's open tags, links, ids and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID and tag not in ("line", "path", "rect", "circle", "image"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "data", "action", "srcset", "poster"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "path", "rect", "circle", "image"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += f"{data}\n"


def report(source: Path, out: Path, options: ReportOptions | None = None) -> tuple[WrittenReport, Page, str]:
    written = write_report(source, out, options or ReportOptions(evaluator=EvaluatorConfig(crop="none")))
    text = out.read_text(encoding="utf-8")
    assert written.size == out.stat().st_size < MAX_BYTES
    return written, Page(text), text


def test_the_page_holds_together_and_needs_no_network(recording: Path, tmp_path: Path) -> None:
    written, page, text = report(recording, tmp_path / "deep" / "report.html")
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert (written.frames, written.missing, written.film_frames) == (7, (), 0)
    pictures = [link for link in page.links if link != "data:,"]
    assert len(pictures) == 1 + 1 + 4 * 3
    for link in pictures:
        data = base64.b64decode(link.removeprefix("data:image/jpeg;base64,"), validate=True)
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    # The only URL is the name of XHTML's namespace; nothing is loaded from it.
    assert set(re.findall(r"https?://[\w./-]+", text)) == {"http://www.w3.org/1999/xhtml"}
    assert "@import" not in text
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_the_page_says_what_was_measured(recording: Path, tmp_path: Path) -> None:
    _, page, _ = report(recording, tmp_path / "report.html")
    for words in (
        *("Depth report: drive", "7 of 8", "40 ms", "from the image's stamp", "<onnx>"),
        *(
            "Worst frame",
            "Second worst frame",
            "Third worst frame",
            "Median frame",
            "engine",
            "31.25",
            "dropped: bad image",
        ),
    ):
        assert words in page.text


def test_uncertainty_scan_and_scale_are_shown_where_they_are_recorded(tmp_path: Path, write_recording: Write) -> None:
    _, page, _ = report(write_recording(tmp_path / "drive", frames=8, extras=True), tmp_path / "report.html")
    assert page.open == []
    for words in (
        "of true pixels lie within one and two sigma",
        "Uncertainty: one standard deviation, median over each image.",
        "Uncertainty: one standard deviation as a share of depth.",
        "Scan from above",
        "Scale while running",
        "x 1.140",
        "± 5.0 %",
        "camera height: a wall",
    ):
        assert words in page.text


def test_the_clouds_are_the_frames(recording: Path, tmp_path: Path) -> None:
    _, _, text = report(recording, tmp_path / "report.html")
    match = re.search(r'<script type="application/json" id="clouds">(.*?)</script>', text)
    assert match is not None
    clouds = json.loads(match[1])
    assert [frame["name"].partition(",")[0] for frame in clouds["frames"]] == [
        *("worst", "second worst", "third worst", "median")
    ]
    for frame in clouds["frames"]:
        assert frame["truth"]["count"] == 48 * 32
        for name, size in (("points", 6), ("colors", 3)):
            assert len(base64.b64decode(frame["cloud"][name], validate=True)) == size * frame["cloud"]["count"]
    assert len(base64.b64decode(clouds["table"])) == 768


def test_a_run_adds_the_figures_of_its_summary(tmp_path: Path, write_recording: Write) -> None:
    write_recording(tmp_path / "run" / "recording")
    figures = {"p50": 12.5, "p95": 20.0, "p99": 30.0, "max": 44.25}
    summary = {
        "model": "road_tiny",
        "frames_sent": 9,
        "drive": "drive_0001",
        "drops": {"stale": 3},
        "latency_ms": {**figures, "outputs": {"depth/points": figures, "depth/color": None}},
        "stages_ms": {"inference": 30.5},
        "machine": {"processor": "Some <CPU>", "cores": 2},
    }
    (tmp_path / "run" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    _, page, _ = report(tmp_path / "run", tmp_path / "report.html")
    for words in (
        "Depth report: run",
        "5 of 9",
        "drive_0001",
        "dropped: stale",
        "depth/points",
        "44.2",
        "30.50",
        "Some <CPU>",
    ):
        assert words in page.text


def test_the_page_names_what_is_missing(tmp_path: Path, write_recording: Write) -> None:
    names = ("/image", "/camera_info", "/ground_truth/image", "/depth/camera_info", "/diagnostics")
    bag = write_recording(tmp_path / "bag", without=names, latency_ns=0)
    written, page, text = report(bag, tmp_path / "report.html")
    assert [note.partition(":")[0] for note in written.missing] == [
        *("No images", "No ground_truth/image", "No camera_info that fits", "No latency"),
        "No /diagnostics",
    ]
    for note in written.missing:
        assert note in page.text
    assert "Where the errors are" not in page.text
    assert "THREE" not in text
    assert "First frame" in page.text


def test_the_page_names_truth_of_other_stamps(tmp_path: Path) -> None:
    pixels = np.ones((8, 8), np.float32)
    with BagWriter(tmp_path / "bag") as bag:
        for stamp, name in ((10**9, "/depth/image"), (2 * 10**9, "/ground_truth/image")):
            bag.add(name, "sensor_msgs/msg/Image", qos.SENSOR)
            bag.write(name, stamp, messages.image(pixels, messages.header(stamp, "")))
    written, _, _ = report(tmp_path / "bag", tmp_path / "report.html")
    assert any("ground truth of its own stamp" in note for note in written.missing)


def test_large_and_noisy_pictures_stay_within_the_bound(tmp_path: Path) -> None:
    """The largest possible page: four frames of noise, each with dense truth."""
    random = np.random.default_rng(1)
    camera = PinholeCamera(640, 640, 400.0, 400.0, 319.5, 319.5)
    with BagWriter(tmp_path / "bag") as bag:
        for name in ("/image", "/depth/image", "/ground_truth/image"):
            bag.add(name, "sensor_msgs/msg/Image", qos.SENSOR)
        bag.add("/camera_info", "sensor_msgs/msg/CameraInfo", qos.SENSOR)
        for stamp in range(4):
            head = messages.header(stamp, "camera")
            bag.write("/camera_info", stamp, camera_info_from_camera(camera, head, types=BAGS))
            bag.write("/image", stamp, messages.image(random.integers(0, 256, (640, 640, 3), np.uint8), head))
            for name in ("/depth/image", "/ground_truth/image"):
                noise = random.uniform(1, 79, (640, 640)).astype(np.float32)
                bag.write(name, stamp, messages.image(noise, head))
    written, _, _ = report(tmp_path / "bag", tmp_path / "report.html")
    assert 5_000_000 < written.size < MAX_BYTES


def test_progress_counts_every_frame_of_page_and_film(recording: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    options = ReportOptions(video=tmp_path / "film.mp4")
    written = write_report(recording, tmp_path / "report.html", options, lambda *step: steps.append(step))
    assert steps == [(done, 14) for done in range(1, 15)]
    assert written.film_frames == 7
    assert (tmp_path / "film.mp4").stat().st_size > 0


def test_errors_leave_nothing(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "report.html"
    with pytest.raises(InputError, match="has no topic /nothing"):
        write_report(recording, out, ReportOptions(topics=Topics(image="/nothing")))
    with pytest.raises(DataError, match="no such run or bag"):
        write_report(tmp_path / "nothing", out, ReportOptions())
    assert not out.parent.exists()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"report\.html: cannot be written"):
        write_report(recording, tmp_path / "file" / "report.html", ReportOptions())
