"""Reads the fields of a protobuf message, since a robot that runs exported files lacks the ``onnx`` package.

The format: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

LENGTH_DELIMITED = 2
"""Wire type of texts, bytes and messages."""
_VARINT = 0
_FIXED_BYTES = {1: 8, 5: 4}
_MAX_SHIFT = 63


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: which field it is.
        whole: its bytes, tag and length included.
        content: its value's bytes.
    """

    number: int
    whole: memoryview
    content: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in order; those of messages inside it are read by another call.

    Raises:
        ValueError: the bytes end too early or are not a protobuf message.
    """
    position = 0
    while position < len(message):
        begin = position
        tag, position = _read_varint(message, position)
        wire_type, start = tag & 7, position
        if wire_type == _VARINT:
            _, position = _read_varint(message, position)
        elif wire_type == LENGTH_DELIMITED:
            length, start = _read_varint(message, position)
            position = start + length
        elif wire_type in _FIXED_BYTES:
            position += _FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"unknown wire type {wire_type}")
        if position > len(message):
            raise ValueError("the message ends too early")
        yield Field(tag >> 3, message[begin:position], message[start:position])


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number that begins at ``position``, and the position after it."""
    value = shift = 0
    while position < len(message) and shift <= _MAX_SHIFT:
        byte = message[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
    raise ValueError("the message ends too early")
