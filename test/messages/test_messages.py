"""Colour images out of messages: our fast path against rosbags-image, and every way a message can be wrong."""

from __future__ import annotations

import sys
import types

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.image import message_to_cvimage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros import messages
from space_clip_ros.errors import InputError
from space_clip_ros.messages import color_images
from space_clip_ros.messages.images import LAYOUTS, MAX_PIXELS

HEIGHT, WIDTH = 12, 20
COLOR = [name for name in LAYOUTS if name not in ("32FC1", "16UC1")]
BIG = sys.byteorder == "big"


def stored(encoding: str, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    layout = LAYOUTS[encoding]
    shape = (int(height * layout.rows), width, layout.channels)
    values = np.random.default_rng(3).integers(0, np.iinfo(layout.dtype).max + 1, shape)
    return values.astype(layout.dtype)


def message(encoding: str, *, padding: int = 0, big: bool = BIG, pixels: np.ndarray | None = None) -> Image:
    pixels = stored(encoding) if pixels is None else pixels
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")))
    rows = rows.reshape(len(rows), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    height = int(len(pixels) / LAYOUTS[encoding].rows)
    result = Image(header=Header(frame_id="camera"), height=height, width=pixels.shape[1], encoding=encoding)
    result.is_bigendian, result.step = int(big), rows.shape[1]
    result.data.frombytes(rows.tobytes())
    return result


@pytest.mark.parametrize("encoding", [name for name in COLOR if name not in ("8UC1", "8UC3", "8UC4", "nv12", "nv21")])
def test_agrees_with_rosbags_image(encoding):
    msg = message(encoding)
    expected = message_to_cvimage(msg, "rgb8")
    rgb = messages.image_to_rgb(msg)
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize(("generic", "named"), [("8UC3", "bgr8"), ("8UC4", "bgra8"), ("8UC1", "mono8")])
def test_opencvs_type_names_are_taken_in_opencvs_order(generic, named):
    pixels = stored(named)
    np.testing.assert_array_equal(
        messages.image_to_rgb(message(generic, pixels=pixels)), messages.image_to_rgb(message(named, pixels=pixels))
    )


@pytest.mark.parametrize(
    ("written", "meant"), [("RGB8", "rgb8"), ("bgr8 ", "bgr8"), ("MONO8", "mono8"), ("8uc3", "8UC3")]
)
def test_encodings_in_other_letters_are_the_same(written, meant):
    msg = message(meant)
    expected = messages.image_to_rgb(msg)
    msg.encoding = written
    np.testing.assert_array_equal(messages.image_to_rgb(msg), expected)


def test_a_near_miss_is_named():
    msg = message("rgb8")
    msg.encoding = "rbg8"
    with pytest.raises(InputError, match=r"unknown encoding 'rbg8'; did you mean rgb8\?"):
        messages.image_to_rgb(msg)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("gray8", "mono8"), ("RGB", "rgb8"), ("bgra", "bgra8"), ("CV_8UC3", "8UC3"), ("Y16", "mono16")],
)
def test_names_from_elsewhere_are_understood_in_the_hint(written, meant):
    msg = message("rgb8")
    msg.encoding = written
    with pytest.raises(InputError, match=rf"unknown encoding '{written}'; did you mean {meant}\?$"):
        messages.image_to_rgb(msg)


def test_a_hint_proposes_only_what_can_be_used():
    msg = message("rgb8")
    for encoding in ("32FC3", "h264"):
        msg.encoding = encoding
        with pytest.raises(InputError) as caught:
            messages.image_to_rgb(msg)
        assert "rgb8" in caught.value.remedy and "32FC1" not in caught.value.remedy
        with pytest.raises(InputError) as caught:
            messages.depth_from_image(msg)
        assert "32FC1" in caught.value.remedy and "rgb8" not in caught.value.remedy


@pytest.mark.parametrize("size", [(7, 9), (8, 9), (7, 10), (3, 3)])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_images_of_odd_sizes(order, size):
    pixels = stored(f"bayer_{order}8", *size)
    rgb = messages.image_to_rgb(message(f"bayer_{order}8", pixels=pixels))
    assert rgb.shape == (*size, 3)
    # The last row and column are of the picture too: nothing is cut off.
    assert rgb[-1].any()
    assert rgb[:, -1].any()


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_two_plane_yuv_agrees_with_rosbags_image(encoding):
    msg = message(encoding)
    # rosbags-image takes the height of both planes together.
    planes = types.SimpleNamespace(
        encoding=encoding, height=HEIGHT * 3 // 2, width=WIDTH, is_bigendian=BIG, data=msg.data
    )
    np.testing.assert_array_equal(messages.image_to_rgb(msg), message_to_cvimage(planes, "rgb8"))


@pytest.mark.parametrize("encoding", COLOR)
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 6, 64])
def test_padding_and_byte_order_change_nothing(encoding, padding, big):
    expected = messages.image_to_rgb(message(encoding))
    np.testing.assert_array_equal(messages.image_to_rgb(message(encoding, padding=padding, big=big)), expected)


def test_last_row_without_padding_is_accepted():
    msg = message("bgr8", padding=10)
    whole = messages.image_to_rgb(msg)
    del msg.data[-10:]
    np.testing.assert_array_equal(messages.image_to_rgb(msg), whole)


