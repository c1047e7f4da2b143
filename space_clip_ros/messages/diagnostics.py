"""Diagnostic values of the nodes: every key with its type and text, declared once and used to write and read."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from space_clip_ros.messages.types import ROS

T = TypeVar("T", bound="Values")


class Level(enum.IntEnum):
    """Levels of ``diagnostic_msgs/DiagnosticStatus``."""

    OK = 0
    WARN = 1
    ERROR = 2


class NodeState(str, enum.Enum):
    """Lifecycle states of ``depth_node``."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    ACTIVE = "active"
    FINALIZED = "finalized"


class Drop(str, enum.Enum):
    """Why an image gave no depth."""

    BAD_IMAGE = "bad image"
    FAILED = "failed"
    TOO_OLD = "too old"
    REPLACED = "replaced by a newer one"
    MODEL_DOWN = "model down"
    LEFT_OUT = "no ground or transform"


def value(form: str = "{}") -> Any:
    """Declare an optional value that is left out while unknown; ``form`` formats it as text."""
    return dataclasses.field(default=None, metadata={"form": form})


def group(prefix: str, form: str = "{}") -> Any:
    """Declare a mapping whose entries become values of their own, under ``prefix`` and their key."""
    return dataclasses.field(default_factory=dict, metadata={"form": form, "prefix": prefix})


