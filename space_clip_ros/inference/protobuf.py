"""Protobuf's wire format, read without a library (https://protobuf.dev/programming-guides/encoding).

A robot that runs exported files has no ``onnx`` package and needs none otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""
_LONGEST = 63  # bits a number may be shifted by


class Field(NamedTuple):
    """One field of a message: its number, its content, and the whole of it with its tag."""

    number: int
    content: memoryview
    whole: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """Walk through a message's fields, in the file's order, without a copy.

    Raises:
        ValueError: the bytes end too early or are no message.
    """
    position = 0
    while position < len(message):
        start = position
        tag, position = read_number(message, position)
        kind = tag & 7
        begin = position
        if kind == VARINT:
            _, position = read_number(message, position)
        elif kind == BYTES:
            length, begin = read_number(message, position)
            position = begin + length
        elif kind in (FIXED32, FIXED64):
            position += 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {kind}")
        if position > len(message):
            raise ValueError("the message ends too early")
        yield Field(tag >> 3, message[begin:position], message[start:position])


def read_number(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number that begins at ``position``, and the position behind it.

    Raises:
        ValueError: the bytes end too early.
    """
    value = shift = 0
    while True:
        if position >= len(message) or shift > _LONGEST:
            raise ValueError("the message ends too early")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
