"""Node ``depth_evaluator``: compares ``depth/image`` with ``ground_truth/image``, frame by frame, while they play."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image

from space_clip_ros.config import EvaluatorConfig
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.evaluation.metrics import MetricAverage
from space_clip_ros.files import check_output_files, write_json
from space_clip_ros.geometry.depth import Depth, resize_bilinear
from space_clip_ros.messages import depth_from_image, stamp_ns
from space_clip_ros.messages.diagnostics import EvaluationValues, Level, status, status_array
from space_clip_ros.ros.common.parameters import Parameters
from space_clip_ros.ros.common.qos import qos_overrides, reliable
from space_clip_ros.ros.common.spin import run
from space_clip_ros.ros.drive.pairing import StampPairs

_DEPTH = "depth/image"
_TRUTH = "ground_truth/image"
_WARNING_PERIOD_S = 5.0
# Reliable, as depth_node and kitti_player publish, so that every frame is compared; parameters override it.
_QOS = reliable(10)


class DepthEvaluator(Node):
    """Pairs depth with ground truth by stamp and averages the errors over frames.

    Depth of another size than the truth is resized to it bilinearly, never the other way round: the truth is sparse.
    A pixel whose truth is known but whose depth is NaN enters no error. It lowers ``coverage``, the share of known
    pixels that have depth, so read coverage beside every error.

    Raises:
        ConfigError: parameters that cannot be used.
        DataError: ``json`` cannot be written.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters and subscribe."""
        super().__init__("depth_evaluator", **node_arguments)
        settings = Parameters(self, EvaluatorConfig).current
        self._settings = settings
        if settings.json:
            check_output_files(Path(settings.json).expanduser())
        self._average = MetricAverage(settings.min_depth, settings.max_depth, settings.crop)
        self._pairs: StampPairs[Image, Image] = StampPairs(tolerance_ns=round(settings.sync_tolerance * 1e9))
        self._latest: dict[str, float] = {}
        self._broken = 0
        self._last_fault = ""
        self.error: DataError | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for topic, callback in ((_DEPTH, self._on_depth), (_TRUTH, self._on_truth)):
            self.create_subscription(Image, topic, callback, _QOS, qos_overriding_options=qos_overrides())
        self.create_timer(settings.period, self._report)

    def summary(self) -> dict[str, Any]:
        """Return counts, coverage, settings and mean metrics as plain values.

        ``unpaired`` counts depth and truth images that left without a partner, those still waiting included;
        ``problem`` says why nothing was compared.
        """
        average = self._average
        known = average.pixels + average.unanswered
        return {
            "frames": average.frames,
            "skipped": average.skipped,
            "unpaired": self._pairs.unpaired + sum(self._pairs.waiting),
            "broken": self._broken,
            "problem": "" if average.frames else self._problem(),
            "pixels": average.pixels,
            "coverage": round(average.pixels / known, 6) if known else None,
            "crop": self._settings.crop,
            "min_depth_m": self._settings.min_depth,
            "max_depth_m": self._settings.max_depth,
            "metrics": {name: round(value, 6) for name, value in average.mean().items()},
        }

    def close(self) -> str:
        """Write the summary where ``json`` says, and return it as a table."""
        summary = self.summary()
        if self._settings.json:
            try:
                write_summary(self._settings.json, summary)
            except DataError as error:
                self.error = error
                self.get_logger().fatal(str(error))
        return table(summary)

    def _problem(self) -> str:
        """Return why no frame has been compared."""
        topics = (("depth", _DEPTH), ("truth", _TRUTH))
        received = zip(topics, self._pairs.received, strict=True)
        silent = [self._silence(what, topic) for (what, topic), count in received if not count]
        if silent:
            return " and ".join(silent)
        if self._broken:
            return f"{self._broken} pairs could not be read, the last because {self._last_fault}"
        if self._average.skipped:
            low, high, crop = self._settings.min_depth, self._settings.max_depth, self._settings.crop
            where = f"crop {crop}, truth from {low:g} to {high:g} m"
            return f"{self._average.skipped} pairs have no pixel with both depth and truth ({where})"
        nearest = self._pairs.nearest_ns
        apart = "" if nearest is None else f", the nearest are {nearest / 1e6:g} ms apart"
        return f"no depth has a truth's stamp{apart}; give both the image's stamp, or set sync_tolerance (seconds)"

    def _silence(self, what: str, topic: str) -> str:
        name = self.resolve_topic_name(topic)
        known = self.count_publishers(name)
        reason = "somebody publishes there, but not reliably" if known else "nobody publishes there now"
        return f"no {what} came on {name} ({reason})"

    def _on_depth(self, depth: Image) -> None:
        self._compare(self._pairs.add_first(stamp_ns(depth), depth))

    def _on_truth(self, truth: Image) -> None:
        self._compare(self._pairs.add_second(stamp_ns(truth), truth))

    def _compare(self, pair: tuple[Image, Image] | None) -> None:
        if pair is None:
            return
        try:
            depth = depth_from_image(pair[0], _DEPTH)
            truth = depth_from_image(pair[1], _TRUTH)
            self._latest = self._average.add(fitted(depth, truth), truth) or self._latest
        except InputError as error:
            self._broken += 1
            self._last_fault = str(error)
            self.get_logger().warning(str(error), throttle_duration_sec=_WARNING_PERIOD_S)

    def _report(self) -> None:
        summary = self.summary()
        metrics = summary.pop("metrics")
        values = EvaluationValues(
            **metrics, latest_abs_rel=self._latest.get("abs_rel"), latest_a1=self._latest.get("a1"), **summary
        )
        message = (
            f"abs_rel {metrics['abs_rel']:.3f} over {values.frames} frames"
            if metrics
            else f"no pairs yet: {values.problem}"
        )
        name = f"{self.get_fully_qualified_name().lstrip('/')}: {EvaluationValues.PART}"
        level = Level.OK if metrics else Level.WARN
        statuses = [status(name, level, message, values.texts())]
        self._diagnostics.publish(status_array(self.get_clock().now().to_msg(), statuses))


def table(summary: dict[str, Any]) -> str:
    """Lay out :meth:`DepthEvaluator.summary` for a terminal."""
    if not summary["metrics"]:
        return f"No depth was compared ({summary['unpaired']} images without a partner): {summary['problem']}"
    names = list(summary["metrics"])
    head = (
        f"{summary['frames']} frames, crop {summary['crop']}, {summary['min_depth_m']:g}-{summary['max_depth_m']:g} m"
    )
    counts = f"coverage {summary['coverage']:.1%}, {summary['unpaired']} unpaired, {summary['skipped']} skipped"
    return "\n".join(
        [
            f"{head}; {counts}",
            "  ".join(f"{name:>8}" for name in names),
            "  ".join(f"{summary['metrics'][name]:>8.4f}" for name in names),
        ]
    )


def write_summary(path: str | Path, summary: dict[str, Any]) -> None:
    """Write :meth:`DepthEvaluator.summary` as JSON, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    write_json(Path(path).expanduser(), summary)


def fitted(depth: Depth, truth: Depth) -> Depth:
    """Return ``depth`` at the truth's size, resized bilinearly where it differs; both are (H, W) metres."""
    if depth.shape == truth.shape:
        return depth
    height, width = truth.shape
    return resize_bilinear(depth, width, height)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return its exit status, 1 if the summary could not be written."""
    description = "Compares depth/image with ground_truth/image, frame by frame."
    example = "-p json:=errors.json -r depth/image:=/front/depth/image"
    return run(
        lambda finish: DepthEvaluator(),
        "depth_evaluator",
        description,
        args,
        settings=EvaluatorConfig,
        example=example,
    )


if __name__ == "__main__":
    sys.exit(main())
