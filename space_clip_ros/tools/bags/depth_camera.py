"""One camera of a bag on its way through the node's own steps, its outputs as the bytes a bag holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DataError, InputError, SpaceClipError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.inference.backend import ModelInfo, Prediction
from space_clip_ros.messages import camera_info_from_camera, cloud_from_points, dense_cloud
from space_clip_ros.messages.bag_types import BAGS, TYPES
from space_clip_ros.messages.color_images import image_to_rgb
from space_clip_ros.messages.compressed_images import compressed_to_rgb
from space_clip_ros.perception.calibration import Calibration
from space_clip_ros.perception.outputs import ColorOutput, DepthOutput, InfoOutput, Output, Outputs, PointsOutput
from space_clip_ros.perception.pipeline import Pipeline, Prepared
from space_clip_ros.tools.bags import messages
from space_clip_ros.tools.bags.image_topics import ImageTopic
from space_clip_ros.tools.bags.reader import BagReader

OUTPUTS: dict[str, str] = {
    DepthOutput.topic: "sensor_msgs/msg/Image",
    InfoOutput.topic: "sensor_msgs/msg/CameraInfo",
    PointsOutput.topic: "sensor_msgs/msg/PointCloud2",
    ColorOutput.topic: "sensor_msgs/msg/Image",
}
"""The outputs there are, and their types."""

_FROM_DEPTH: tuple[type[Any], ...] = (DepthOutput, PointsOutput, ColorOutput)


def check_outputs(names: Sequence[str]) -> None:
    """Refuse names of outputs that are not there, and a choice that no depth is made for.

    Raises:
        InputError: so it is.
    """
    known = set(names) <= set(OUTPUTS)
    if not known or len(set(names)) < len(names) or not any(kind.topic in names for kind in _FROM_DEPTH):
        raise InputError(f"outputs must be some of {', '.join(OUTPUTS)}, not only camera_info, got {list(names)}")


@dataclass(frozen=True)
class Picture:
    """An image of a bag.

    Attributes:
        camera: whose it is.
        stamp_ns: when it lies in the bag.
        header: its header; None where the message is damaged.
        rgb: (H, W, 3) uint8, or what is wrong with it.
        news: each camera's camera_info that came since the image before.
    """

    camera: DepthCamera
    stamp_ns: int
    header: Any
    rgb: NDArray[np.uint8] | SpaceClipError
    news: Sequence[tuple[DepthCamera, Any]] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the pixels; empty where there are none."""
        return () if isinstance(self.rgb, SpaceClipError) else self.rgb.shape


class BagMessages:
    """Makes messages as bags hold them."""

    def image(self, pixels: NDArray[Any], encoding: str, header: Any) -> Any:
        """Return an image; its encoding follows from the pixels' dtype."""
        return messages.image(pixels, header)

    def camera_info(self, camera: PinholeCamera, header: Any) -> Any:
        """Return a camera_info."""
        return camera_info_from_camera(camera, header, types=BAGS)

    def cloud(self, points: NDArray[np.float32], header: Any) -> Any:
        """Return an organised cloud."""
        return cloud_from_points(points, header, BAGS)

    def dense_cloud(self, points: NDArray[np.float32], header: Any) -> Any:
        """Return a cloud of the valid points."""
        return dense_cloud(points, header, BAGS)


class _Shelf:
    """A publisher that keeps what it is given, as bytes; ``wanted`` tells whether it is asked for anything."""

    def __init__(self, topic: str, kind: str, wanted: bool, made: list[tuple[str, Any]]) -> None:
        self._topic = topic
        self._kind = kind
        self._wanted = wanted
        self._made = made

    def get_subscription_count(self) -> int:
        return int(self._wanted)

    def publish(self, message: Any) -> None:
        self._made.append((self._topic, TYPES.serialize_cdr(message, self._kind)))


class _Faults:
    """What the pipeline says is wrong, told once of each kind."""

    def __init__(self, topic: str, warn: Callable[[str], None]) -> None:
        self._topic = topic
        self._warn = warn
        self._told: set[str] = set()

    def warning(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._warn(f"{self._topic}: {text}")

    def note(self, problem: str) -> None:
        """Nothing: whatever is noted is said as well."""

    def publish(self, age_ms: float, stages_ms: Mapping[str, float]) -> None:
        """Nothing: a bag's images have no age."""


class DepthCamera:
    """Takes a camera's images through the node's pipeline.

    Args:
        image: its topic.
        outputs: which of :data:`OUTPUTS` to make.
        model: the model's facts.
        settings: the node's parameters.
        warn: told once of each kind of fault.

    Attributes:
        topics: the types of its outputs, by their full names.
        main_topic: the output that every image with depth has.
        problem: why the first image that was left out was.
    """

    def __init__(
        self,
        image: ImageTopic,
        outputs: Sequence[str],
        model: ModelInfo,
        settings: NodeConfig,
        warn: Callable[[str], None],
    ) -> None:
        """Set up the pipeline."""
        self.image = image
        self.topics = {f"{image.namespace}{name}": kind for name, kind in OUTPUTS.items() if name in outputs}
        self.main_topic = image.namespace + next(kind.topic for kind in _FROM_DEPTH if kind.topic in outputs)
        self.problem = ""
        self._made: list[tuple[str, Any]] = []
        self._faults = _Faults(image.name, warn)
        self._calibration = Calibration(image.info)
        make = BagMessages()
        shelves = {
            name: _Shelf(f"{image.namespace}{name}", kind, name in outputs, self._made)
            for name, kind in OUTPUTS.items()
        }
        images: list[Output] = [kind(shelves[kind.topic], make) for kind in _FROM_DEPTH]
        self._pipeline = Pipeline(
            model,
            self._calibration,
            Outputs(make, InfoOutput(shelves[InfoOutput.topic], make), tuple(images)),
            self._faults,
            self._faults,
            lambda: settings,
            lambda stamp: 0.0,
            lambda picture, topic: picture.rgb,
            image.name,
        )

    def decode(
        self, bag: BagReader, stamp_ns: int, data: bytes, news: Sequence[tuple[DepthCamera, Any]] = ()
    ) -> Picture:
        """Decode one of its images; may be called from any thread."""
        convert = compressed_to_rgb if self.image.compressed else image_to_rgb
        try:
            message = bag.decode(self.image.name, data)
            return Picture(self, stamp_ns, message.header, convert(message, self.image.name), news)
        except (DataError, InputError) as error:
            return Picture(self, stamp_ns, None, error, news)

    def prepare(self, picture: Picture) -> tuple[Prepared | None, list[tuple[str, Any]]]:
        """Return what the model takes, None where that image cannot be used, and the outputs that are made already."""
        for camera, info in picture.news:
            camera._calibration.update(info)
        if isinstance(picture.rgb, SpaceClipError):
            self.leave_out(picture.rgb)
            return None, []
        prepared = self._pipeline.prepare(picture)
        if prepared is None:
            self.leave_out(InputError(f"{self.main_topic} needs a camera_info on {self.image.info} that fits it"))
        return prepared, self._drain()

    def complete(self, prepared: Prepared, prediction: Prediction) -> list[tuple[str, Any]]:
        """Return the outputs of an image, topics and CDR bytes."""
        self._pipeline.complete(prepared, prediction)
        return self._drain()

    def leave_out(self, error: SpaceClipError) -> None:
        """Take down why an image gives no depth."""
        self.problem = self.problem or str(error)
        self._faults.warning("bad image", f"image left out: {error}")

    def _drain(self) -> list[tuple[str, Any]]:
        made = self._made.copy()
        self._made.clear()
        return made
