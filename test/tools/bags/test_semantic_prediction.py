"""What is found by name in a bag's images, with a model that reads depth and names from the picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from space_clip_ros.cli.main import main
from space_clip_ros.config import NodeConfig, PointsConfig, SemanticConfig
from space_clip_ros.errors import InputError
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.messages import camera_info_from_camera, header_at, image_from_array, points_from_cloud
from space_clip_ros.messages.bag_types import BAGS, TYPES
from space_clip_ros.messages.images import stored_pixels
from space_clip_ros.tools.bags import qos
from space_clip_ros.tools.bags.prediction import PredictionOptions, predict_bag
from space_clip_ros.tools.bags.writer import BagWriter

NAMES = ("road", "car", "sky")
SEMANTIC = ("labels", "confidence", "label_info", "detections", "markers", "tokens", "embedding")
ALL = ("depth/points", *(f"semantic/{name}" for name in SEMANTIC))


@pytest.fixture(scope="module")
def model(coded_depth: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = coded_depth.write_model(
        tmp_path_factory.mktemp("model") / "closed.onnx", coded_depth.language_config(NAMES)
    )
    return path


@pytest.fixture(scope="module")
def predictor(model: Path) -> Iterator[Predictor]:
    with load_predictor(model, threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def bag(coded_depth: Any, scenes: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images: a street with a car, and without."""
    path = tmp_path_factory.mktemp("bags") / "streets"
    empty = scenes.street(camera=scenes.SMALL)
    with BagWriter(path) as writer:
        writer.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        writer.add("/camera_info", "sensor_msgs/msg/CameraInfo", qos.SENSOR)
        for number, depth in enumerate((scenes.street(scenes.CAR, camera=scenes.SMALL), empty)):
            labels = np.where(np.isnan(empty), 2, 0)
            labels[np.nan_to_num(depth) != np.nan_to_num(empty)] = 1
            stamp = (number + 1) * 10**9
            header = header_at(stamp, "camera", BAGS)
            writer.write("/camera_info", stamp, camera_info_from_camera(scenes.SMALL, header, types=BAGS))
            writer.write("/image", stamp, image_from_array(coded_depth.picture(depth, labels), "rgb8", header, BAGS))
    return path


def decoded(path: Path) -> dict[str, list[Any]]:
    by_topic: dict[str, list[Any]] = {}
    with Reader(path) as reader:
        for connection, _, data in reader.messages():
            by_topic.setdefault(connection.topic, []).append(TYPES.deserialize_cdr(data, connection.msgtype))
    return by_topic


def test_a_car_is_found_where_it_is(bag: Path, tmp_path: Path, predictor: Predictor) -> None:
    settings = NodeConfig(points=PointsConfig(color=False), semantic=SemanticConfig(queries=("car",)))
    added = predict_bag(bag, tmp_path / "out", predictor, PredictionOptions(outputs=ALL, settings=settings))
    assert added.counts == {f"/{topic}": 1 if "label_info" in topic else 2 for topic in ALL}
    messages = decoded(tmp_path / "out")
    with_car, without = (stored_pixels(image) for image in messages["/semantic/labels"])
    assert set(np.unique(with_car)) == {0, 255} and set(np.unique(without)) == {255}
    points = points_from_cloud(messages["/depth/points"][0])
    assert points.shape == with_car.shape
    assert np.nanmedian(points["z"][with_car == 0]) == pytest.approx(8.0, abs=0.1)
    (info,) = messages["/semantic/label_info"]
    assert [(entry.class_id, entry.class_name) for entry in info.class_map] == [(0, "car")]
    first, second = messages["/semantic/detections"]
    assert [entry.results[0].hypothesis.class_id for entry in first.detections] == ["car"] and not second.detections
    assert first.detections[0].bbox.center.position.z == pytest.approx(8.0, rel=0.1)
    assert first.header == messages["/image"][0].header
    assert points_from_cloud(messages["/semantic/tokens"][0])["feature"].shape == (128, 128, 3)
    with Reader(tmp_path / "out") as reader:
        (names,) = [entry for entry in reader.connections if entry.topic == "/semantic/label_info"]
    assert qos.is_latched(names.ext.offered_qos_profiles)  # type: ignore[union-attr]


def test_the_command_takes_names(bag: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--labels", "--detections", "--query", "car", "sky", "--model", str(model)]
    assert main(["predict", "--bag", str(bag), "--out", str(tmp_path / "out"), *options]) == 0
    printed = capsys.readouterr().out
    assert "     1  /semantic/label_info\n     2  /semantic/labels\n     2  /semantic/markers\n" in printed
    (info,) = decoded(tmp_path / "out")["/semantic/label_info"]
    assert [entry.class_name for entry in info.class_map] == ["car", "sky"]


def test_labels_without_names_are_refused_before_there_is_a_model() -> None:
    for output in ("semantic/labels", "semantic/confidence", "semantic/detections", "semantic/markers"):
        with pytest.raises(InputError, match="queries: are needed for labels and detections; give --query"):
            PredictionOptions(outputs=(output,))


def test_names_that_cannot_be_found_are_refused_before_the_first_image(
    bag: Path, tmp_path: Path, predictor: Predictor
) -> None:
    options = PredictionOptions(
        outputs=("semantic/markers",), settings=NodeConfig(semantic=SemanticConfig(queries=("dog",)))
    )
    with pytest.raises(InputError, match="'dog' not known: this model has a closed list of names"):
        predict_bag(bag, tmp_path / "out", predictor, options)
    assert not list(tmp_path.iterdir())


def test_a_model_without_language_refuses(bag: Path, tmp_path: Path, coded_depth: Any) -> None:
    plain = coded_depth.write_model(tmp_path / "plain.onnx")
    options = PredictionOptions(outputs=("semantic/tokens", "depth/image"))
    with load_predictor(plain, threads=1) as loaded, pytest.raises(InputError, match="cannot give semantic/tokens"):
        predict_bag(bag, tmp_path / "out", loaded, options)
