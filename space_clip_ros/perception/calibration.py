"""The newest camera_info of each frame, and what it says about an image: rectified how, seen by which camera."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.rectification import ImageCalibration, Rectifier, cached_rectifier, delivered_image

_FRAMES = 16
# A broken message may repeat megabytes of its own content in an error.
_LONGEST = 300
_ZERO = (0.0,)


@dataclass(frozen=True)
class View:
    """What is known about an image's camera.

    Attributes:
        camera: camera of the image once rectified, or None where unknown.
        rectifier: undistorts the image first, or None where it stays as it is.
        problem: why ``camera`` is None: one line that says what to do; empty otherwise.
    """

    camera: PinholeCamera | None = None
    rectifier: Rectifier | None = None
    problem: str = ""


class Calibration:
    """Keeps camera_info by frame_id; messages and images may come from different threads.

    Args:
        topic: resolved name of the camera_info topic, for texts.
    """

    def __init__(self, topic: str) -> None:
        """Start without any camera_info."""
        self._topic = topic
        self._lock = threading.Lock()
        self._infos: OrderedDict[str, Any] = OrderedDict()
        self._cached: tuple[tuple[Any, ...], View] | None = None

    def update(self, info: Any) -> None:
        """Keep a ``sensor_msgs/CameraInfo`` as its frame's newest; the few frames used last are kept."""
        with self._lock:
            self._infos[info.header.frame_id] = info
            self._infos.move_to_end(info.header.frame_id)
            if len(self._infos) > _FRAMES:
                self._infos.popitem(last=False)

    def clear(self) -> None:
        """Forget every camera_info."""
        with self._lock:
            self._infos.clear()

    @property
    def frames(self) -> tuple[str, ...]:
        """The frame_ids known."""
        with self._lock:
            return tuple(self._infos)

    def view(self, frame_id: str, width: int, height: int, rectify: str) -> View:
        """Return what is known about an image; worked out anew only when its camera_info changes.

        Args:
            frame_id: the image's frame.
            width: the image's width, pixels.
            height: the image's height, pixels.
            rectify: ``auto`` (K and D describe the image if D is not zero, P the rectified one) or ``off`` (the
                image is rectified already and P describes it).
        """
        with self._lock:
            info = self._infos.get(frame_id)
            others = tuple(self._infos)
        if info is None:
            return View(problem=self._missing(frame_id, others))
        key = (frame_id, width, height, rectify, *_content(info))
        if self._cached is None or self._cached[0] != key:
            self._cached = (key, self._work_out(info, width, height, rectify))
        return self._cached[1]

    def _missing(self, frame_id: str, others: tuple[str, ...]) -> str:
        if not others:
            return f"no camera_info on {self._topic} yet"
        frames = ", ".join(repr(name[:40]) for name in others[:4])
        return f"camera_info on {self._topic} is for frame {frames}, but images are in frame {frame_id[:40]!r}"

    def _work_out(self, info: Any, width: int, height: int, rectify: str) -> View:
        try:
            return _view(info, width, height, rectify)
        except InputError as error:
            return View(problem=f"camera_info on {self._topic} cannot be used: {str(error)[:_LONGEST]}")


def image_size(info: Any) -> tuple[int, int] | None:
    """Return height and width of the images that a camera_info is for, pixels; None where it cannot be used."""
    try:
        delivered = _delivered(info)
    except InputError:
        return None
    return delivered.height, delivered.width


def _delivered(info: Any) -> ImageCalibration:
    roi = (info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height)
    return delivered_image(tuple(info.k), tuple(info.p), info.width, info.height, info.binning_x, info.binning_y, roi)


def _view(info: Any, width: int, height: int, rectify: str) -> View:
    delivered = _delivered(info)
    if (delivered.width, delivered.height) != (width, height):
        raise InputError(
            f"it is for images of {delivered.width}x{delivered.height} pixels (after binning and region of interest), "
            f"but they are {width}x{height}"
        )
    size = (width, height)
    if rectify == "off":
        return View(PinholeCamera.from_matrix(delivered.P, *size))
    rectifier = cached_rectifier(
        tuple(delivered.K.ravel().tolist()),
        tuple(info.d) or _ZERO,
        tuple(info.r),
        tuple(delivered.P.ravel().tolist()),
        info.distortion_model,
        size,
    )
    return View(rectifier.camera, None if rectifier.identity else rectifier)


def _content(info: Any) -> tuple[Any, ...]:
    """Return everything of a camera_info that matters to an image, as a key; bytes, because NaN never equals itself."""
    roi = (info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height)
    matrices = (info.d.tobytes(), info.k.tobytes(), info.r.tobytes(), info.p.tobytes())
    return (info.width, info.height, info.distortion_model, *matrices, info.binning_x, info.binning_y, roi)
