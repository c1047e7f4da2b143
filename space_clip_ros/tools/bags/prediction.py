"""Depth of a bag's images, added to a copy of the bag: what ``depth_node`` would have published, without ROS."""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from space_clip_ros import __version__
from space_clip_ros.config import NodeConfig
from space_clip_ros.data.read_ahead import batches, read_ahead
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import check_output_folder, file_sha256
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.inference.predictor import Predictor, no_uncertainty
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.messages.outputs import TOPICS
from space_clip_ros.perception.core import DepthCore
from space_clip_ros.perception.outputs import lacking_features, need_queries
from space_clip_ros.perception.queries import find_queries
from space_clip_ros.settings import to_dict
from space_clip_ros.tools.bags import qos
from space_clip_ros.tools.bags.bag_folder import find_files
from space_clip_ros.tools.bags.depth_camera import BagImage, DepthCamera, check_outputs
from space_clip_ros.tools.bags.image_topics import ImageTopic, choose_images
from space_clip_ros.tools.bags.options import STORAGES
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.scan_pairs import ScanPairs, WaitingImage
from space_clip_ros.tools.bags.segments import Segments
from space_clip_ros.tools.bags.storage_file import STORAGES_BY_SUFFIX, storage_suffix
from space_clip_ros.tools.bags.writer import BagWriter

_SEGMENT_S = 10.0
_AHEAD = 4
_TOGETHER = 8

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PredictionOptions:
    """What is added to a bag.

    Args:
        images: the image topics; none where the bag has only one.
        outputs: relative topics of :data:`~space_clip_ros.messages.outputs.TOPICS`.
        storage: ``mcap`` or ``sqlite3``; None for the bag's own.
        settings: the node's parameters; those for its model, topics and timing are ignored.
        scan: topic of the points for ``scale.mode`` ranges; ``scale/points`` beside each image topic if empty.

    Raises:
        InputError: an unknown output, or labels or boxes without names to look for.
    """

    images: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("depth/image", "depth/camera_info")
    storage: str | None = None
    settings: NodeConfig = field(default_factory=NodeConfig)
    scan: str = ""

    def __post_init__(self) -> None:
        """Check the outputs, and that there are names to look for if they need some."""
        check_outputs(self.outputs)
        semantic = self.settings.semantic
        if need_queries(self.wanted) and not semantic.queries and not semantic.query_file:
            raise InputError(
                "queries", "are needed for labels and detections", "give --query, or semantic.queries in a file"
            )

    @property
    def wanted(self) -> list[str]:
        """The names of the outputs in :data:`~space_clip_ros.messages.outputs.TOPICS`."""
        return [name for name, topic in TOPICS.items() if topic.topic in self.outputs]


@dataclass(frozen=True)
class Added:
    """What was added, and what was left out.

    Attributes:
        counts: messages added, by topic.
        images: number of images.
        left_out: number of images that gave no depth.
        focal: what focal_scaling did to the last depth of each image topic; topics without new depth are missing.
    """

    counts: dict[str, int]
    images: int
    left_out: int
    focal: dict[str, str]


def check_places(bag: str | Path, out: str | Path, storage: str | None = None) -> Path:
    """Return the new bag's absolute path; check, before a model loads, what can be checked without opening the old one.

    Args:
        bag: a rosbag2 folder, or one .mcap or .db3 file.
        out: the folder of the new bag.
        storage: ``mcap`` or ``sqlite3``; None for the old bag's own.

    Raises:
        DataError: there is no bag, or ``out`` exists or cannot be written.
        InputError: the storage cannot use the path of ``out``.
    """
    result = Path(out).expanduser().absolute()
    if result.exists():
        raise DataError(result, "exists already", "remove it or choose another folder")
    own = STORAGES_BY_SUFFIX.get(storage_suffix(find_files(Path(bag)).files[0]), STORAGES[0])
    BagWriter(result, storage or own)  # checks its path, and creates nothing yet
    check_output_folder(result)
    return result


def chosen_images(source: BagReader, options: PredictionOptions) -> list[ImageTopic]:
    """Return the image topics that get depth; check, before a model loads, that the bag has no depth yet.

    Raises:
        DataError: the bag has no colour images, or has such outputs already.
        InputError: several image topics and none chosen, a chosen one is missing, or several would be scaled with the
            same points.
    """
    images = choose_images(source, options.images)
    if len(images) > 1 and options.scan and options.settings.scale.wants_ranges:
        raise InputError(
            f"scale points {options.scan}",
            f"belong to one camera, whose pose is scale.extrinsics, got {', '.join(image.name for image in images)}",
            "run the command once for each camera, with its own extrinsics",
        )
    outputs = (f"{image.namespace}{output}" for image in images for output in options.outputs)
    taken = [name for name in outputs if name in source.topics]
    if taken:
        raise DataError(source.path, f"has {', '.join(taken)} already", "give the bag without them")
    return images


