"""TensorRT's error messages: the last ones, and only those of the call that failed."""

from __future__ import annotations

from space_clip_ros.inference.gpu.tensorrt_messages import Complaints


def test_the_last_two_of_a_call() -> None:
    complaints = Complaints()
    complaints.add("of an earlier call")
    before = complaints.total
    assert complaints.since(before) == "TensorRT did not say why"
    for message in ("first", "Error Code 1:\n  version tag does not match\n", "Error Code 4: deserialization failed"):
        complaints.add(message)
    assert complaints.since(before) == (
        "Error Code 1: version tag does not match; Error Code 4: deserialization failed"
    )


def test_a_message_that_is_repeated_counts_once() -> None:
    complaints = Complaints()
    complaints.add("out of memory")
    complaints.add("out of memory")
    assert complaints.since(0) == "out of memory"


def test_few_are_kept() -> None:
    complaints = Complaints()
    for number in range(10_000):
        complaints.add(str(number))
    assert complaints.total == 10_000 and len(complaints._kept) == 16
    assert complaints.since(0) == "9998; 9999"
