"""The evaluator: pairs by stamp, errors by hand, holes counted, a table at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros.errors import ConfigError, DataError
from space_clip_ros.messages import image_from_array
from space_clip_ros.ros.drive.depth_evaluator import DepthEvaluator, fitted, table, write_summary


class Bench:
    """An evaluator and somebody who publishes to it."""

    def __init__(self, **parameters: Any) -> None:
        overrides = [Parameter(name, value=value) for name, value in {"crop": "none", **parameters}.items()]
        self.evaluator = DepthEvaluator(parameter_overrides=overrides)
        self.node = rclpy.create_node("publisher")
        self.depth = self.node.create_publisher(Image, "depth/image", 10)
        self.truth = self.node.create_publisher(Image, "ground_truth/image", 10)
        self.reports: list[DiagnosticArray] = []
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        self._executor = SingleThreadedExecutor()
        for node in (self.evaluator, self.node):
            self._executor.add_node(node)
        self.until(lambda: self.depth.get_subscription_count() and self.truth.get_subscription_count())

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(600):
            if condition():
                return
            self._executor.spin_once(timeout_sec=0.05)
        raise AssertionError("waited in vain")

    def publish(self, stamp: int, depth: Any = None, truth: Any = None, nanosec: int = 0) -> None:
        header = Header(stamp=Time(sec=stamp, nanosec=nanosec))
        for publisher, pixels in ((self.depth, depth), (self.truth, truth)):
            if pixels is not None:
                publisher.publish(image_from_array(np.asarray(pixels, np.float32), "32FC1", header))

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self.evaluator.destroy_node()


@pytest.fixture
def bench(ros: int) -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_errors_are_averaged_over_frames(bench: Bench) -> None:
    nan = np.nan
    bench.publish(1, depth=[[11.0, 20.0]], truth=[[10.0, 20.0]])
    bench.publish(2, depth=[[13.0, 5.0]], truth=[[10.0, nan]])
    bench.until(lambda: bench.evaluator.summary()["frames"] == 2)
    summary = bench.evaluator.summary()
    # Frame 1: |11 - 10| / 10 and 0, mean 0.05; frame 2: 0.3 at its one known pixel, beyond a ratio of 1.25.
    assert summary["metrics"]["abs_rel"] == pytest.approx(0.175, abs=1e-6)
    assert summary["metrics"]["a1"] == pytest.approx(0.5)
    assert (summary["pixels"], summary["coverage"], summary["unpaired"]) == (3, 1.0, 0)


def test_depth_that_is_missing_lowers_the_coverage_not_the_error(bench: Bench) -> None:
    bench.publish(1, depth=[[np.nan, 20.0, 0.0, 40.0]], truth=[[10.0, 20.0, 30.0, 40.0]])
    bench.until(lambda: bench.evaluator.summary()["frames"] == 1)
    summary = bench.evaluator.summary()
    assert summary["metrics"]["abs_rel"] == 0.0
    assert summary["coverage"] == 0.5


def test_a_frame_without_any_depth_is_skipped(bench: Bench) -> None:
    bench.publish(1, depth=[[np.nan]], truth=[[10.0]])
    bench.until(lambda: bench.evaluator.summary()["skipped"] == 1)
    assert bench.evaluator.summary()["coverage"] == 0.0


def test_what_finds_no_partner_is_counted(bench: Bench) -> None:
    bench.publish(1, truth=[[10.0]])
    bench.publish(2, depth=[[10.0]])
    bench.publish(3, depth=[[10.0]], truth=[[10.0]])
    bench.until(lambda: bench.evaluator.summary()["frames"] == 1 and bench.evaluator.summary()["unpaired"] == 2)


def test_depth_is_resized_to_the_truth() -> None:
    depth = np.array([[1.0, 3.0]], np.float32)
    np.testing.assert_allclose(fitted(depth, np.zeros((1, 4), np.float32)), [[1.0, 1.5, 2.5, 3.0]])
    assert fitted(depth, np.zeros((1, 2), np.float32)) is depth


def test_a_broken_message_is_counted_and_survived(bench: Bench) -> None:
    header = Header(stamp=Time(sec=1))
    broken = image_from_array(np.ones((2, 2), np.float32), "32FC1", header)
    broken.height = 100
    bench.truth.publish(image_from_array(np.ones((2, 2), np.float32), "32FC1", header))
    bench.depth.publish(broken)
    bench.until(lambda: bench.evaluator.summary()["broken"] == 1)
    bench.publish(2, depth=[[10.0]], truth=[[10.0]])
    bench.until(lambda: bench.evaluator.summary()["frames"] == 1)


def test_running_errors_are_on_diagnostics(ros: int) -> None:
    bench = Bench(period=0.1)
    bench.publish(1, depth=[[11.0]], truth=[[10.0]])
    bench.until(lambda: bench.reports and "over 1 frames" in bench.reports[-1].status[0].message)
    status = bench.reports[-1].status[0]
    values = {item.key: item.value for item in status.values}
    assert status.name == "depth_evaluator: depth error"
    assert (values["abs_rel"], values["latest_abs_rel"], values["frames"]) == ("0.1", "0.1", "1")
    bench.close()


def test_an_empty_range_is_refused(ros: int) -> None:
    overrides = [Parameter("min_depth", value=10.0), Parameter("max_depth", value=5.0)]
    with pytest.raises(ConfigError, match="min_depth: must be below max_depth 5"):
        DepthEvaluator(parameter_overrides=overrides)


def test_a_file_that_cannot_be_written_is_found_at_start(ros: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"table\.json: cannot be written"):
        DepthEvaluator(parameter_overrides=[Parameter("json", value=str(tmp_path / "file" / "table.json"))])


def test_the_table_shows_counts_and_metrics(bench: Bench) -> None:
    bench.publish(1, depth=[[11.0]], truth=[[10.0]])
    bench.until(lambda: bench.evaluator.summary()["frames"] == 1)
    head, names, values = bench.evaluator.close().splitlines()
    assert head == "1 frames, crop none, 0.001-80 m; coverage 100.0%, 0 unpaired, 0 skipped"
    assert names.split()[0] == "abs_rel" and values.split()[0] == "0.1000"


def test_without_pairs_the_table_says_so(bench: Bench) -> None:
    start = "No depth was compared (0 images without a partner): no depth came on /depth/image (somebody publishes"
    assert table(bench.evaluator.summary()).startswith(start)


def test_it_says_that_depth_or_truth_is_missing(bench: Bench) -> None:
    bench.publish(1, depth=[[10.0]])
    bench.until(lambda: bench.evaluator.summary()["unpaired"] == 1)
    problem = bench.evaluator.summary()["problem"]
    assert problem == "no truth came on /ground_truth/image (somebody publishes there, but not reliably)"
    bench.node.destroy_publisher(bench.truth)
    bench.until(lambda: "(nobody publishes there now)" in bench.evaluator.summary()["problem"])


def test_it_says_how_far_stamps_are_apart(bench: Bench) -> None:
    for stamp in (1, 2):
        bench.publish(stamp, depth=[[10.0]])
        bench.publish(stamp, truth=[[10.0]], nanosec=5_000_000)
    bench.until(lambda: bench.evaluator.summary()["unpaired"] == 4)
    expected = "no depth has a truth's stamp, the nearest are 5 ms apart; give both the image's stamp, or set sync_"
    assert bench.evaluator.summary()["problem"].startswith(expected)
    assert f"(4 images without a partner): {expected}" in bench.evaluator.close()


def test_stamps_within_the_tolerance_are_a_pair(ros: int) -> None:
    bench = Bench(sync_tolerance=0.006, period=0.1)
    bench.publish(1, depth=[[11.0]])
    bench.publish(1, truth=[[10.0]], nanosec=5_000_000)
    bench.until(lambda: bench.evaluator.summary()["frames"] == 1)
    summary = bench.evaluator.summary()
    assert (summary["metrics"]["abs_rel"], summary["unpaired"], summary["problem"]) == (0.1, 0, "")
    bench.close()


def test_it_says_that_no_pixel_could_be_compared(bench: Bench) -> None:
    bench.publish(1, depth=[[10.0]], truth=[[90.0]])
    bench.until(lambda: bench.evaluator.summary()["skipped"] == 1)
    expected = "1 pairs have no pixel with both depth and truth (crop none, truth from 0.001 to 80 m)"
    assert bench.evaluator.summary()["problem"] == expected


def test_it_says_what_could_not_be_read(ros: int) -> None:
    bench = Bench(period=0.1)
    header = Header(stamp=Time(sec=1))
    broken = image_from_array(np.ones((2, 2), np.float32), "32FC1", header)
    broken.height = 100
    bench.truth.publish(image_from_array(np.ones((2, 2), np.float32), "32FC1", header))
    bench.depth.publish(broken)
    bench.until(lambda: bench.reports and "could not be read" in bench.reports[-1].status[0].message)
    status = bench.reports[-1].status[0]
    assert status.message.startswith("no pairs yet: 1 pairs could not be read, the last because depth/image")
    assert {item.key: item.value for item in status.values}["problem"] == status.message.removeprefix("no pairs yet: ")
    bench.close()


def test_the_summary_is_written_whole_and_read_back(tmp_path: Path) -> None:
    target = tmp_path / "new" / "summary.json"
    write_summary(target, {"frames": 3, "metrics": {"abs_rel": 0.1}})
    assert json.loads(target.read_text()) == {"frames": 3, "metrics": {"abs_rel": 0.1}}
    assert [path.name for path in target.parent.iterdir()] == ["summary.json"]


def test_a_summary_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"summary\.json: cannot be written"):
        write_summary(tmp_path / "file" / "summary.json", {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_ends_with_its_table(domain: int, tmp_path: Path, number: signal.Signals) -> None:
    result = end_program(domain, tmp_path / "table.json", number)
    assert result.returncode == 0, result.stderr
    assert "No depth was compared" in result.stderr
    assert json.loads((tmp_path / "table.json").read_text())["frames"] == 0


def test_the_program_fails_if_its_file_cannot_be_written(domain: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = end_program(domain, tmp_path / "file" / "table.json", signal.SIGINT)
    assert result.returncode == 1
    assert "cannot be written" in result.stderr


def end_program(domain: int, table_file: Path, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Start the program, wait for its first report, and end it with a signal."""
    command = [sys.executable, "-m", "space_clip_ros.ros.drive.depth_evaluator", "--ros-args"]
    command += ["-p", f"json:={table_file}", "-p", "period:=0.1"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    rclpy.init(domain_id=domain)
    try:
        node, reports = rclpy.create_node("watcher"), []
        node.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 10)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        for _ in range(600):
            if reports:
                break
            executor.spin_once(timeout_sec=0.05)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