def predict_bag(
    bag: str | Path,
    out: str | Path,
    predictor: Predictor,
    options: PredictionOptions | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Added:
    """Write a copy of a bag with the depth of its images.

    Depth goes first into parts in a hidden folder beside ``out``, and is then written into ``out`` together with the
    bag's own messages, which are copied unchanged. An interrupted run leaves the parts, and the same call continues
    from them. Every output follows its image in the bag and has the image's header.

    Args:
        bag: a rosbag2 folder, or one .mcap or .db3 file.
        out: the folder of the new bag, which must not exist.
        predictor: the model.
        options: what is added.
        progress: called with the stage ("depth" or "writing"), steps done and total steps.
        warn: called with what is unusual about the bag, and once for each kind of fault that costs an image or a
            cloud.

    Raises:
        DataError: the bag cannot be read, has no colour images, has such outputs already, none of its images can be
            used, an unfinished run with other options is there, or ``out`` cannot be written.
        InputError: several image topics and none chosen, or a chosen one is missing; several image topics and the same
            points for all; uncertainty or language features from a model without them; labels or boxes without usable
            queries; or a path that the storage cannot use.
    """
    options = options or PredictionOptions()
    result = check_places(bag, out, options.storage)
    with BagReader(bag) as source:
        return predict_open_bag(source, result, predictor, options, progress, warn)


def predict_open_bag(
    source: BagReader,
    out: Path,
    predictor: Predictor,
    options: PredictionOptions,
    progress: Progress | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Added:
    """Do what :func:`predict_bag` does, of a bag that is open; ``out`` comes from :func:`check_places`."""
    if "uncertainty" in options.wanted and not predictor.info.uncertainty:
        raise no_uncertainty(predictor.info)
    return _Run(source, out, predictor, options, progress or (lambda *_: None), warn).run()


class _Run:
    def __init__(
        self,
        source: BagReader,
        out: Path,
        predictor: Predictor,
        options: PredictionOptions,
        progress: Progress,
        warn: Callable[[str], None],
    ) -> None:
        self._source = source
        self._out = out
        self._predictor = predictor
        self._core = DepthCore(predictor)
        self._options = options
        self._queries = _queries(options, predictor.info)
        self._progress = progress
        self._warn = warn
        for note in source.notes:
            warn(f"{source.path}: {note}")
        self._images = chosen_images(source, options)
        self._cameras = {image.name: self._camera(image) for image in self._images}
        self._total = sum(source.topics[image.name].count for image in self._images)

    def run(self) -> Added:
        with Segments(self._out, self._job()) as segments:
            self._predict(segments)
            counts = segments.counts()
            used = sum(counts.get(camera.main_topic, 0) for camera in self._cameras.values())
            if not used:
                segments.discard()
                problem = next((camera.problem for camera in self._cameras.values() if camera.problem), "see above")
                raise DataError(self._source.path, f"none of its images could be used ({problem})")
            self._merge(segments, counts)
            segments.discard()
        focal = {name: camera.focal.text for name, camera in self._cameras.items() if camera.focal.text}
        return Added(counts, self._total, self._total - used, focal)

    def _camera(self, image: ImageTopic) -> DepthCamera:
        options = self._options
        return DepthCamera(image, options.outputs, options.settings, self._warn, options.scan, self._queries)

    def _job(self) -> dict[str, Any]:
        info, source = self._predictor.info, self._source
        return {
            **made_with(self._options),
            "bag": [str(source.path.absolute()), source.start_ns, source.end_ns, self._counts()],
            "choice of images": [image.name for image in self._images],
            "model": [file_sha256(info.file), info.backend, info.device, info.precision],
        }

    def _counts(self) -> dict[str, int]:
        return {topic.name: topic.count for topic in self._source.topics.values()}

    def _predict(self, segments: Segments) -> None:
        images = read_ahead(self._bag_images(segments.done), _AHEAD)
        groups = batches(images, _TOGETHER if self._predictor.batches else 1, attrgetter("shape"))
        done = segments.done
        self._progress("depth", done, self._total)
        with contextlib.closing(groups), contextlib.closing(images):
            while done < self._total:
                with segments.begin() as part:
                    self._declare(part)
                    ends = time.monotonic() + _SEGMENT_S
                    for group in groups:
                        self._compute(group, part)
                        done += len(group)
                        self._progress("depth", done, self._total)
                        if time.monotonic() > ends:
                            break
                    else:
                        done = self._total
                segments.finish(done, empty=not any(part.counts.values()))

    def _bag_images(self, skipped: int) -> Iterator[BagImage]:
        """Yield the images from number ``skipped`` on, decoded, with the camera_info that came before each."""
        infos: list[Any] = []
        for number, (image, scan) in enumerate(self._paired_images()):
            infos += image.infos
            if number >= skipped:
                yield self._cameras[image.topic].decode(self._source, image.stamp_ns, image.data, infos, scan)
                infos = []

    def _paired_images(self) -> Iterator[tuple[WaitingImage, bytes | None]]:
        """Yield every image with its scan, as CDR."""
        infos = {camera.image.info: camera for camera in self._cameras.values()}
        known = [name for name in infos if name in self._source.topics]
        # Images before the first camera_info use that one, because a camera's calibration hardly ever changes.
        new_infos = [(infos[name], info) for name in known for info in self._first(name)]
        ranges = self._options.settings.scale.wants_ranges
        cameras = self._cameras.items() if ranges else ()
        scans = {camera.scan: name for name, camera in cameras if camera.scan in self._source.topics}
        pairs = ScanPairs(scans)
        for name, stamp, data in self._source.messages([*self._cameras, *known, *scans]):
            if name in infos:
                new_infos.append((infos[name], self._source.decode(name, data)))
            elif name in scans:
                pairs.add_scan(name, stamp, data)
            else:
                pairs.add_image(WaitingImage(name, stamp, data, new_infos))
                new_infos = []
            yield from pairs.ready(stamp)
        yield from pairs.ready()

    def _first(self, name: str) -> list[Any]:
        return [self._source.decode(name, data) for _, _, data in islice(self._source.messages([name]), 1)]

    def _compute(self, group: list[BagImage], part: BagWriter) -> None:
        requested = [(image, request) for image in group if (request := image.camera.request(image)) is not None]
        frames = self._core.run([request for _, request in requested])
        for (image, _), frame in zip(requested, frames, strict=True):
            if isinstance(frame, InputError):
                image.camera.leave_out(frame)
            elif isinstance(frame, Exception):
                raise frame
            else:
                for topic, data in image.camera.messages(image, frame):
                    part.write_serialized(topic, image.stamp_ns, data)

    def _merge(self, segments: Segments, counts: dict[str, int]) -> None:
        source = self._source
        total = sum(topic.count for topic in source.topics.values()) + sum(counts.values())
        with BagWriter(self._out, self._options.storage or source.storage) as bag:
            for topic in source.topics.values():
                bag.add(topic.name, topic.kind, topic.offered, topic.definition)
            self._declare(bag)
            # Where stamps are the same, the bag's own message goes first.
            both = heapq.merge(source.messages(source.topics), segments.messages(), key=itemgetter(1))
            for done, (name, stamp, data) in enumerate(both, 1):
                bag.write_serialized(name, stamp, data)
                self._progress("writing", done, total)

    def _declare(self, bag: BagWriter) -> None:
        for camera in self._cameras.values():
            for name, kind in camera.topics.items():
                bag.add(name, kind, qos.LATCHED if name in camera.latched else qos.SENSOR)


def made_with(options: PredictionOptions) -> dict[str, Any]:
    """Return what results depend on, as JSON values by names that fit "made with another ..."; without the model."""
    return {
        "version": __version__,
        "choice of images": list(options.images),
        "choice of outputs": list(options.outputs),
        "set of parameters": to_dict(options.settings),
        "topic of points": options.scan,
    }


def _queries(options: PredictionOptions, model: ModelInfo) -> QuerySet | None:
    """Return the queries; None if no output needs them.

    Raises:
        SpaceClipError: the model lacks the features, or the queries cannot be used.
    """
    if lacking := lacking_features(options.wanted, model):
        topics = ", ".join(TOPICS[name].topic for name in lacking)
        raise InputError(f"model {model.name}", f"cannot give {topics}", "take one exported with language features")
    return find_queries((), options.settings.semantic, model) if need_queries(options.wanted) else None
