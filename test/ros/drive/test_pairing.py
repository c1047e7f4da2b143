"""Messages of two topics find each other by stamp."""

from __future__ import annotations

from space_clip_ros.ros.drive.pairing import StampPairs


def test_partners_meet_whichever_comes_first() -> None:
    pairs: StampPairs[str, str] = StampPairs()
    assert pairs.add_first(1, "depth 1") is None
    assert pairs.add_second(1, "truth 1") == ("depth 1", "truth 1")
    assert pairs.add_second(2, "truth 2") is None
    assert pairs.add_first(2, "depth 2") == ("depth 2", "truth 2")
    assert (pairs.unpaired, pairs.waiting) == (0, (0, 0))


def test_a_nanosecond_apart_is_not_a_pair() -> None:
    pairs: StampPairs[str, str] = StampPairs()
    assert pairs.add_first(1, "depth") is None
    assert pairs.add_second(2, "truth") is None
    assert pairs.waiting == (1, 1)
    assert (pairs.received, pairs.nearest_ns) == ((1, 1), 1)


def test_the_nearest_within_the_tolerance_is_the_partner() -> None:
    pairs: StampPairs[str, str] = StampPairs(tolerance_ns=10)
    for stamp in (100, 108, 130):
        pairs.add_second(stamp, f"truth {stamp}")
    assert pairs.add_first(107, "depth") == ("depth", "truth 108")
    assert pairs.add_first(119, "depth") is None
    assert pairs.add_second(119, "truth") == ("depth", "truth")
    assert (pairs.waiting, pairs.received, pairs.nearest_ns) == ((0, 2), (2, 4), 11)


def test_the_oldest_leaves_a_full_side_and_is_counted() -> None:
    pairs: StampPairs[int, int] = StampPairs(limit=2)
    for stamp in (1, 2, 3):
        pairs.add_second(stamp, stamp)
    assert (pairs.unpaired, pairs.waiting) == (1, (0, 2))
    assert pairs.add_first(1, 1) is None
    assert pairs.add_first(3, 3) == (3, 3)


def test_a_stamp_that_comes_twice_replaces_and_is_counted() -> None:
    pairs: StampPairs[str, str] = StampPairs()
    pairs.add_first(1, "old")
    pairs.add_first(1, "new")
    assert pairs.unpaired == 1
    assert pairs.add_second(1, "truth") == ("new", "truth")
