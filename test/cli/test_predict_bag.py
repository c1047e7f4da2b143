"""``space_clip predict --bag``."""

from __future__ import annotations

import argparse
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from space_clip_ros.cli import predict_bag
from space_clip_ros.cli.main import main
from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.drive import write_drive

rosbag2 = pytest.importorskip("rosbags.rosbag2")

Interrupt = Callable[[list[str], Callable[[], bool], signal.Signals], int]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    drive = write_drive(folder, frames=2, seed=4, camera=PinholeCamera(156, 48, fx=90.0, fy=90.0, cx=76.0, cy=21.0))
    assert main(["bag", str(drive), "--out", str(folder / "bag")]) == 0
    return folder / "bag"


def test_adds_topics_and_says_so(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["predict", "--bag", str(bag), "--out", str(out), "--points", "--color", "--storage", "sqlite3"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    topics = "".join(f"     2  /depth/{name}\n" for name in ("camera_info", "color", "image", "points"))
    assert printed.out.startswith("road_tiny on ")
    assert printed.out.endswith(f"{topics}{out}\n")
    assert printed.err == ""
    assert (out / "out.db3").is_file()


def test_obstacles_and_the_scan_are_added_where_there_is_ground(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "depth.yaml"
    # Random textures may hide the ground from the model, but the camera's height gives it.
    file.write_text("depth:\n  ros__parameters:\n    scale: {camera_height: 1.65}\n", encoding="utf-8")
    out = tmp_path / "out"
    options = ["--obstacles", "--scan", "--params-file", str(file)]
    assert main(["predict", "--bag", str(bag), "--out", str(out), *options]) == 0
    assert "2  /depth/obstacles\n     2  /depth/scan\n" in capsys.readouterr().out
    from space_clip_ros.messages.bag_types import TYPES

    with rosbag2.Reader(out) as reader:
        by_topic = {
            connection.topic: TYPES.deserialize_cdr(data, connection.msgtype)
            for connection, _, data in reader.messages()
            if connection.topic.startswith("/depth")
        }
    scan, cloud = by_topic["/depth/scan"], by_topic["/depth/obstacles"]
    image = by_topic["/depth/image"].header
    assert (scan.header.stamp, scan.header.frame_id) == (image.stamp, f"{image.frame_id}_level")
    assert cloud.header == image and cloud.is_dense
    assert len(scan.ranges) > 50 and scan.range_max == 30.0
    assert scan.scan_time == pytest.approx(0.1, abs=0.01)


def test_a_scan_in_the_robots_frame_is_refused(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "depth.yaml"
    file.write_text("depth:\n  ros__parameters:\n    scan: {frame_id: base_link}\n", encoding="utf-8")
    options = ["--out", str(tmp_path / "out"), "--scan", "--params-file", str(file)]
    assert main(["predict", "--bag", str(bag), *options]) == 1
    assert "scan.frame_id: needs TF, which is not read from bags; leave it empty" in capsys.readouterr().err


def test_parameters_are_read_as_the_node_reads_them(bag: Path, tmp_path: Path) -> None:
    file = tmp_path / "depth.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    use_sim_time: true\n    depth_encoding: 16UC1\n    points: {stride: 3}\n"
        "depth:\n  ros__parameters:\n    points.stride: 4\n    qos_overrides: {/image: {subscription: {depth: 2}}}\n",
        encoding="utf-8",
    )
    out = tmp_path / "out"
    assert main(["predict", "--bag", str(bag), "--out", str(out), "--points", "--params-file", str(file)]) == 0
    from space_clip_ros.messages.bag_types import TYPES

    with rosbag2.Reader(out) as reader:
        for connection, _, data in reader.messages():
            if connection.topic == "/depth/image":
                image = TYPES.deserialize_cdr(data, connection.msgtype)
                assert (image.encoding, np.count_nonzero(image.data) > 0) == ("16UC1", True)
            if connection.topic == "/depth/points":
                assert TYPES.deserialize_cdr(data, connection.msgtype).width == 39


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("a: [", "is not valid YAML"),
        ("model = road_tiny", "must be a YAML mapping, lines of `name: value`, and is text; see config/depth.yaml"),
        ("other: {ros__parameters: {}}", "has parameters for /other and none for depth; see config"),
        ("{a: 1}", "has parameters for no node and none for depth"),
        ("depth: {ros__parameters: 7}", "/depth: ros__parameters must be names with values"),
        (
            "{/left/depth: {ros__parameters: {max_age: 1.0}}, /right: {depth: {ros__parameters: {max_age: 2.0}}}}",
            "has parameters for /left/depth, /right/depth; keep only one of them",
        ),
        ("depth: {ros__parameters: {max_depth: -1}}", "max_depth: must be at least"),
    ],
)
def test_a_useless_parameter_file_is_one_line(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    file = tmp_path / "depth.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert main(["predict", "--bag", str(bag), "--out", str(tmp_path / "out"), "--params-file", str(file)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give image files, or a bag with --bag"),
        (["a.png", "--bag", "b"], "give image files, or a bag with --bag"),
        (["--bag", "b"], "--bag needs --out"),
        (["--bag", "b", "--out", "c", "--camera", "k.yaml"], "--camera: no effect with --bag"),
        (["a.png", "--points"], "--points: no effect without --bag"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["predict", *arguments])
    assert exit_status.value.code == 2
    assert message in capsys.readouterr().err


def test_errors_are_one_line(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--bag", "/nowhere"], "/nowhere: no such bag"),
        (["--bag", str(bag), "--image", "/rear/image"], "no colour images on /rear/image"),
    ):
        assert main(["predict", *arguments, "--out", str(tmp_path / "out")]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_found_before_the_model_is_loaded(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, parameters = tmp_path / "out", tmp_path / "depth.yaml"
    (tmp_path / "file").touch()
    parameters.write_text("depth: {ros__parameters: {semantic: {query_file: no/queries.safetensors}}}\n", "utf-8")
    for source, place, options, message in (
        (tmp_path, out, [], "is not a rosbag2 folder"),
        (bag, bag, [], "exists already; remove it or choose another folder"),
        (bag, tmp_path / "file" / "out", [], "out: cannot be written (Not a directory); give another place"),
        (bag, tmp_path / "run #1", ["--storage", "sqlite3"], "run #1: contains ?, # or %, which makes SQLite write"),
        (bag, out, ["--image", "/rear/image"], "no colour images on /rear/image"),
        (bag, out, ["--labels"], "queries: are needed for labels and detections; give --query, or semantic.queries"),
        (bag, out, ["--labels", "--params-file", str(parameters)], "no/queries.safetensors: cannot be read"),
    ):
        assert main(["predict", "--model", "nothing", "--bag", str(source), "--out", str(place), *options]) == 1
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["depth.yaml", "file"]


def test_a_bag_with_edited_qos_is_read_whole(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(bag, tmp_path / "in")
    file = tmp_path / "in" / "metadata.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for topic in content["rosbag2_bagfile_information"]["topics_with_message_count"]:
        topic["topic_metadata"]["offered_qos_profiles"] = ""
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert main(["predict", "--bag", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    assert "     2  /depth/image\n" in capsys.readouterr().out
    with rosbag2.Reader(bag) as before, rosbag2.Reader(tmp_path / "out") as after:
        assert after.message_count == before.message_count + 4


def test_a_bag_without_metadata_is_read_and_that_is_said(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(bag, tmp_path / "in")
    (tmp_path / "in" / "metadata.yaml").unlink()
    assert main(["predict", "--bag", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"{tmp_path}/in: has no metadata.yaml, so the recorder may have been killed; read bag.mcap\n"
    assert "     2  /depth/image\n" in printed.out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_an_interrupted_run_leaves_no_bag_and_can_be_repeated(
    tmp_path: Path, interrupt: Interrupt, number: signal.Signals, status: int
) -> None:
    """Enough frames that the signal comes in the middle."""
    from space_clip_ros.tools.bags import messages, qos
    from space_clip_ros.tools.bags.writer import BagWriter

    frames = 100
    with BagWriter(tmp_path / "in") as writer:
        writer.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        for stamp in range(frames):
            pixels = np.full((48, 156, 3), stamp, np.uint8)
            writer.write("/image", stamp, messages.image(pixels, messages.header(stamp, "camera")))
    arguments = ["predict", "--bag", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    current = ".out.depth/.current.part/current/*.mcap"
    assert interrupt(arguments, lambda: bool(list(tmp_path.glob(current))), number) == status
    assert {path.name for path in tmp_path.iterdir()} == {"in", ".out.depth"}
    assert main(arguments) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    with rosbag2.Reader(tmp_path / "out") as reader:
        assert reader.message_count == 2 * frames


def test_options_override_the_parameter_file_even_with_a_default(tmp_path: Path) -> None:
    file = tmp_path / "depth.yaml"
    file.write_text("/**: {ros__parameters: {backend: torch, precision: fp16, max_age: 3.0}}\n", encoding="utf-8")
    parser = argparse.ArgumentParser()
    predict_bag.add_shared(parser)
    predict_bag.add_arguments(parser)
    settings = predict_bag.settings_of(parser.parse_args(["--backend", "auto", "--params-file", str(file)]))
    assert (settings.backend, settings.precision, settings.max_age) == ("auto", "fp16", 3.0)
    assert f"(default: {NodeConfig().backend})" in parser.format_help()


@pytest.mark.parametrize(
    ("text", "max_age"),
    [
        ("/**: {ros__parameters: {max_age: 1.0}}", 1.0),
        ("/*: {ros__parameters: {max_age: 1.0}}", 1.0),
        ("/**/depth: {ros__parameters: {max_age: 1.0}}", 1.0),
        ("/robot/depth: {ros__parameters: {max_age: 1.0}}", 1.0),
        ("robot: {depth: {ros__parameters: {max_age: 1.0}}, other: {ros__parameters: {max_age: 2.0}}}", 1.0),
        ("{depth: {ros__parameters: {max_age: 1.0}}, /**: {ros__parameters: {max_age: 2.0}}}", 1.0),
        ("depth: {ros__parameters: }", NodeConfig().max_age),
    ],
)
def test_nodes_are_named_as_in_any_parameter_file(tmp_path: Path, text: str, max_age: float) -> None:
    file = tmp_path / "depth.yaml"
    file.write_text(text, encoding="utf-8")
    parser = argparse.ArgumentParser()
    predict_bag.add_shared(parser)
    predict_bag.add_arguments(parser)
    settings = predict_bag.settings_of(parser.parse_args(["--params-file", str(file)]))
    assert settings.max_age == max_age
