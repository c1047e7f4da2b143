from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.recording import Topics, find_source, find_topics

Write = Callable[..., Path]


def test_a_run_is_its_recording_and_its_summary(tmp_path: Path, write_recording: Write) -> None:
    write_recording(tmp_path / "run" / "recording")
    (tmp_path / "run" / "summary.json").write_text(json.dumps({"model": "road_tiny"}), encoding="utf-8")
    source = find_source(tmp_path / "run")
    assert (source.name, source.bag, source.summary) == ("run", tmp_path / "run" / "recording", {"model": "road_tiny"})
    assert source.notes == ()


def test_a_run_without_summary_says_so(tmp_path: Path, write_recording: Write) -> None:
    write_recording(tmp_path / "recording")
    source = find_source(tmp_path)
    assert source.summary == {}
    assert "No summary.json" in source.notes[0]


def test_a_bag_is_a_folder_or_a_file(recording: Path) -> None:
    assert find_source(recording).name == "drive"
    assert find_source(recording / "drive.mcap").bag == recording / "drive.mcap"


def test_a_bag_may_lack_its_metadata(recording: Path) -> None:
    (recording / "metadata.yaml").unlink()
    assert find_source(recording).bag == recording


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_broken_summary_is_refused(content: str, tmp_path: Path, write_recording: Write) -> None:
    write_recording(tmp_path / "recording")
    (tmp_path / "summary.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"summary\.json: .*run the demo again"):
        find_source(tmp_path)


def test_what_is_neither_run_nor_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: no such run or bag"):
        find_source(tmp_path / "nothing")
    with pytest.raises(DataError, match="has no recording; run"):
        find_source(tmp_path)


@pytest.mark.parametrize("prefix", ["/", "/front/"])
def test_topics_are_found_in_their_namespace(prefix: str, tmp_path: Path, write_recording: Write) -> None:
    with BagReader(write_recording(tmp_path / "bag", prefix=prefix, compressed=True)) as bag:
        topics = find_topics(bag, Topics())
    assert topics == Topics(
        depth=f"{prefix}depth/image",
        image=f"{prefix}image/compressed",
        truth=f"{prefix}ground_truth/image",
        camera_info=f"{prefix}camera_info",
        depth_info=f"{prefix}depth/camera_info",
        diagnostics="/diagnostics",
    )


def test_uncertainty_and_scan_are_found_too(tmp_path: Path, write_recording: Write) -> None:
    with BagReader(write_recording(tmp_path / "bag", prefix="/front/", extras=True)) as bag:
        topics = find_topics(bag, Topics())
    assert (topics.uncertainty, topics.scan) == ("/front/depth/uncertainty", "/front/depth/scan")


def test_topics_can_be_named(recording: Path) -> None:
    with BagReader(recording) as bag:
        topics = find_topics(bag, Topics(depth="/ground_truth/image", image="/image"))
    assert (topics.depth, topics.image, topics.truth) == ("/ground_truth/image", "/image", "/ground_truth/image")


@pytest.mark.parametrize(
    "requested", [Topics(image="/nothing"), Topics(depth="/camera_info"), Topics(camera_info="/image")]
)
def test_missing_topics_are_refused(requested: Topics, recording: Path) -> None:
    with BagReader(recording) as bag, pytest.raises(InputError, match=r"has no topic /.* of sensor_msgs.*it has /cam"):
        find_topics(bag, requested)


def test_a_bag_without_depth_says_how_to_get_it(tmp_path: Path, write_recording: Write) -> None:
    path = write_recording(tmp_path / "bag", without=("/depth/image",))
    with BagReader(path) as bag, pytest.raises(DataError, match=r"no depth/image; record .* space_clip predict --bag"):
        find_topics(bag, Topics())


def test_of_several_depth_topics_one_must_be_chosen(tmp_path: Path, write_recording: Write) -> None:
    with BagReader(write_recording(tmp_path / "bag")) as bag:
        bag.topics["/rear/depth/image"] = bag.topics["/depth/image"]
        with pytest.raises(DataError, match=r"several depth topics, /depth/image, /rear/depth/image; .* --depth"):
            find_topics(bag, Topics())
