"""One camera of a bag: turns its images into requests to the core, and the core's frames into serialized messages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DataError, InputError, SpaceClipError
from space_clip_ros.geometry.rigid import pose_from_angles
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.messages import (
    calibration_from_info,
    compressed_to_rgb,
    image_to_rgb,
    stamp_ns,
    xyz_from_cloud,
)
from space_clip_ros.messages.bag_types import BAGS, TYPES
from space_clip_ros.messages.outputs import CAMERA_INFO, LABEL_INFO, TOPICS, OutputMessages
from space_clip_ros.messages.semantics import LabelNames
from space_clip_ros.model_config import LANGUAGE_OUTPUTS
from space_clip_ros.perception.calibration import CalibrationStore
from space_clip_ros.perception.camera_mount import CameraMount, configured_mount
from space_clip_ros.perception.core import made_outputs
from space_clip_ros.perception.focal_scaling import FocalScaling
from space_clip_ros.perception.frame import DepthFrame, DepthRequest, ScaleRequest
from space_clip_ros.perception.ground import GroundTracker
from space_clip_ros.perception.outputs import OUTPUTS, Available, makeable, need_camera
from space_clip_ros.perception.scale import TOGETHER_S, FrameEvidence, MetricScale
from space_clip_ros.perception.scale_evidence import MeasuredPoints
from space_clip_ros.tools.bags.image_topics import ImageTopic
from space_clip_ros.tools.bags.reader import BagReader

# Outputs that the model lacks have been refused earlier.
_EVERYTHING = Available(camera=True, uncertainty=True, features=LANGUAGE_OUTPUTS, queries=True)
_NAMES = {topic.topic: name for name, topic in TOPICS.items()}


def check_outputs(topics: Sequence[str]) -> None:
    """Refuse unknown or repeated outputs, and a choice that needs no depth.

    Args:
        topics: relative names, such as ``depth/image``.

    Raises:
        InputError: the outputs are refused.
    """
    known = set(topics) <= set(_NAMES)
    if not known or len(set(topics)) < len(topics) or not any(_NAMES[topic] in OUTPUTS for topic in topics):
        raise InputError(f"outputs must be some of {', '.join(_NAMES)}, not only camera_info, got {list(topics)}")


@dataclass(frozen=True)
class BagImage:
    """An image of a bag.

    Attributes:
        camera: the camera it is from.
        stamp_ns: when the bag received it, nanoseconds.
        header: its header; None if the message is damaged.
        rgb: (H, W, 3) uint8, or what is wrong with it.
        infos: each camera's camera_info messages since the previous image.
        scan: the ``scale/points`` nearest in time, a PointCloud2 or what is wrong with it; None if there is none.
    """

    camera: DepthCamera
    stamp_ns: int
    header: Any
    rgb: NDArray[np.uint8] | SpaceClipError
    infos: Sequence[tuple[DepthCamera, Any]] = ()
    scan: Any = None

    @property
    def time_s(self) -> float:
        """Its stamp, or if that is not set the time when the bag received it, seconds."""
        return (stamp_ns(self) or self.stamp_ns) / 1e9

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels; empty where there are none."""
        return () if isinstance(self.rgb, SpaceClipError) else self.rgb.shape


