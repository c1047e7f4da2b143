"""The features of a data set, as LeRobot's ``meta/info.json`` declares them (format v3.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from space_clip_ros.geometry.camera import PinholeCamera

STAMP = "observation.stamp_ns"
"""The depth image's own stamp; LeRobot's ``timestamp`` is the frame's number divided by the frame rate."""
INTRINSICS = ("fx", "fy", "cx", "cy")
INDEX_COLUMNS = ("frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True)
class CameraFeatures:
    """One camera's features.

    Args:
        name: name of the camera, without dots and slashes.
        image_size: size of its colour images, (H, W) pixels.
        camera: camera of its depth images, at their size.
        frame_id: the camera's optical frame.
        depth_unit: ``mm`` or ``m``.
        points_shape: shape of its organised clouds, (h, w, 3), or None without clouds.
        points_stride: stride of these clouds, pixels of the depth.
    """

    name: str
    image_size: tuple[int, int]
    camera: PinholeCamera
    frame_id: str
    depth_unit: str
    points_shape: tuple[int, int, int] | None = None
    points_stride: int = 0

    @property
    def image(self) -> str:
        """Key of the colour images."""
        return f"observation.images.{self.name}"

    @property
    def depth(self) -> str:
        """Key of the depth images."""
        return f"{self.image}_depth"

    @property
    def intrinsics(self) -> str:
        """Key of fx, fy, cx, cy of each depth image, pixels."""
        return f"observation.intrinsics.{self.name}"

    @property
    def points(self) -> str:
        """Key of the clouds."""
        return f"observation.points.{self.name}"

    def declared(self) -> dict[str, dict[str, Any]]:
        """Return the features by key."""
        camera = self.camera
        intrinsics = {name: getattr(camera, name) for name in ("width", "height", *INTRINSICS)}
        features: dict[str, dict[str, Any]] = {
            self.image: _feature("image", (*self.image_size, 3), ["height", "width", "channels"]),
            self.depth: {
                **_feature("image", (camera.height, camera.width, 1), ["height", "width", "channels"]),
                # LeRobot's reader uses the first two to return depth in the requested unit.
                "info": {
                    "is_depth_map": True,
                    "depth_unit": self.depth_unit,
                    "invalid_depth": 0,
                    "frame_id": self.frame_id,
                    "intrinsics": intrinsics,
                },
            },
            self.intrinsics: _feature("float64", (len(INTRINSICS),), list(INTRINSICS)),
        }
        if self.points_shape is not None:
            features[self.points] = {
                **_feature("float32", self.points_shape, ["height", "width", "xyz"]),
                "info": {"unit": "m", "frame_id": self.frame_id, "stride": self.points_stride},
            }
        return features


def declared_features(cameras: list[CameraFeatures]) -> dict[str, dict[str, Any]]:
    """Return every feature of a data set: the cameras', the stamp, and the columns of every LeRobot data set."""
    features = {key: feature for camera in cameras for key, feature in camera.declared().items()}
    features[STAMP] = _feature("int64", (1,), None)
    features["timestamp"] = _feature("float32", (1,), None)
    return features | {name: _feature("int64", (1,), None) for name in INDEX_COLUMNS}


def _feature(dtype: str, shape: tuple[int, ...], names: list[str] | None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "names": names}
