"""The examples of protobuf's own page on its encoding, and broken bytes."""

from __future__ import annotations

import pytest

from space_clip_ros.inference.protobuf import fields, read_number


def test_numbers_and_strings() -> None:
    message = memoryview(b"\x08\x96\x01" + b"\x12\x07testing" + b"\x1d\x00\x00\x80\x3f" + b"\x21" + bytes(8))
    number, text, single, double = fields(message)
    assert (number.number, read_number(number.content, 0)) == (1, (150, 2))
    assert (text.number, bytes(text.content), bytes(text.whole)) == (2, b"testing", b"\x12\x07testing")
    assert b"".join(bytes(field.whole) for field in (number, text, single, double)) == bytes(message)
    assert [len(field.content) for field in (single, double)] == [4, 8]


@pytest.mark.parametrize("broken", [b"\x12\x07test", b"\x08\x96", b"\x08", b"\x0b", b"\x08" + b"\xff" * 20])
def test_broken_bytes(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"too early|wire type"):
        list(fields(memoryview(broken)))
