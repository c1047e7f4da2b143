"""Point clouds into messages and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from space_clip_ros.errors import InputError
from space_clip_ros.messages import cloud_from_points, cloud_from_scan, points_from_cloud, xyz_from_cloud

HEADER = Header(frame_id="camera")


def test_organised_cloud_with_colour():
    points = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    points[0, 1, :3] = np.nan
    points[..., 3] = np.full((2, 3), 0x00102030, np.uint32).view(np.float32)
    msg = cloud_from_points(points, HEADER)
    assert (msg.height, msg.width, msg.point_step, msg.row_step) == (2, 3, 16, 48)
    assert [(field.name, field.offset, field.datatype, field.count) for field in msg.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
    ]
    assert not msg.is_dense
    assert msg.header.frame_id == "camera"
    back = points_from_cloud(msg)
    np.testing.assert_array_equal(back["z"], points[..., 2])
    assert np.ascontiguousarray(back["rgb"]).view(np.uint32)[1, 2] == 0x00102030


def test_cloud_without_colour():
    msg = cloud_from_points(np.zeros((4, 5, 3), np.float32), HEADER)
    assert (msg.point_step, len(msg.data), len(msg.fields)) == (12, 240, 3)


def test_a_dense_cloud_is_one_row():
    points = np.arange(12, dtype=np.float32).reshape(3, 4)
    msg = cloud_from_points(points, HEADER)
    assert (msg.height, msg.width, msg.is_dense, msg.point_step) == (1, 3, True, 16)
    np.testing.assert_array_equal(points_from_cloud(msg)["y"], [[1, 5, 9]])
    empty = cloud_from_points(points[:0], HEADER)
    assert (empty.height, empty.width, len(empty.data)) == (1, 0, 0)


def test_scan():
    scan = np.array([[1, 2, 3, 0.5], [4, 5, 6, 0.25]], np.float32)
    msg = cloud_from_scan(scan, HEADER)
    assert (msg.height, msg.width, msg.is_dense) == (1, 2, True)
    back = points_from_cloud(msg)
    np.testing.assert_array_equal(back["intensity"], [[0.5, 0.25]])
    np.testing.assert_array_equal(back["y"], [[2, 5]])
    scan[0, 0] = np.nan
    assert not cloud_from_scan(scan, HEADER).is_dense
    assert points_from_cloud(cloud_from_scan(np.zeros((0, 4), np.float32), HEADER)).size == 0


def test_big_endian_padded_cloud_with_other_fields():
    dtype = np.dtype({"names": ["x", "ring"], "formats": [">f8", ">u2"], "offsets": [4, 2], "itemsize": 16})
    values = np.zeros((2, 3), dtype)
    values["x"], values["ring"] = np.arange(6).reshape(2, 3), 7
    rows = np.pad(values.view(np.uint8).reshape(2, 48), ((0, 0), (0, 5)))
    msg = PointCloud2(height=2, width=3, point_step=16, row_step=53, is_bigendian=True)
    msg.fields = [
        PointField(name="x", offset=4, datatype=PointField.FLOAT64, count=1),
        PointField(name="ring", offset=2, datatype=PointField.UINT16, count=1),
    ]
    msg.data.frombytes(rows.tobytes())
    back = points_from_cloud(msg)
    np.testing.assert_array_equal(back["x"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(back["ring"], 7)


def broken(**fields) -> PointCloud2:
    msg = cloud_from_points(np.zeros((2, 3, 3), np.float32), HEADER)
    for name, value in fields.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ("msg", "text"),
    [
        (broken(row_step=35), "row_step is 35 bytes, but 3 points of 12 take 36"),
        (broken(height=3), "truncated"),
        (broken(height=2**32 - 1, row_step=2**32 - 1), "truncated"),
        (broken(point_step=8), "beyond the point_step of 8"),
        (broken(point_step=2**32 - 1), "point_step is 4294967295 bytes"),
        (broken(point_step=0), "point_step is 0 bytes"),
        (broken(fields=[]), "needs named fields"),
        (broken(fields=[PointField(name="x", datatype=7, count=1)] * 2), "without repeats"),
        (broken(fields=[PointField(name="x", datatype=99, count=1)]), "unknown datatype 99"),
        (broken(fields=[PointField(name="x", datatype=7, count=2**32 - 1)]), "beyond the point_step"),
    ],
)
def test_bad_clouds_are_one_clear_line(msg, text):
    with pytest.raises(InputError, match=r"^/points: ") as caught:
        points_from_cloud(msg, "/points")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "points",
    [np.zeros((2, 5), np.float32), np.zeros((2, 3, 3)), np.zeros(3, np.float32), np.zeros((0, 3, 3), np.float32)],
)
def test_points_that_do_not_fit(points):
    with pytest.raises(InputError, match="points"):
        cloud_from_points(points, HEADER)


def test_scans_that_do_not_fit():
    with pytest.raises(InputError, match=r"scan must be an \(N, 4\) float32 array, got \(5, 3\) float32"):
        cloud_from_scan(np.zeros((5, 3), np.float32), HEADER)


@settings(max_examples=200, deadline=None)
@given(
    size=st.tuples(*[st.one_of(st.integers(0, 8), st.integers(0, 2**32 - 1))] * 4),
    field=st.tuples(st.text(max_size=4), st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 2**32 - 1)),
    near=st.integers(0, 16),
    data=st.binary(max_size=256),
)
def test_random_fields_give_points_or_an_input_error(size, field, near, data):
    height, width, point_step, row_step = size
    name, offset, datatype, count = field
    msg = PointCloud2(height=height, width=width, point_step=point_step, row_step=row_step)
    for at, kind, number in ((offset, datatype, count), (near, 7, 1)):
        msg.fields = [PointField(name=name, offset=at, datatype=kind, count=number)]
        msg.data.frombytes(data)
        try:
            points_from_cloud(msg)
        except InputError:
            continue


def test_positions_of_a_scan_and_every_nth_of_them():
    scan = np.arange(40, dtype=np.float32).reshape(10, 4)
    message = cloud_from_scan(scan, Header())
    np.testing.assert_array_equal(xyz_from_cloud(message), scan[:, :3])
    np.testing.assert_array_equal(xyz_from_cloud(message, most=5), scan[::2, :3])
    np.testing.assert_array_equal(xyz_from_cloud(message, most=3), scan[::4, :3])
    assert xyz_from_cloud(cloud_from_scan(scan[:0], Header())).shape == (0, 3)


def test_a_cloud_of_one_row_needs_no_row_step_and_positions_no_other_field():
    msg = cloud_from_scan(np.arange(12, dtype=np.float32).reshape(3, 4), Header())
    msg.row_step = 0
    msg.fields[3].datatype = 99
    msg.fields.append(PointField(name="", offset=0, datatype=7, count=1))
    np.testing.assert_array_equal(xyz_from_cloud(msg), [[0, 1, 2], [4, 5, 6], [8, 9, 10]])


def test_a_cloud_without_positions_is_named():
    message = cloud_from_scan(np.zeros((3, 4), np.float32), Header())
    message.fields[1].name = "azimuth"
    with pytest.raises(InputError, match="scale/points: needs the fields x, y and z, got x, azimuth"):
        xyz_from_cloud(message, "scale/points")
