"""Laser scans from planar scans: every field, and the frame that they are in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Header

from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages.laser_scans import laser_scan_from_scan, level_frame, scan_from_laser_scan

SCAN = PlanarScan(np.array([math.inf, 4.5, math.nan], np.float32), -0.5, 0.25, 0.1, 30.0, np.eye(4), scan_time=0.1)


def header() -> Header:
    head = Header(frame_id="camera_optical")
    head.stamp.sec, head.stamp.nanosec = 7, 9
    return head


def test_every_field() -> None:
    message = laser_scan_from_scan(SCAN, header())
    assert isinstance(message, LaserScan)
    assert message.header.stamp == header().stamp
    assert (message.angle_min, message.angle_max, message.angle_increment) == (-0.5, 0.0, 0.25)
    assert (message.time_increment, message.scan_time) == (0.0, pytest.approx(0.1))
    assert (message.range_min, message.range_max) == (pytest.approx(0.1), 30.0)
    np.testing.assert_array_equal(message.ranges, SCAN.ranges)
    assert len(message.intensities) == 0


def test_the_frame_is_never_the_optical_one() -> None:
    images = header()
    assert laser_scan_from_scan(SCAN, images).header.frame_id == level_frame("camera_optical") == "camera_optical_level"
    own = PlanarScan(SCAN.ranges, -0.5, 0.25, 0.1, 30.0, np.eye(4), frame_id="base_link")
    assert laser_scan_from_scan(own, images).header.frame_id == "base_link"
    assert images.frame_id == "camera_optical", "the images' own header stays"


def test_it_survives_its_serialisation() -> None:
    message = laser_scan_from_scan(SCAN, header())
    again = deserialize_message(serialize_message(message), LaserScan)
    np.testing.assert_array_equal(again.ranges, SCAN.ranges)
    assert again.header == message.header


def test_it_is_read_back() -> None:
    again = scan_from_laser_scan(laser_scan_from_scan(SCAN, header()))
    np.testing.assert_array_equal(again.ranges, SCAN.ranges)
    assert (again.angle_min, again.angle_max, again.range_max) == (SCAN.angle_min, SCAN.angle_max, SCAN.range_max)
    assert again.frame_id == "camera_optical_level" and np.isnan(again.camera_pose).all()