class DepthCamera:
    """Turns a camera's images into requests, and frames into messages.

    Args:
        image: its topic.
        outputs: relative topics to make, see :func:`check_outputs`.
        settings: the node's parameters.
        warn: called once for each kind of fault.
        scan: topic of the points that its scale is measured with; ``scale/points`` beside the image if empty.
        queries: what is looked for by name; None for nothing.

    Attributes:
        image: as given.
        scan: full name of that topic.
        topics: the message types of its outputs, by their full names.
        latched: the topics whose last message late subscribers get.
        main_topic: the output that every image with depth has.
        problem: why the first image without depth has none; empty while all have depth.
        focal: what focal_scaling does to the newest image's depth.
    """

    def __init__(
        self,
        image: ImageTopic,
        outputs: Sequence[str],
        settings: NodeConfig,
        warn: Callable[[str], None],
        scan: str = "",
        queries: QuerySet | None = None,
    ) -> None:
        """Start without a calibration."""
        self.image = image
        self.scan = scan or f"{image.namespace}scale/points"
        self._settings = settings
        self._warn = warn
        self._warned: set[str] = set()
        self._wanted = tuple(name for name, topic in TOPICS.items() if topic.topic in outputs)
        self.topics = {self._topic(name): TOPICS[name].kind for name in self._wanted}
        self.latched = {self._topic(name) for name in self._wanted if TOPICS[name].latched}
        self.main_topic = self._topic(makeable(self._wanted, _EVERYTHING)[0])
        self.problem = ""
        self.focal = FocalScaling()
        self._calibrations = CalibrationStore(image.info)
        self._messages = OutputMessages(BAGS)
        self._ground = GroundTracker()
        self._scale = MetricScale()
        self._queries = queries
        self._unnamed = queries is not None and LABEL_INFO in self._wanted

    def decode(
        self,
        bag: BagReader,
        stamp_ns: int,
        data: bytes,
        infos: Sequence[tuple[DepthCamera, Any]] = (),
        scan: bytes | None = None,
    ) -> BagImage:
        """Decode one of its images, and the scan that goes with it; may be called from any thread."""
        convert = compressed_to_rgb if self.image.compressed else image_to_rgb
        try:
            message = bag.decode(self.image.name, data)
            rgb = convert(message, self.image.name)
            return BagImage(self, stamp_ns, message.header, rgb, infos, self._decoded(bag, scan))
        except (DataError, InputError) as error:
            return BagImage(self, stamp_ns, None, error, infos)

    def request(self, image: BagImage) -> DepthRequest | None:
        """Return the request to the core; None if this image can give no depth."""
        for camera, info in image.infos:
            camera._calibrations.update(info.header.frame_id, calibration_from_info(info))
        if isinstance(image.rgb, SpaceClipError):
            self.leave_out(image.rgb)
            return None
        height, width = image.rgb.shape[:2]
        view = self._calibrations.view(image.header.frame_id, width, height, self._settings.rectify)
        needed = need_camera(self._wanted) or self._settings.focal_scaling == "always"
        if view.problem and (needed or self._calibrations.frames):
            self._warn_once("camera_info", view.consequence)
        if view.note:
            self._warn_once("camera_info note", view.note)
        outputs = makeable(self._wanted, dataclasses.replace(_EVERYTHING, camera=view.camera is not None))
        if not outputs:
            self.leave_out(InputError(f"{self.main_topic} needs a camera_info on {self.image.info} that fits it"))
            return None
        return DepthRequest(
            image.rgb,
            view,
            self._settings,
            outputs,
            self._messages.allocate,
            stamp_s=stamp_ns(image) / 1e9 or None,
            ground=self._ground,
            scale=self._scale_request(image),
            queries=self._queries,
        )

    def messages(self, image: BagImage, frame: DepthFrame) -> Iterator[tuple[str, Any]]:
        """Yield the outputs of a frame: topic and CDR bytes."""
        self.focal = frame.focal
        if frame.focal.problem:
            self._warn_once("focal_scaling", frame.focal.problem)
        if frame.estimate is not None and frame.estimate.age_s is None:
            self._warn_once("scale", f"no evidence for the scale yet: {frame.estimate.problem}")
        if frame.camera is not None and CAMERA_INFO in self._wanted:
            yield self._serialized(CAMERA_INFO, frame.camera, image.header)
        if self._unnamed and self._queries is not None:
            self._unnamed = False
            names = LabelNames(self._queries.names, self._settings.semantic.threshold)
            yield self._serialized(LABEL_INFO, names, image.header)
        for name, array in made_outputs(frame):
            yield self._serialized(name, array, image.header)
        for name, reason in frame.left_out.items():
            self._warn_once(name, f"{TOPICS[name].topic} left out: {reason}")

    def leave_out(self, error: Exception) -> None:
        """Note why an image gives no depth."""
        self.problem = self.problem or str(error)
        self._warn_once("bad image", f"image left out: {error}")

    def _decoded(self, bag: BagReader, scan: bytes | None) -> Any:
        try:
            return None if scan is None else bag.decode(self.scan, scan)
        except (DataError, InputError) as error:
            return error

    def _scale_request(self, image: BagImage) -> ScaleRequest | None:
        settings = self._settings.scale
        if settings.mode == "none":
            return None
        mount: CameraMount | str | None = None
        if settings.wants_height:
            given = configured_mount(settings)
            mount = given if given.height_m else "scale.camera_height is 0, and a bag's TF is not read"
        measured = self._measured(image) if settings.wants_ranges else None
        return ScaleRequest(self._scale, FrameEvidence(image.time_s, settings.max_rate, mount, measured))

    def _measured(self, image: BagImage) -> tuple[MeasuredPoints, ...] | str:
        extrinsics, topic = self._settings.scale.extrinsics, self.scan
        if not extrinsics:
            return "scale.extrinsics is empty, and a bag's TF is not read"
        if isinstance(image.scan, SpaceClipError):
            return str(image.scan)
        if image.scan is None:
            return f"no new {topic} within {TOGETHER_S:g} s of the image"
        try:
            return (MeasuredPoints(xyz_from_cloud(image.scan, topic), pose_from_angles(extrinsics)),)
        except InputError as error:
            return str(error)

    def _serialized(self, name: str, value: Any, header: Any) -> tuple[str, Any]:
        message = self._messages.message(name, value, header)
        return self._topic(name), TYPES.serialize_cdr(message, TOPICS[name].kind)

    def _topic(self, name: str) -> str:
        return f"{self.image.namespace}{TOPICS[name].topic}"

    def _warn_once(self, kind: str, text: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(f"{self.image.name}: {text}")