@dataclasses.dataclass(frozen=True)
class Values:
    """Values of a diagnostic status: a field's name is its key.

    Attributes:
        PART: the status's name after the node's name.
    """

    PART: ClassVar[str] = ""

    def texts(self) -> dict[str, str]:
        """Return key and text of every value that is known, in the order of their declaration."""
        texts = {}
        for field in dataclasses.fields(self):
            held, form = getattr(self, field.name), field.metadata["form"]
            prefix = field.metadata.get("prefix")
            if prefix is not None:
                texts.update({f"{prefix}{_plain(key)}": form.format(entry) for key, entry in held.items()})
            elif held is not None:
                texts[field.name] = form.format(_plain(held))
        return texts

    @classmethod
    def read(cls: type[T], texts: Mapping[str, str]) -> T:
        """Return the values that a status's texts hold; undeclared keys are ignored.

        Raises:
            ValueError: a text does not fit its key's type.
        """
        hints = typing.get_type_hints(cls)
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            prefix = field.metadata.get("prefix")
            if prefix is not None:
                key_type, value_type = typing.get_args(hints[field.name])
                entries = {key.removeprefix(prefix): text for key, text in texts.items() if key.startswith(prefix)}
                # Another version may have keys that this one does not know.
                known = {key: text for key, text in entries.items() if not _is_unknown(key_type, key)}
                values[field.name] = {key_type(key): value_type(text) for key, text in known.items()}
            elif field.name in texts:
                values[field.name] = _parsed(hints[field.name], texts[field.name])
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class DepthValues(Values):
    """Values of ``depth_node``, one status per camera.

    Attributes:
        state: the node's lifecycle state.
        ready: whether the next image is answered without delay: the model is warmed up for its size.
        failure: why the node's last transition failed; empty if it did not.
        model: name of the loaded model, or the parameter ``model`` while none is loaded.
        backend: library that runs the model.
        device: device that the model runs on.
        precision: number format that the model runs in.
        uncertainty: whether the model estimates its uncertainty.
        metric: whether the model's depth is in metres; if not, only ``scale.mode`` can make it so.
        model_problem: why the model does not run; empty while it does.
        model_given_up: whether that is reported as an error, because the model failed too often in a row.
        min_depth: the parameter; depth below it, metres, is invalid, and it is the near end of ``depth/color``.
        max_depth: the parameter; depth above it, metres, is invalid, and it is the far end of ``depth/color``.
        colormap: the parameter ``color.colormap``.
        depth_factor: the factor on the newest image's depth.
        depth_scale: the parameter ``depth_scale``.
        focal_factor: the part of ``depth_factor`` that corrects for the camera's field of view.
        focal_scaling: that factor and its reason, or why there is none.
        scale_mode: the parameter ``scale.mode``.
        scale_factor: the scale found while running, applied to the newest image's depth.
        scale_sigma: standard deviation of ``scale_factor``, as a share of it.
        scale_age_s: seconds from the evidence last used to the newest image.
        scale_evidence: evidence used from the newest image; empty if none was.
        scale_problem: why requested evidence was not used; empty if all was.
        camera_info_frames: the frame_ids whose camera_info is known, with commas between.
        rectification: how the images' distortion is handled.
        ground: where the newest image's ground comes from, while obstacles or the scan are subscribed to.
        ground_problem: why no ground was found in that image; empty if it was.
        ground_age_s: seconds since the ground was last fitted.
        ground_height_m: the camera's height above the ground.
        ground_tilt_deg: angle between the ground and the camera's own level.
        obstacles_note: requested settings that obstacles cannot follow; empty if none.
        vocabulary: the closed list of names that the model knows, with commas between; left out if it has none.
        queries: names that are looked for, with commas between; left out if there are none.
        queries_problem: why the newest query was rejected and the earlier ones stay; left out if it was accepted.
        semantic_problem: why language outputs are not published; left out if they are.
        memory_mib: resident memory of the process, MiB.
        device_memory_mib: device memory held for the model, MiB.
        image_topic: resolved name of the image topic.
        image_publishers: number of its publishers.
        camera_info_topic: resolved name of the camera_info topic.
        camera_info_publishers: number of its publishers.
        output_subscribers: number of subscribers of all outputs together.
        received: images received since counting began.
        received_hz: images received per second, over the last 5 s.
        seconds_since_image: seconds since the last image.
        lost: images that the middleware lost on the way to the node.
        published: images whose outputs were published.
        published_hz: images published per second, over the last 5 s.
        age_ms_p50: median time from an image's stamp to its last output, milliseconds.
        age_ms_p95: its 95th percentile.
        dropped: images without outputs.
        dropped_by: dropped images by reason.
        stages_ms: median duration of each stage, milliseconds.
    """

    PART: ClassVar[str] = "depth estimation"

    state: NodeState | None = value()
    ready: bool | None = value()
    failure: str | None = value()
    model: str | None = value()
    backend: str | None = value()
    device: str | None = value()
    precision: str | None = value()
    uncertainty: bool | None = value()
    metric: bool | None = value()
    model_problem: str | None = value()
    model_given_up: bool | None = value()
    min_depth: float | None = value("{:g}")
    max_depth: float | None = value("{:g}")
    colormap: str | None = value()
    depth_factor: float | None = value("{:.4f}")
    depth_scale: float | None = value("{:g}")
    focal_factor: float | None = value("{:.4f}")
    focal_scaling: str | None = value()
    scale_mode: str | None = value()
    scale_factor: float | None = value("{:.4f}")
    scale_sigma: float | None = value("{:.4f}")
    scale_age_s: float | None = value("{:.1f}")
    scale_evidence: str | None = value()
    scale_problem: str | None = value()
    camera_info_frames: str | None = value()
    rectification: str | None = value()
    ground: str | None = value()
    ground_problem: str | None = value()
    ground_age_s: float | None = value("{:.1f}")
    ground_height_m: float | None = value("{:.3f}")
    ground_tilt_deg: float | None = value("{:.2f}")
    obstacles_note: str | None = value()
    vocabulary: str | None = value()
    queries: str | None = value()
    queries_problem: str | None = value()
    semantic_problem: str | None = value()
    memory_mib: float | None = value("{:.1f}")
    device_memory_mib: float | None = value("{:.1f}")
    image_topic: str | None = value()
    image_publishers: int | None = value()
    camera_info_topic: str | None = value()
    camera_info_publishers: int | None = value()
    output_subscribers: int | None = value()
    received: int | None = value()
    received_hz: float | None = value("{:.2f}")
    seconds_since_image: float | None = value("{:.1f}")
    lost: int | None = value()
    published: int | None = value()
    published_hz: float | None = value("{:.2f}")
    age_ms_p50: float | None = value("{:.1f}")
    age_ms_p95: float | None = value("{:.1f}")
    dropped: int | None = value()
    dropped_by: Mapping[Drop, int] = group("dropped: ")
    stages_ms: Mapping[str, float] = group("stage_ms: ", "{:.2f}")


