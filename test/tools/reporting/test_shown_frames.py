from __future__ import annotations

import numpy as np

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.tools.reporting.frame_statistics import FrameStatistics, RecordingStatistics
from space_clip_ros.tools.reporting.recorded_frames import RecordedFrame
from space_clip_ros.tools.reporting.shown_frames import choose, cloud_data, show_clouds, show_frames


def statistics(*errors: float | None) -> RecordingStatistics:
    frames = [
        FrameStatistics(stamp, stamp, None if error is None else {"abs_rel": error, "rmse": 1.0, "a1": 0.5})
        for stamp, error in enumerate(errors)
    ]
    return RecordingStatistics(frames, {}, {"abs_rel": 0.1} if any(errors) else {}, None, [], [], {})


def test_the_worst_frames_and_the_median_one_are_shown() -> None:
    result = choose(statistics(0.1, 0.6, None, 0.2, 0.3, 0.5, 0.4, 0.15))
    assert list(result.items()) == [(1, "worst"), (5, "second worst"), (6, "third worst"), (4, "median")]


def test_of_few_frames_each_is_shown_once() -> None:
    assert choose(statistics(0.1)) == {0: "median"}
    assert choose(statistics(0.1, 0.2)) == {1: "worst", 0: "median"}


def test_without_truth_frames_are_spread_over_the_recording() -> None:
    labels = choose(statistics(None, None, None, None, None))
    assert list(labels.items()) == [(0, "first"), (2, "middle"), (4, "last")]
    assert choose(statistics(None)) == {0: "first"}


def frame(stamp: int, image: bool = True, truth: bool = True, camera: bool = True) -> RecordedFrame:
    depth = np.full((8, 16), 10.0, np.float32)
    pixels = np.full((8, 16, 3), 90, np.uint8)
    seen_with = PinholeCamera(16, 8, 10.0, 10.0, 7.5, 3.5) if camera else None
    return RecordedFrame(stamp, depth, pixels if image else None, depth if truth else None, seen_with)


def test_a_frame_has_a_slider_and_its_error() -> None:
    html = show_frames([frame(0)], {0: "worst"}, statistics(0.25), NodeConfig())
    assert "Worst frame, 00:00:00.000 UTC: abs_rel 0.250, rmse 1.00 m, a1 50.0%" in html
    assert html.count('type="range"') == 1
    assert html.count("data:image/jpeg") == 4
    assert "50% too near" in html


def test_uncertainty_and_scan_are_shown_where_they_are_known() -> None:
    plain = frame(0)
    scan = PlanarScan(np.full(60, 8.0, np.float32), -0.3, 0.01, 0.1, 30.0, np.eye(4))
    full = plain._replace(uncertainty=plain.depth * np.float32(0.1), scan=scan)
    shown, without = (
        show_frames([recorded], {0: "worst"}, statistics(0.25), NodeConfig()) for recorded in (full, plain)
    )
    for what in ("uncertainty, worst frame", "scan from above, worst frame", "colours of uncertainty"):
        assert f'alt="{what}' in shown and what not in without
    assert shown.count("data:image/jpeg") == without.count("data:image/jpeg") + 3
    assert "100%</span>" in shown and "100%</span>" not in without


def test_depth_alone_is_a_picture_without_slider() -> None:
    html = show_frames([frame(0, image=False, truth=False)], {0: "first"}, statistics(None), NodeConfig())
    assert "range" not in html
    assert "too near" not in html
    assert 'alt="depth, first frame, 00:00:00.000 UTC"' in html


def test_clouds_are_shown_where_the_camera_is_known() -> None:
    labels = {0: "first", 1: "last"}
    clouds = cloud_data([frame(0, camera=False), frame(1, truth=False)], labels, NodeConfig())
    assert clouds is not None
    assert [frame["name"] for frame in clouds["frames"]] == ["last, 00:00:00.000 UTC"]
    assert "cloud-truth" not in show_clouds(clouds)
    assert cloud_data([frame(0, camera=False)], labels, NodeConfig()) is None
    both = cloud_data([frame(0)], labels, NodeConfig())
    assert both is not None
    assert "cloud-truth" in show_clouds(both)