def test_colors_come_out_in_order():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 10, 20, 30
    assert messages.image_to_rgb(message("rgb8", pixels=pixels))[0, 0].tolist() == [10, 20, 30]
    assert messages.image_to_rgb(message("bgr8", pixels=pixels))[0, 0].tolist() == [30, 20, 10]
    alpha = np.dstack([pixels, np.full((2, 2), 99, np.uint8)])
    assert messages.image_to_rgb(message("bgra8", pixels=alpha))[0, 0].tolist() == [30, 20, 10]
    gray = np.full((2, 2, 1), 128, np.uint8)
    assert messages.image_to_rgb(message("mono8", pixels=gray))[0, 0].tolist() == [128, 128, 128]
    gray16 = np.full((2, 2, 1), 65535, np.uint16)
    assert messages.image_to_rgb(message("mono16", pixels=gray16))[0, 0].tolist() == [255, 255, 255]


def test_bayer_pattern_is_not_mirrored():
    # An RGGB mosaic that sees pure red: every red site is bright, every other dark.
    mosaic = np.zeros((8, 8, 1), np.uint8)
    mosaic[::2, ::2] = 200
    red, green, blue = messages.image_to_rgb(message("bayer_rggb8", pixels=mosaic))[4, 4]
    assert (red, green, blue) == (200, 0, 0)


def test_rgb8_is_not_copied():
    msg = message("rgb8")
    rgb = messages.image_to_rgb(msg)
    msg.data[0] ^= 0xFF
    assert rgb[0, 0, 0] == msg.data[0]


def changed(**fields) -> Image:
    msg = message(fields.pop("start", "rgb8"))
    for name, value in fields.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ("msg", "text"),
    [
        (changed(encoding="mjpg"), "unknown encoding 'mjpg'"),
        (changed(encoding=""), "unknown encoding ''"),
        (changed(encoding="x" * 10_000), "unknown encoding"),
        (changed(step=WIDTH * 3 - 1), "step is 59 bytes, but 20 pixels of rgb8 take 60 bytes"),
        (changed(step=0), "step is 0 bytes"),
        (changed(start="mono16", step=WIDTH * 2 + 1), "step is 41 bytes"),
        (changed(height=HEIGHT + 1), "truncated"),
        (changed(step=2**31), "truncated"),
        (changed(height=0), "empty, 20 x 0 pixels"),
        (changed(width=0), "empty, 0 x 12 pixels"),
        (changed(height=2**32 - 1, width=2**32 - 1), f"more than the {MAX_PIXELS} accepted"),
        (changed(start="uyvy", width=WIDTH - 1), "needs even sizes"),
        (changed(encoding="32FC1"), "holds depth, not colour"),
    ],
)
def test_bad_messages_are_one_clear_line(msg, text):
    with pytest.raises(InputError, match=r"^/camera/image: ") as caught:
        messages.image_to_rgb(msg, "/camera/image")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_truncated_data():
    msg = message("rgb8")
    del msg.data[-1:]
    with pytest.raises(InputError, match=r"719 bytes of data, but 12 rows of 60 bytes in rgb8 need 720"):
        messages.image_to_rgb(msg)


@settings(max_examples=300, deadline=None)
@given(
    encoding=st.one_of(st.sampled_from(sorted(LAYOUTS)), st.text(max_size=12)),
    height=st.one_of(st.integers(0, 16), st.integers(0, 2**32 - 1)),
    width=st.one_of(st.integers(0, 16), st.integers(0, 2**32 - 1)),
    step=st.one_of(st.integers(0, 64), st.integers(0, 2**32 - 1)),
    big=st.integers(0, 255),
    data=st.binary(max_size=1024),
)
def test_random_fields_give_an_image_or_an_input_error(encoding, height, width, step, big, data):
    msg = Image(height=height, width=width, step=step, is_bigendian=big, encoding=encoding)
    msg.data.frombytes(data)
    for convert in (messages.image_to_rgb, messages.depth_from_image):
        try:
            result = convert(msg)
        except InputError:
            continue
        assert result.shape[:2] == (height, width)
        assert result.size <= 6 * len(data)


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setattr(color_images, "_cv_bridge", lambda: None)
    monkeypatch.setattr(color_images, "_rosbags_image", lambda: None)
    assert messages.image_to_rgb(message("bgr8")).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(InputError, match=r"encoding mono16 needs cv_bridge .* or rosbags-image"):
        messages.image_to_rgb(message("mono16"))


def test_cv_bridge_is_preferred_and_its_errors_are_ours(monkeypatch):
    """ROS's own library is not installable here; a stand-in of its one call shows how we use it."""

    class CvBridge:
        def imgmsg_to_cv2(self, msg, encoding):
            assert (encoding, msg.step, msg.height, msg.width) == ("rgb8", WIDTH * 2, HEIGHT, WIDTH)
            if msg.encoding != "mono16":
                raise cv2.error("unsupported")
            return np.full((HEIGHT, WIDTH, 3), 9, np.uint8)

    monkeypatch.setitem(sys.modules, "cv_bridge", types.SimpleNamespace(CvBridge=CvBridge))
    color_images._cv_bridge.cache_clear()
    try:
        assert messages.image_to_rgb(message("mono16", padding=4))[0, 0, 0] == 9
        with pytest.raises(InputError, match="yuv422 could not be converted: unsupported"):
            messages.image_to_rgb(message("yuv422"))
    finally:
        color_images._cv_bridge.cache_clear()
