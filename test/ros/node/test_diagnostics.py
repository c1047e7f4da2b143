"""What diagnostics say in each situation."""

from __future__ import annotations

import dataclasses

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from space_clip_ros.config import DiagnosticsConfig
from space_clip_ros.messages.diagnostics import DepthValues, Drop, Level, NodeState
from space_clip_ros.ros.node.diagnostics import Situation, status, verdict
from space_clip_ros.ros.node.statistics import Snapshot

GOING = Snapshot(
    received=120,
    published=100,
    received_hz=10.0,
    published_hz=9.5,
    dropped={Drop.REPLACED: 15, Drop.BAD_IMAGE: 5},
    age_ms=(42.0, 61.5),
    stages_ms={"convert": 0.1, "engine": 30.25},
    seconds_since_image=0.1,
    seconds_since_output=0.2,
)
ACTIVE = Situation(
    state=NodeState.ACTIVE,
    image_topic="/front/image",
    publishers=("/camera (sensor_msgs/msg/Image, best_effort, volatile)",),
    output_topics=("/front/depth/image", "/front/depth/points"),
    subscribers=2,
    snapshot=GOING,
    values=DepthValues(model="road_tiny", device="cpu"),
)


def silent(**snapshot: object) -> Snapshot:
    return dataclasses.replace(GOING, seconds_since_output=None, **snapshot)


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({}, Level.OK, "9.5 Hz, 42 ms from stamp to output (median)"),
        (
            {"values": DepthValues(metric=False, scale_mode="none")},
            Level.WARN,
            "9.5 Hz, 42 ms from stamp to output (median); depth is relative, not metric: it is in metres only with "
            "scale.mode",
        ),
        (
            {"values": DepthValues(metric=False, scale_mode="ranges")},
            Level.OK,
            "9.5 Hz, 42 ms from stamp to output (median)",
        ),
        (
            {"snapshot": dataclasses.replace(GOING, problem="no camera_info on /c yet", no_camera_info=True)},
            Level.WARN,
            "9.5 Hz, 42 ms from stamp to output (median); no camera_info on /c yet: "
            "nobody publishes there; remap it, e.g. -r camera_info:=/camera/camera_info",
        ),
        (
            {
                "snapshot": silent(problem="no camera_info on /c yet", no_camera_info=True),
                "info_publishers": ("/camera (sensor_msgs/msg/CameraInfo, reliable, transient_local)",),
            },
            Level.ERROR,
            "images come in, nothing goes out: no camera_info on /c yet, though 1 publishes there: "
            "/camera (sensor_msgs/msg/CameraInfo, reliable, transient_local)",
        ),
        (
            {"model_failure": "the model failed 6 times in a row: BackendError: device lost"},
            Level.ERROR,
            "no depth: the model failed 6 times in a row: BackendError: device lost",
        ),
        (
            {"snapshot": dataclasses.replace(GOING, age_ms=())},
            Level.WARN,
            "9.5 Hz; images have no stamp (it is 0), so their age is unknown",
        ),
        (
            {"snapshot": dataclasses.replace(GOING, age_ms=()), "clock_set": False},
            Level.WARN,
            "9.5 Hz; use_sim_time is true, but nobody publishes /clock, so ages are unknown",
        ),
        (
            {"snapshot": dataclasses.replace(GOING, age_ms=(1.8e12, 1.8e12))},
            Level.WARN,
            "9.5 Hz; stamps are 1800000000 s behind this node's clock; check use_sim_time and the clocks (ntp)",
        ),
        (
            {"snapshot": dataclasses.replace(GOING, age_ms=(-5e3, 3.0)), "limits": DiagnosticsConfig(max_age=0.001)},
            Level.WARN,
            "9.5 Hz; stamps are 5 s ahead of this node's clock; check use_sim_time and the clocks (ntp); "
            "95th percentile 3 ms old, diagnostics.max_age is 1 ms",
        ),
        (
            {
                "snapshot": silent(problem="no camera_info on /c yet", no_camera_info=True),
                "info_remap": "camera_info:=/cam/camera_info",
            },
            Level.ERROR,
            "images come in, nothing goes out: no camera_info on /c yet: nobody publishes there; remap it, e.g. "
            "-r camera_info:=/cam/camera_info",
        ),
        (
            {"limits": DiagnosticsConfig(min_rate=9.6)},
            Level.WARN,
            "9.5 Hz, 42 ms from stamp to output (median); below the 9.6 Hz of diagnostics.min_rate",
        ),
        (
            {"limits": DiagnosticsConfig(max_age=0.06)},
            Level.WARN,
            "9.5 Hz, 42 ms from stamp to output (median); 95th percentile 62 ms old, diagnostics.max_age is 60 ms",
        ),
        (
            {"limits": DiagnosticsConfig(max_dropped=0.1), "snapshot": dataclasses.replace(GOING, dropped_hz=2.0)},
            Level.WARN,
            "9.5 Hz, 42 ms from stamp to output (median); 20% of the images dropped, diagnostics.max_dropped is 10%",
        ),
        (
            {"snapshot": dataclasses.replace(GOING, lost=40, lost_hz=4.0)},
            Level.WARN,
            "9.5 Hz, 42 ms from stamp to output (median); 4.0 images a second are lost on the way here, because DDS's "
            "defaults are made for small messages; use the package's DDS profile, for the camera too "
            "(docs/transport.md)",
        ),
        (
            {"snapshot": dataclasses.replace(GOING, lost=40, lost_hz=2.0)},
            Level.OK,
            "9.5 Hz, 42 ms from stamp to output (median)",
        ),
        (
            {"limits": DiagnosticsConfig(min_rate=9.5, max_age=0.0615, max_dropped=0.2)},
            Level.OK,
            "9.5 Hz, 42 ms from stamp to output (median)",
        ),
        (
            {"snapshot": Snapshot(), "hint": "/front/image/compressed is published: set image_transport to compressed"},
            Level.WARN,
            "no image on /front/image yet, though 1 publishes there: "
            "/camera (sensor_msgs/msg/Image, best_effort, volatile); "
            "/front/image/compressed is published: set image_transport to compressed",
        ),
        (
            {"state": NodeState.INACTIVE},
            Level.WARN,
            "not active but inactive: a lifecycle manager must configure and activate it",
        ),
        (
            {"state": NodeState.UNCONFIGURED, "failure": "configure failed: no such model"},
            Level.ERROR,
            "not active but unconfigured: configure failed: no such model",
        ),
        (
            {"state": NodeState.FINALIZED},
            Level.WARN,
            "shut down for good: start the process again",
        ),
        (
            {"snapshot": Snapshot(), "failure": "deactivate failed: the model did not finish its image"},
            Level.ERROR,
            "deactivate failed: the model did not finish its image",
        ),
        (
            {"snapshot": Snapshot(), "publishers": ()},
            Level.WARN,
            "no image on /front/image yet: nobody publishes there; remap it, e.g. -r image:=/camera/image_raw",
        ),
        (
            {"snapshot": Snapshot(), "publishers": (), "camera": "front"},
            Level.WARN,
            "no image on /front/image yet: nobody publishes there; remap it, e.g. -r front/image:=/front/image_raw",
        ),
        (
            {"snapshot": silent(problem="no camera_info on /c yet", no_camera_info=True), "camera": "front"},
            Level.ERROR,
            "images come in, nothing goes out: no camera_info on /c yet: "
            "nobody publishes there; remap it, e.g. -r front/camera_info:=/front/camera_info",
        ),
        (
            {"snapshot": silent(seconds_since_image=12.4)},
            Level.WARN,
            "no image on /front/image for 12 s, though 1 publishes there: "
            "/camera (sensor_msgs/msg/Image, best_effort, volatile)",
        ),
        (
            {"snapshot": silent(), "subscribers": 0},
            Level.OK,
            "idle: nobody subscribes to /front/depth/image, /front/depth/points",
        ),
        (
            {"snapshot": silent(seconds_since_image=12.4), "preparing": (720, 1280)},
            Level.WARN,
            "the model is being prepared for images of 1280x720 pixels, which takes seconds",
        ),
        ({"preparing": (720, 1280)}, Level.OK, "9.5 Hz, 42 ms from stamp to output (median)"),
        (
            {"snapshot": silent(problem="the model failed: out of memory"), "preparing": (720, 1280)},
            Level.ERROR,
            "images come in, nothing goes out: the model failed: out of memory",
        ),
        (
            {"snapshot": silent(problem="/front/image: unknown encoding 'h264'")},
            Level.ERROR,
            "images come in, nothing goes out: /front/image: unknown encoding 'h264'",
        ),
        (
            {"snapshot": silent()},
            Level.WARN,
            "images arrive, but there is no result for the subscribers yet",
        ),
    ],
)
def test_verdicts(changes, level, text):
    assert verdict(dataclasses.replace(ACTIVE, **changes)) == (level, text)


def test_values():
    result = status("depth: depth estimation", ACTIVE)
    values = {pair.key: pair.value for pair in result.values}
    assert (result.name, result.hardware_id, result.level) == ("depth: depth estimation", "cpu", DiagnosticStatus.OK)
    assert values == {
        "state": "active",
        "failure": "",
        "model": "road_tiny",
        "device": "cpu",
        "image_topic": "/front/image",
        "image_publishers": "1",
        "camera_info_topic": "camera_info",
        "camera_info_publishers": "0",
        "seconds_since_image": "0.1",
        "output_subscribers": "2",
        "received": "120",
        "received_hz": "10.00",
        "lost": "0",
        "published": "100",
        "published_hz": "9.50",
        "age_ms_p50": "42.0",
        "age_ms_p95": "61.5",
        "dropped": "20",
        "dropped: replaced by a newer one": "15",
        "dropped: bad image": "5",
        "stage_ms: convert": "0.10",
        "stage_ms: engine": "30.25",
    }
