"""A bag's depth is what the model says of its images, and everything else in the bag is untouched."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from space_clip_ros.config import NodeConfig, PointsConfig, ScaleConfig
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.depth import invalidate
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.messages.color_images import image_to_rgb
from space_clip_ros.messages.compressed_images import compressed_to_rgb
from space_clip_ros.messages.images import depth_from_image
from space_clip_ros.perception.focal_scaling import focal_scaling
from space_clip_ros.tools.bags import messages, prediction, qos
from space_clip_ros.tools.bags.kitti_to_bag import write_bag
from space_clip_ros.tools.bags.options import BagOptions
from space_clip_ros.tools.bags.prediction import PredictionOptions, predict_bag
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.restamp import restamped
from space_clip_ros.tools.bags.transforms import scanner_to_camera
from space_clip_ros.tools.bags.writer import BagWriter

ALL = PredictionOptions(outputs=("depth/image", "depth/camera_info", "depth/points", "depth/color"))


@pytest.fixture(scope="module")
def predictor() -> Iterator[Predictor]:
    with load_predictor("road_tiny", backend="onnxruntime", threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def bag(full_drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames with everything; not to be changed."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    write_bag(full_drive, path)
    return path


def read(path: Path) -> list[tuple[str, int, bytes]]:
    with Reader(path) as reader:
        return [(connection.topic, stamp, bytes(data)) for connection, stamp, data in reader.messages()]


def decoded(path: Path) -> dict[str, list[Any]]:
    by_topic: dict[str, list[Any]] = {}
    with Reader(path) as reader:
        for connection, _, data in reader.messages():
            by_topic.setdefault(connection.topic, []).append(TYPES.deserialize_cdr(data, connection.msgtype))
    return by_topic


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compressed", [None, "jpeg"])
def test_depth_is_the_models_own(
    full_drive: Path, tmp_path: Path, predictor: Predictor, storage: str, compressed: str | None
) -> None:
    write_bag(full_drive, tmp_path / "in", BagOptions(compressed=compressed, storage=storage))
    settings = NodeConfig(max_depth=30.0, points=PointsConfig(stride=3, max_range=20.0))
    added = predict_bag(tmp_path / "in", tmp_path / "out", predictor, dataclasses.replace(ALL, settings=settings))
    assert (added.images, added.left_out) == (3, 0)
    assert added.counts == dict.fromkeys(("/depth/image", "/depth/camera_info", "/depth/points", "/depth/color"), 3)
    by_topic = decoded(tmp_path / "out")
    topic = "/image/compressed" if compressed else "/image"
    pictures = [compressed_to_rgb(image) if compressed else image_to_rgb(image) for image in by_topic[topic]]
    camera = messages_camera(by_topic["/depth/camera_info"][0])
    focal = focal_scaling("auto", camera, predictor.info.training_camera)
    assert focal.factor != 1.0
    assert added.focal == {topic: focal.text}
    for index, (image, rgb) in enumerate(zip(by_topic[topic], pictures, strict=True)):
        metres = predictor.run_batch(pictures)[index].depth * np.float32(focal.factor)
        depth = invalidate(metres, settings.min_depth, settings.max_depth)
        np.testing.assert_array_equal(depth_from_image(by_topic["/depth/image"][index]), depth)
        color = image_to_rgb(by_topic["/depth/color"][index])
        np.testing.assert_array_equal(color, colorize(depth, "turbo", settings.min_depth, settings.max_depth))
        info, cloud = by_topic["/depth/camera_info"][index], by_topic["/depth/points"][index]
        projector = Projector(messages_camera(info), 3)
        points = projector.project(depth, rgb, 20.0)
        assert bytes(cloud.data) == points.tobytes()
        assert (cloud.height, cloud.width, cloud.point_step) == (*projector.shape, 16)
        for output in ("image", "camera_info", "points", "color"):
            assert by_topic[f"/depth/{output}"][index].header == image.header


def messages_camera(info: Any) -> Any:
    from space_clip_ros.geometry.camera import PinholeCamera

    return PinholeCamera.from_matrix(info.p.reshape(3, 4)[:, :3], info.width, info.height)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_everything_else_is_copied_as_it_is(
    full_drive: Path, tmp_path: Path, predictor: Predictor, storage: str
) -> None:
    write_bag(full_drive, tmp_path / "in", BagOptions(storage=storage))
    predict_bag(tmp_path / "in", tmp_path / "out", predictor)
    before, after = read(tmp_path / "in"), read(tmp_path / "out")
    assert [message for message in after if not message[0].startswith("/depth/")] == before
    with Reader(tmp_path / "in") as source, Reader(tmp_path / "out") as result:
        known = {connection.topic: connection for connection in result.connections}
        for connection in source.connections:
            copy = known[connection.topic]
            assert (copy.msgtype, copy.ext, copy.digest) == (connection.msgtype, connection.ext, connection.digest)
            assert copy.msgdef == connection.msgdef
        assert known["/depth/image"].ext.offered_qos_profiles == [qos.SENSOR]  # type: ignore[union-attr]
    suffix = {"mcap": "mcap", "sqlite3": "db3"}[storage]
    assert (tmp_path / "out" / f"out.{suffix}").is_file()


def test_depth_lies_behind_its_image_with_its_stamp(bag: Path, tmp_path: Path, predictor: Predictor) -> None:
    predict_bag(bag, tmp_path / "out", predictor, dataclasses.replace(ALL, storage="sqlite3"))
    order = read(tmp_path / "out")
    stamps = [stamp for _, stamp, _ in order]
    assert stamps == sorted(stamps)
    for index, (name, stamp, _) in enumerate(order):
        if name == "/image":
            after = [topic for topic, moment, _ in order[index:] if moment == stamp]
            assert after[-4:] == ["/depth/camera_info", "/depth/image", "/depth/points", "/depth/color"]


def test_the_mcap_library_reads_the_same(bag: Path, tmp_path: Path, predictor: Predictor) -> None:
    reader, decoder = pytest.importorskip("mcap.reader"), pytest.importorskip("mcap_ros2.decoder")
    predict_bag(bag, tmp_path / "out", predictor, ALL)
    ours = decoded(tmp_path / "out")
    with (tmp_path / "out" / "out.mcap").open("rb") as file:
        theirs = reader.make_reader(file, decoder_factories=[decoder.DecoderFactory()]).iter_decoded_messages()
        results = [(channel.topic, message) for _, channel, _, message in theirs]
    assert len(results) == sum(map(len, ours.values()))
    for output in ("image", "points", "color"):
        messages_of = [message for topic, message in results if topic == f"/depth/{output}"]
        expected = [bytes(message.data) for message in ours[f"/depth/{output}"]]
        assert [bytes(message.data) for message in messages_of] == expected


@pytest.mark.parametrize("stage", ["depth", "writing"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_interrupted_run_goes_on_to_the_same_result(
    bag: Path, tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch, stage: str, storage: str
) -> None:
    monkeypatch.setattr(prediction, "_SEGMENT_S", 0.0)
    monkeypatch.setattr(prediction, "_TOGETHER", 1)
    options = dataclasses.replace(ALL, storage=storage)
    predict_bag(bag, tmp_path / "whole" / "bag", predictor, options)

    def interrupt(now: str, done: int, total: int) -> None:
        if now == stage and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_bag(bag, tmp_path / "two" / "bag", predictor, options, interrupt)
    assert [path.name for path in (tmp_path / "two").iterdir()] == [".bag.depth"]
    with pytest.raises(DataError, match="unfinished run with another choice of outputs"):
        predict_bag(bag, tmp_path / "two" / "bag", predictor)
    steps: list[tuple[str, int, int]] = []
    added = predict_bag(bag, tmp_path / "two" / "bag", predictor, options, lambda *step: steps.append(step))
    assert steps[0] == ("depth", 1 if stage == "depth" else 3, 3)
    assert (added.images, added.left_out, added.counts["/depth/image"]) == (3, 0, 3)
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["bag"]
    assert read(tmp_path / "two" / "bag") == read(tmp_path / "whole" / "bag")
    if storage == "mcap":
        files = [(tmp_path / name / "bag" / "bag.mcap").read_bytes() for name in ("whole", "two")]
        assert files[0] == files[1]


def test_several_cameras_have_topics_of_their_own(full_drive: Path, tmp_path: Path, predictor: Predictor) -> None:
    write_bag(full_drive, tmp_path / "in", BagOptions(cameras=("color_left", "gray_right")))
    with pytest.raises(InputError, match=r"several image topics, /image, /gray_right/image; choose one with --image"):
        predict_bag(tmp_path / "in", tmp_path / "out", predictor)
    options = PredictionOptions(images=("/image", "/gray_right/image"))
    assert predict_bag(tmp_path / "in", tmp_path / "out", predictor, options).counts == {
        "/depth/image": 3,
        "/depth/camera_info": 3,
        "/gray_right/depth/image": 3,
        "/gray_right/depth/camera_info": 3,
    }
    with pytest.raises(DataError, match="has /depth/image, /depth/camera_info already"):
        predict_bag(tmp_path / "out", tmp_path / "more", predictor, PredictionOptions(images=("/image",)))


def made_by_hand(path: Path, *images: Any, info: bool = False) -> Path:
    with BagWriter(path) as bag:
        bag.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        if info:
            bag.add("/camera_info", "sensor_msgs/msg/CameraInfo", qos.SENSOR)
        for stamp, image in enumerate(images):
            bag.write("/image", stamp, image)
    return path


def grey(broken: bool = False) -> Any:
    image = messages.image(np.full((48, 156, 3), 90, np.uint8), messages.header(5, "camera"))
    if broken:
        image.data = image.data[:100]
    return image


def test_a_broken_image_is_left_out_and_said(tmp_path: Path, predictor: Predictor) -> None:
    source = made_by_hand(tmp_path / "in", grey(), grey(broken=True), grey(broken=True), grey())
    lines: list[str] = []
    added = predict_bag(source, tmp_path / "out", predictor, warn=lines.append)
    assert (added.images, added.left_out) == (4, 2)
    assert added.counts == {"/depth/image": 2, "/depth/camera_info": 0}
    assert [stamp for name, stamp, _ in read(tmp_path / "out") if name == "/depth/image"] == [0, 3]
    assert len(lines) == 2
    assert "no camera_info on /camera_info yet" in lines[0]
    assert "/image: image left out: /image: 100 bytes of data" in lines[1]


def test_a_bag_of_broken_images_leaves_nothing(tmp_path: Path, predictor: Predictor) -> None:
    source = made_by_hand(tmp_path / "in", grey(broken=True))
    with pytest.raises(DataError, match=r"none of its images could be used \(/image: 100 bytes of data"):
        predict_bag(source, tmp_path / "out", predictor)
    only_points = PredictionOptions(outputs=("depth/points",))
    with pytest.raises(DataError, match="/depth/points needs a camera_info on /camera_info"):
        predict_bag(made_by_hand(tmp_path / "in2", grey()), tmp_path / "out", predictor, only_points)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "in2"}


def test_what_cannot_be_made_is_refused(bag: Path, tmp_path: Path, predictor: Predictor) -> None:
    for outputs in (("depth/camera_info",), ("depth/image", "depth/image"), ("depth",), ()):
        with pytest.raises(InputError, match="outputs must be some of depth/image, depth/camera_info"):
            PredictionOptions(outputs=outputs)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="out: exists already"):
        predict_bag(bag, tmp_path / "out", predictor)
    with pytest.raises(DataError, match="no such bag"):
        predict_bag(tmp_path / "missing", tmp_path / "new", predictor)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_memory_stays_flat(tmp_path: Path) -> None:
    """250 MB of images and depth go through a process that may hold far less."""
    program = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from space_clip_ros.tools.bags import messages, prediction, qos\n"
        "from space_clip_ros.tools.bags.writer import BagWriter\n"
        "from space_clip_ros.inference import load_predictor\n"
        "with BagWriter(sys.argv[1] + '/in') as bag:\n"
        "    bag.add('/image', 'sensor_msgs/msg/Image', qos.SENSOR)\n"
        "    pixels = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)\n"
        "    for stamp in range(70):\n"
        "        bag.write('/image', stamp, messages.image(pixels, messages.header(0, 'c')))\n"
        "peaks = []\n"
        "def note(*step): peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)\n"
        "with load_predictor('road_tiny', backend='onnxruntime', threads=1) as predictor:\n"
        "    prediction.predict_bag(sys.argv[1] + '/in', sys.argv[1] + '/out', predictor, progress=note)\n"
        "print(peaks[-1] - peaks[10])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    assert int(result.stdout) < 60, f"grew by {result.stdout} MB"


def test_uncertainty_of_a_model_without_it_is_refused(bag: Path, tmp_path: Path, tiny_model_file: Path) -> None:
    options = PredictionOptions(outputs=("depth/image", "depth/uncertainty"))
    with (
        load_predictor(tiny_model_file, threads=1) as plain,
        pytest.raises(InputError, match="model tiny_random: gives no uncertainty"),
    ):
        predict_bag(bag, tmp_path / "out", plain, options)


def with_stretched_times(source: Path, out: Path, factor: float) -> Path:
    """Copy a bag with longer times between its messages, in the bag and in the stamps."""
    with BagReader(source) as bag, BagWriter(out) as writer:
        for topic in bag.topics.values():
            writer.add(topic.name, topic.kind, topic.offered)

        def later(stamp: int) -> int:
            return bag.start_ns + round((stamp - bag.start_ns) * factor)

        for name, stamp, data in bag.messages(bag.topics):
            writer.write_serialized(name, later(stamp), restamped(bag.topics[name].kind, data, later))
    return out


@pytest.mark.parametrize("factor", [1.0, 1.035])
def test_a_scan_in_the_bag_brings_depth_to_scale(
    full_drive: Path, tmp_path: Path, predictor: Predictor, factor: float
) -> None:
    """The three frames are about 0.1 s apart, and the factor may change by what the rate allows in that time.

    ``space_clip bag`` stores a scan behind its image; the image before it lies just within or beyond the tolerance.
    """
    write_bag(full_drive, tmp_path / "drive")
    with_stretched_times(tmp_path / "drive", tmp_path / "in", factor)
    drive = KittiDrive(full_drive)
    to_camera = np.linalg.inv(scanner_to_camera(drive))
    pitch = -math.asin(to_camera[2, 0])
    roll, yaw = math.atan2(to_camera[2, 1], to_camera[2, 2]), math.atan2(to_camera[1, 0], to_camera[0, 0])
    extrinsics = (*(float(value) for value in to_camera[:3, 3]), roll, pitch, yaw)
    settings = NodeConfig(depth_scale=0.7, scale=ScaleConfig("ranges", extrinsics=extrinsics, max_rate=2.0))
    options = PredictionOptions(settings=settings, scan="/velodyne_points")
    lines: list[str] = []
    predict_bag(tmp_path / "in", tmp_path / "scaled", predictor, options, warn=lines.append)
    assert lines == [], "every image has a scan, the first one too"
    plain = dataclasses.replace(options, settings=NodeConfig(depth_scale=0.7))
    predict_bag(tmp_path / "in", tmp_path / "plain", predictor, plain)
    pairs = zip(decoded(tmp_path / "scaled")["/depth/image"], decoded(tmp_path / "plain")["/depth/image"], strict=True)
    factors = [np.nanmedian(depth_from_image(scaled) / depth_from_image(before)) for scaled, before in pairs]
    assert factors[0] == pytest.approx(1.0) and factors[0] < factors[1] < factors[2] < 2.5
    assert factors[1] == pytest.approx(3.0**0.1, rel=0.01)


def test_points_of_one_pose_are_not_used_for_several_cameras(
    full_drive: Path, tmp_path: Path, predictor: Predictor
) -> None:
    write_bag(full_drive, tmp_path / "in", BagOptions(cameras=("color_left", "gray_right")))
    settings = NodeConfig(scale=ScaleConfig("ranges", extrinsics=(0.0,) * 6))
    options = PredictionOptions(("/image", "/gray_right/image"), settings=settings, scan="/velodyne_points")
    with pytest.raises(InputError, match=r"belong to one camera, .* got /image, /gray_right/image; run the command"):
        predict_bag(tmp_path / "in", tmp_path / "out", predictor, options)
    predict_bag(tmp_path / "in", tmp_path / "out", predictor, dataclasses.replace(options, settings=NodeConfig()))


def test_a_scale_without_its_evidence_says_so_and_changes_nothing(
    bag: Path, tmp_path: Path, predictor: Predictor
) -> None:
    lines: list[str] = []
    settings = NodeConfig(scale=ScaleConfig("auto"))
    predict_bag(bag, tmp_path / "out", predictor, PredictionOptions(settings=settings), warn=lines.append)
    predict_bag(bag, tmp_path / "plain", predictor, PredictionOptions())
    assert any("scale.camera_height is 0" in line and "scale.extrinsics is empty" in line for line in lines)
    assert decoded_depth(tmp_path / "out") == decoded_depth(tmp_path / "plain")


def decoded_depth(path: Path) -> list[bytes]:
    return [bytes(message.data) for message in decoded(path)["/depth/image"]]
