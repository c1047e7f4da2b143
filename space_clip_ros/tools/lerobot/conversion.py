"""Converts bags with depth to a LeRobot data set; each stretch of a bag without a gap or jump is an episode."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import DataError
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth, to_millimetres
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.lerobot.cameras import CameraFrame, find_cameras, frame_rate, in_step, read_camera
from space_clip_ros.tools.lerobot.dataset import DatasetWriter
from space_clip_ros.tools.lerobot.features import INTRINSICS, STAMP, CameraFeatures, declared_features
from space_clip_ros.tools.lerobot.options import ConversionOptions
from space_clip_ros.tools.lerobot.statistics import EpisodeStatistics

Progress = Callable[[int, int], None]

_EARLY = 0.25
"""How much too early, by the frame rate, a frame may come, in periods."""
_JPEG_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclass(frozen=True)
class Converted:
    """The content of a data set.

    Attributes:
        episodes: number of frames of each episode.
        fps: frames per second.
        cameras: names of the cameras.
        left_out: number of frames without a colour image or another camera's frame, or beyond the requested frame rate.
        too_far: number of pixels whose valid depth became invalid because 16-bit millimetres cannot hold it.
    """

    episodes: list[int]
    fps: int
    cameras: list[str]
    left_out: int
    too_far: int


def write_dataset(
    bags: Sequence[str | Path],
    out: str | Path,
    options: ConversionOptions | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Converted:
    """Write the frames of bags as one data set.

    Args:
        bags: rosbag2 folders, or .mcap or .db3 files, with the same cameras.
        out: the data set's folder, which must not exist.
        options: what goes into it.
        progress: called with the frames done and the total.
        warn: called with what is unusual about a bag.

    Raises:
        DataError: a bag cannot be read, has no depth, colour images or calibration, or other cameras or sizes than the
            first one; no frame is left; or ``out`` cannot be written.
        InputError: a topic of the options is missing, or ``out`` has no name.
    """
    options = options or ConversionOptions()
    return _Conversion([Path(bag) for bag in bags], options, progress or (lambda *_: None), warn).run(Path(out))


class _Step(NamedTuple):
    """A frame of the data set."""

    bag: Path
    cameras: list[CameraFrame]
    starts_episode: bool


class _Conversion:
    def __init__(
        self, bags: Sequence[Path], options: ConversionOptions, progress: Progress, warn: Callable[[str], None]
    ) -> None:
        self._bags = bags
        self._options = options
        self._progress = progress
        self._names: list[str] = []
        self._total = 0
        self._fps = options.fps
        for path in bags:
            with BagReader(path) as bag:
                for note in bag.notes:
                    warn(f"{path}: {note}")
                cameras = find_cameras(bag, options.depth)
                names = [camera.name for camera in cameras]
                if self._names and names != self._names:
                    raise DataError(path, f"has the cameras {', '.join(names)}, not {', '.join(self._names)}")
                self._names = names
                self._total += bag.topics[cameras[0].topics.depth].count
                self._fps = self._fps or frame_rate(bag, cameras[0])
        self._features: list[CameraFeatures] = []
        self._projectors: dict[str, Projector] = {}
        self._too_far = 0

    def run(self, out: Path) -> Converted:
        out = out.expanduser().absolute()
        with contextlib.closing(self._steps()) as steps:
            first = next(steps, None)
            if first is None:
                raise DataError(self._bags[0], "none of its depth has colour images of the same time")
            self._features = [self._declare(*camera) for camera in zip(self._names, first.cameras, strict=True)]
            with DatasetWriter(out, declared_features(self._features), self._fps, self._options.task) as dataset:
                self._write(dataset, first, steps)
        return Converted(dataset.lengths, self._fps, self._names, self._total - sum(dataset.lengths), self._too_far)

    def _steps(self) -> Generator[_Step, None, None]:
        for path in self._bags:
            previous: int | None = None
            start = number = 0
            for cameras in self._in_step(path):
                stamp = cameras[0].stamp_ns
                # Time jumps back where a replay in a loop was recorded.
                if previous is None or not 0 <= stamp - previous <= self._options.max_gap * 1e9:
                    start, number, new = stamp, 0, True
                else:
                    step, new = math.floor((stamp - start) * self._fps / 1e9 + _EARLY), False
                    if self._options.fps and step <= number:
                        continue
                    number = step
                previous = stamp
                yield _Step(path, cameras, new)

    def _in_step(self, path: Path) -> Iterator[list[CameraFrame]]:
        with contextlib.ExitStack() as opened:
            # The cameras are read in parallel, each through its own reader.
            readers = [opened.enter_context(BagReader(path)) for _ in self._names]
            cameras = find_cameras(readers[0], self._options.depth)
            leading, *others = [read_camera(*pair) for pair in zip(readers, cameras, strict=True)]
            yield from in_step(leading, others, round(0.5e9 / self._fps))

    def _declare(self, name: str, frame: CameraFrame) -> CameraFeatures:
        stride = self._options.points
        points = None
        if stride:
            projector = Projector(frame.camera, stride)
            points = (*projector.shape, 3)
        height, width = frame.image.shape[:2]
        unit = self._options.depth_unit
        return CameraFeatures(name, (height, width), frame.camera, frame.frame_id, unit, points, stride)

    def _write(self, dataset: DatasetWriter, first: _Step, steps: Iterator[_Step]) -> None:
        statistics = EpisodeStatistics()
        for done, step in enumerate(chain([first], steps), 1):
            if step.starts_episode and done > 1:
                dataset.end_episode(statistics)
                statistics = EpisodeStatistics()
            stamp = step.cameras[0].stamp_ns
            statistics.add_vector(STAMP, stamp)
            values: dict[str, Any] = {STAMP: stamp}
            for features, frame in zip(self._features, step.cameras, strict=True):
                self._check(step.bag, features, frame)
                values |= self._values(features, frame, statistics)
            dataset.add_frame(values)
            self._progress(done, self._total)
        dataset.end_episode(statistics)

    def _check(self, bag: Path, features: CameraFeatures, frame: CameraFrame) -> None:
        """Refuse a frame of another size, because all frames of a data set have the same."""
        sizes = (*frame.image.shape[:2], *frame.depth.shape)
        expected = (*features.image_size, features.camera.height, features.camera.width)
        if sizes != expected:
            raise DataError(
                bag,
                f"the images of {features.name} change size, from {_size(expected)} to {_size(sizes)}",
                "make a data set for each",
            )

    def _values(self, features: CameraFeatures, frame: CameraFrame, statistics: EpisodeStatistics) -> dict[str, Any]:
        codes = self._codes(frame.depth)
        intrinsics = np.array([getattr(frame.camera, name) for name in INTRINSICS])
        statistics.add_color(features.image, frame.image)
        statistics.add_depth(features.depth, codes)
        statistics.add_vector(features.intrinsics, intrinsics)
        values = {
            features.image: self._encoded_image(frame.image),
            features.depth: _encoded(".png" if codes.dtype == np.uint16 else ".tiff", codes),
            features.intrinsics: intrinsics,
        }
        if features.points_shape is not None:
            projector = self._projectors.get(features.name)
            if projector is None or projector.camera != frame.camera:
                projector = self._projectors[features.name] = Projector(frame.camera, features.points_stride)
            values[features.points] = projector.project(frame.depth, tested=True)
        return values

    def _codes(self, depth: Depth) -> NDArray[Any]:
        """Return depth in its stored form, 0 where invalid."""
        valid = np.isfinite(depth)
        if self._options.depth_unit == "m":
            return np.where(valid, depth, np.float32(0.0))
        codes = to_millimetres(depth)
        self._too_far += int(np.count_nonzero(valid & (depth > 1.0) & (codes == 0)))
        return codes

    def _encoded_image(self, rgb: Rgb) -> bytes:
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        if self._options.image_format == "jpeg":
            return _encoded(".jpg", bgr, _JPEG_QUALITY)
        return _encoded(".png", bgr)


def _encoded(suffix: str, pixels: NDArray[Any], options: Sequence[int] = ()) -> bytes:
    done, data = cv2.imencode(suffix, pixels, list(options))
    if not done:
        raise DataError(f"an image of shape {pixels.shape}", f"could not be encoded as {suffix[1:]}")
    return data.tobytes()


def _size(sizes: Sequence[int]) -> str:
    return f"{sizes[1]} x {sizes[0]} (depth {sizes[3]} x {sizes[2]})"
