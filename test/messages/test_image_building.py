"""Depth images out of messages and arrays into messages."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros.errors import InputError
from space_clip_ros.messages import depth_from_image, image_from_array, stored_pixels

HEADER = Header(frame_id="camera")


def depth_message(pixels: np.ndarray, encoding: str, *, big: bool, padding: int) -> Image:
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">" if big else "<"))).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    msg = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=big)
    msg.step = rows.shape[1]
    msg.data.frombytes(rows.tobytes())
    return msg


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 8])
def test_metres_from_32fc1(big, padding):
    metres = np.array([[1.5, np.nan, 0.0], [-2.0, np.inf, 79.25]], np.float32)
    depth = depth_from_image(depth_message(metres, "32FC1", big=big, padding=padding))
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, np.array([[1.5, np.nan, np.nan], [np.nan, np.nan, 79.25]], np.float32))


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize("big", [False, True])
def test_metres_from_millimetres(encoding, big):
    millimetres = np.array([[0, 1, 1500], [65535, 256, 2]], np.uint16)
    depth = depth_from_image(depth_message(millimetres, encoding, big=big, padding=2))
    expected = np.array([[np.nan, 0.001, 1.5], [65.535, 0.256, 0.002]], np.float32)
    np.testing.assert_allclose(depth, expected, rtol=1e-6)


def test_depth_does_not_write_into_the_message():
    msg = depth_message(np.array([[0.0, -1.0]], np.float32), "32FC1", big=False, padding=0)
    before = msg.data.tobytes()
    depth_from_image(msg)
    assert msg.data.tobytes() == before


def test_color_is_no_depth():
    msg = image_from_array(np.zeros((2, 2, 3), np.uint8), "rgb8", HEADER)
    with pytest.raises(InputError, match=r"^/depth: encoding 'rgb8' holds no depth; use 32FC1"):
        depth_from_image(msg, "/depth")


@pytest.mark.parametrize(
    ("encoding", "shape", "dtype"),
    [
        ("rgb8", (3, 5, 3), np.uint8),
        ("bgr8", (3, 5, 3), np.uint8),
        ("rgba8", (3, 5, 4), np.uint8),
        ("mono8", (3, 5), np.uint8),
        ("32FC1", (3, 5), np.float32),
        ("16UC1", (3, 5), np.uint16),
    ],
)
def test_arrays_come_back_as_written(encoding, shape, dtype):
    pixels = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    msg = image_from_array(pixels, encoding, HEADER)
    assert (msg.height, msg.width, msg.encoding) == (3, 5, encoding)
    assert msg.step * msg.height == len(msg.data) == pixels.nbytes
    assert msg.header.frame_id == "camera"
    np.testing.assert_array_equal(stored_pixels(msg), pixels)


def test_strided_arrays_are_written_in_order():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)[::2, ::-1]
    np.testing.assert_array_equal(stored_pixels(image_from_array(pixels, "rgb8", HEADER)), pixels)


@pytest.mark.parametrize(
    ("pixels", "encoding", "text"),
    [
        (np.zeros((2, 2), np.uint8), "rgb8", r"rgb8 needs a non-empty \(H, W, 3\) uint8 array, got \(2, 2\) uint8"),
        (np.zeros((2, 2), np.float64), "32FC1", r"32FC1 needs a non-empty \(H, W\) float32 array"),
        (np.zeros((0, 2), np.float32), "32FC1", "non-empty"),
        (np.zeros((2, 2, 2, 1), np.uint8), "mono8", "non-empty"),
        (np.zeros((3, 2), np.uint8), "nv12", "cannot be written"),
        (np.zeros((3, 2), np.uint8), "jpeg", "cannot be written"),
    ],
)
def test_arrays_that_do_not_fit(pixels, encoding, text):
    with pytest.raises(InputError, match=text):
        image_from_array(pixels, encoding, HEADER)