@dataclasses.dataclass(frozen=True)
class PlaybackValues(Values):
    """Values of ``kitti_player``.

    Attributes:
        frames_sent: frames published.
        frames_late: frames that went out late.
        latest_by_ms: how late the latest was, milliseconds.
        frame_rate_hz: mean rate of the playback.
        finished: whether the drive is over.
    """

    PART: ClassVar[str] = "playback"

    frames_sent: int | None = value()
    frames_late: int | None = value()
    latest_by_ms: float | None = value("{:.1f}")
    frame_rate_hz: float | None = value("{:.3f}")
    finished: bool | None = value()


@dataclasses.dataclass(frozen=True)
class EvaluationValues(Values):
    """Values of ``depth_evaluator``: metrics averaged over frames, those of the newest frame, counts and settings.

    Attributes:
        abs_rel, sq_rel, rmse, rmse_log, log_10, silog, a1, a2, a3: the field's metrics, see
            :mod:`space_clip_ros.evaluation.metrics`.
        latest_abs_rel: of the newest frame.
        latest_a1: of the newest frame.
        frames: pairs compared.
        skipped: pairs without a pixel to compare.
        unpaired: images dropped without a partner.
        broken: pairs that could not be read.
        problem: why nothing was compared so far; empty once something was.
        pixels: pixels compared.
        coverage: share of the known pixels for which there was depth.
        crop: region compared.
        min_depth_m: nearest truth compared, metres.
        max_depth_m: furthest truth compared, metres.
    """

    PART: ClassVar[str] = "depth error"

    abs_rel: float | None = value("{:.5g}")
    sq_rel: float | None = value("{:.5g}")
    rmse: float | None = value("{:.5g}")
    rmse_log: float | None = value("{:.5g}")
    log_10: float | None = value("{:.5g}")
    silog: float | None = value("{:.5g}")
    a1: float | None = value("{:.5g}")
    a2: float | None = value("{:.5g}")
    a3: float | None = value("{:.5g}")
    latest_abs_rel: float | None = value("{:.5g}")
    latest_a1: float | None = value("{:.5g}")
    frames: int | None = value()
    skipped: int | None = value()
    unpaired: int | None = value()
    broken: int | None = value()
    problem: str | None = value()
    pixels: int | None = value()
    coverage: float | None = value("{:.5g}")
    crop: str | None = value()
    min_depth_m: float | None = value("{:.5g}")
    max_depth_m: float | None = value("{:.5g}")


def status(name: str, level: Level, message: str, texts: Mapping[str, str], hardware_id: str = "") -> Any:
    """Return a ``diagnostic_msgs/DiagnosticStatus``.

    Args:
        name: the node's name and its part, as in REP 107.
        level: severity.
        message: one line for people.
        texts: its values, from :meth:`Values.texts`.
        hardware_id: the hardware that it is about.
    """
    pairs = [ROS.make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in texts.items()]
    return ROS.make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=bytes([level]),
        name=name,
        message=message,
        hardware_id=hardware_id,
        values=pairs,
    )


def status_array(stamp: Any, statuses: Iterable[Any]) -> Any:
    """Return the message of ``/diagnostics``; ``stamp`` is a ``builtin_interfaces/Time``."""
    header = ROS.make("std_msgs/msg/Header", stamp=stamp)
    return ROS.make("diagnostic_msgs/msg/DiagnosticArray", header=header, status=list(statuses))


def status_texts(message: Any) -> dict[str, str]:
    """Return the values of a received status by their keys."""
    return {pair.key: pair.value for pair in message.values}


def _is_unknown(kind: type, key: str) -> bool:
    return issubclass(kind, enum.Enum) and key not in {member.value for member in kind}


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value.value if isinstance(value, enum.Enum) else value


def _parsed(hint: Any, text: str) -> Any:
    kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
    return text == "true" if kinds[0] is bool else kinds[0](text)
