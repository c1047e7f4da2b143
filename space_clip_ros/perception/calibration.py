"""Finds an image's camera: the newest calibration of its frame, and what it says about the image."""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.calibration import CameraCalibration
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.lens import is_fisheye
from space_clip_ros.geometry.rectification import Rectifier

_FRAMES = 16
# A broken message may repeat megabytes of its own content in an error.
_LONGEST_REASON = 300
_LEAST_SEEN = 0.25


class Rectification(str, enum.Enum):
    """How an image's distortion is handled."""

    HERE = "images are rectified here"
    ALREADY = "images are rectified already: camera_info has no distortion"
    NEVER = "never: images are taken as rectified"
    UNKNOWN = "unknown: no camera_info"
    OTHER_FRAME = "unknown: no camera_info for the images' frame_id"
    UNUSABLE = "none: depth is of the unrectified image, camera_info cannot be used"


@dataclass(frozen=True)
class RectifiedView:
    """An image's camera, and how to rectify the image.

    Attributes:
        camera: camera of the image once rectified, or None where unknown.
        rectifier: undistorts the image first, or None where it stays as it is.
        problem: why ``camera`` is None, in one line; empty otherwise.
        rectification: how distortion is handled.
        note: assumption under which the calibration is used; empty if there is none.
    """

    camera: PinholeCamera | None = None
    rectifier: Rectifier | None = None
    problem: str = ""
    rectification: Rectification = Rectification.UNKNOWN
    note: str = ""

    @property
    def consequence(self) -> str:
        """The problem, and what depth is without a camera, in one line."""
        unrectified = self.rectification in (Rectification.OTHER_FRAME, Rectification.UNUSABLE)
        return f"{self.problem}; there is depth{' of the unrectified image' if unrectified else ''}, but no cloud"


class _CachedView(NamedTuple):
    calibration: CameraCalibration
    request: tuple[int, int, str]
    view: RectifiedView


class CalibrationStore:
    """Keeps the newest calibration of each frame. Calibrations and images may come from different threads.

    Args:
        topic: resolved name of the camera_info topic, for texts.
    """

    def __init__(self, topic: str) -> None:
        """Start without any calibration."""
        self._topic = topic
        self._lock = threading.Lock()
        self._calibrations: OrderedDict[str, CameraCalibration] = OrderedDict()
        self._cached: _CachedView | None = None

    def update(self, frame_id: str, calibration: CameraCalibration) -> None:
        """Make a calibration its frame's newest; the few frames updated last are kept.

        Args:
            frame_id: the frame; a leading slash, as ROS 1 had it, does not count.
            calibration: its calibration.
        """
        frame_id = frame_id.lstrip("/")
        with self._lock:
            # Cameras repeat theirs with every image: the old object is kept, so that nothing is worked out again.
            if self._calibrations.get(frame_id) != calibration:
                self._calibrations[frame_id] = calibration
            self._calibrations.move_to_end(frame_id)
            if len(self._calibrations) > _FRAMES:
                self._calibrations.popitem(last=False)

    def clear(self) -> None:
        """Forget every calibration."""
        with self._lock:
            self._calibrations.clear()

    @property
    def frames(self) -> tuple[str, ...]:
        """The frame_ids known."""
        with self._lock:
            return tuple(self._calibrations)

    def view(self, frame_id: str, width: int, height: int, rectify: str) -> RectifiedView:
        """Return what is known about an image; worked out again only when its calibration changes.

        Args:
            frame_id: the image's frame.
            width: the image's width, pixels.
            height: the image's height, pixels.
            rectify: ``auto`` (K and D describe the image if D is not zero, P the rectified one) or ``never`` (the
                image is rectified already and P describes it).
        """
        calibration, others = self._find(frame_id.lstrip("/"))
        if calibration is None:
            unknown = Rectification.OTHER_FRAME if others else Rectification.UNKNOWN
            return RectifiedView(problem=self._missing(frame_id, others), rectification=_unless_never(rectify, unknown))
        cached, request = self._cached, (width, height, rectify)
        if cached is None or cached.calibration is not calibration or cached.request != request:
            cached = _CachedView(calibration, request, self._work_out(calibration, width, height, rectify))
            self._cached = cached
        return cached.view

    def _find(self, frame_id: str) -> tuple[CameraCalibration | None, tuple[str, ...]]:
        """Return an image's calibration, and the frames known.

        A camera_info without a frame_id is for every image of its topic, and an image without one belongs to the only
        camera there is.
        """
        with self._lock:
            known = self._calibrations
            calibration = known.get(frame_id) or known.get("")
            if calibration is None and not frame_id and len(known) == 1:
                calibration = next(iter(known.values()))
            return calibration, tuple(known)

    def _missing(self, frame_id: str, others: tuple[str, ...]) -> str:
        if not others:
            return f"no camera_info on {self._topic} yet"
        frames = ", ".join(repr(name[:40]) for name in others[:4])
        return f"camera_info on {self._topic} is for frame {frames}, but images are in frame {frame_id[:40]!r}"

    def _work_out(self, calibration: CameraCalibration, width: int, height: int, rectify: str) -> RectifiedView:
        try:
            return self._view(calibration, width, height, rectify)
        except InputError as error:
            reason = str(error)[:_LONGEST_REASON]
            problem = f"camera_info on {self._topic} cannot be used: {reason}"
            return RectifiedView(problem=problem, rectification=_unless_never(rectify, Rectification.UNUSABLE))

    def _view(self, calibration: CameraCalibration, width: int, height: int, rectify: str) -> RectifiedView:
        delivered = calibration.delivered()
        note = ""
        if (delivered.width, delivered.height) != (width, height):
            note = (
                f"camera_info on {self._topic} is for images of {delivered.width}x{delivered.height} pixels; it is "
                f"scaled to their {width}x{height}"
            )
        if rectify == "never":
            camera = calibration.rectified_camera(width, height)
            return RectifiedView(camera, rectification=Rectification.NEVER, note=note)
        rectifier = calibration.rectifier(width, height)
        if rectifier.identity:
            if is_fisheye(calibration.distortion_model):
                ideal = (
                    f"camera_info on {self._topic} names a fisheye lens and has no distortion: images are taken as "
                    "rectified; if they are of an ideal fisheye lens, set D to [1e-9, 0, 0, 0]"
                )
                note = f"{note}; {ideal}" if note else ideal
            return RectifiedView(rectifier.camera, rectification=Rectification.ALREADY, note=note)
        seen = 1.0 if rectifier.outside is None else 1.0 - float(rectifier.outside.mean())
        if seen < _LEAST_SEEN:
            little = f"camera_info on {self._topic} fills only {seen:.0%} of the rectified image; check D, K and P"
            note = f"{note}; {little}" if note else little
        return RectifiedView(rectifier.camera, rectifier, rectification=Rectification.HERE, note=note)


def _unless_never(rectify: str, rectification: Rectification) -> Rectification:
    return Rectification.NEVER if rectify == "never" else rectification
