"""Each image gets the scan of its own time, wherever in the bag that lies."""

from __future__ import annotations

import struct

import pytest

from space_clip_ros.tools.bags.scan_pairs import ScanPairs, WaitingImage

MS = 1_000_000
START = 1_700_000_000_000_000_000


def header(ms: float | None) -> bytes:
    """CDR of a message that begins with this stamp, milliseconds after the start; None for no stamp."""
    stamp = 0 if ms is None else START + round(ms * MS)
    return b"\0\1\0\0" + struct.pack("<iI", *divmod(stamp, 10**9))


def paired(*recorded: tuple[str, float, float | None]) -> list[tuple[float, float | None]]:
    """Pair messages of a kind, a time in the bag and a stamp; return the times of the images and of their scans."""
    pairs = ScanPairs({"/points": "/image"})
    times: dict[bytes, float] = {}
    result = []
    for kind, ms, own in recorded:
        stamp, data = START + round(ms * MS), header(own) + struct.pack("<d", ms)
        times[data] = ms
        if kind == "scan":
            pairs.add_scan("/points", stamp, data)
        else:
            pairs.add_image(WaitingImage("/image", stamp, data, []))
        result += pairs.ready(stamp)
    result += pairs.ready()
    return [(times[image.data], None if scan is None else times[scan]) for image, scan in result]


@pytest.mark.parametrize("spacing", [50, 100, 103, 1000])
def test_a_scan_behind_its_image_is_its_own(spacing: float) -> None:
    """``space_clip bag`` stores them so, with the same stamp."""
    times = [index * spacing for index in range(4)]
    recorded = [(kind, ms, ms) for ms in times for kind in ("image", "scan")]
    assert paired(*recorded) == [(ms, ms) for ms in times]


def test_stamps_count_not_the_time_in_the_bag() -> None:
    """Images often reach the recorder later than scans of the same time."""
    recorded = [("scan", 5, 0), ("scan", 105, 100), ("image", 180, 0), ("scan", 205, 200), ("image", 280, 100)]
    assert paired(*recorded) == [(180, 5), (280, 105)]


def test_without_stamps_the_time_in_the_bag_counts() -> None:
    assert paired(("image", 0, None), ("scan", 40, None), ("image", 200, None)) == [(0, 40), (200, None)]


def test_a_scan_is_used_once_by_the_image_nearest_to_it() -> None:
    recorded = [("scan", 0, 0), *(("image", ms, ms) for ms in (1, 34, 67)), ("scan", 99, 99), ("image", 100, 100)]
    assert paired(*recorded) == [(1, 0), (34, None), (67, None), (100, 99)]


def test_a_scan_of_another_time_is_not_used() -> None:
    assert paired(("scan", 0, 0), ("image", 101, 101), ("scan", 202, 202)) == [(101, None)]


def test_images_whose_stamps_jump_back_find_their_scans() -> None:
    recorded = [("image", 0, 900), ("scan", 0, 900), ("image", 100, 0), ("scan", 100, 0)]
    assert paired(*recorded) == [(0, 0), (100, 100)]


def test_nothing_waits_without_scans() -> None:
    pairs = ScanPairs({})
    pairs.add_image(WaitingImage("/image", START, header(0), []))
    assert [scan for _, scan in pairs.ready(START)] == [None]
