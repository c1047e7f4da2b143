"""Every value of a bag is read back, by pyarrow and by LeRobot's own reader where it is installed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.lerobot.conversion import write_dataset
from space_clip_ros.tools.lerobot.options import ConversionOptions

WriteBag = Callable[..., Path]
CAMERA = PinholeCamera(64, 32, 50.25, 49.75, 31.5, 15.125)
IMAGE, DEPTH = "observation.images.camera", "observation.images.camera_depth"


def rows(dataset: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(dataset.glob("data/*/*.parquet")) for row in pq.read_table(file).to_pylist()]


def decoded(cell: dict[str, Any]) -> NDArray[Any]:
    return np.asarray(cv2.imdecode(np.frombuffer(cell["bytes"], np.uint8), cv2.IMREAD_UNCHANGED))


def info(dataset: Path) -> dict[str, Any]:
    return dict(json.loads((dataset / "meta/info.json").read_text(encoding="utf-8")))


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    codes = np.rint(np.nan_to_num(depth) * np.float32(1000.0))
    return np.where(codes > 65535, 0, codes).astype(np.uint16)


def test_every_value_of_a_bag_is_in_the_data_set(tmp_path: Path, write_bag: WriteBag, known: Any) -> None:
    progress: list[tuple[int, int]] = []
    written = write_dataset(
        [write_bag(tmp_path / "bag")], tmp_path / "set", progress=lambda *done: progress.append(done)
    )
    assert (written.episodes, written.fps, written.cameras, written.left_out) == ([4], 10, ["camera"], 0)
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    lost = 0
    for index, row in enumerate(rows(tmp_path / "set")):
        np.testing.assert_array_equal(decoded(row[IMAGE])[..., ::-1], known.image(index))
        np.testing.assert_array_equal(decoded(row[DEPTH]), millimetres(known.depth(index)))
        lost += np.count_nonzero(known.depth(index) > 65.535)
        assert row["observation.intrinsics.camera"] == [50.25, 49.75, 31.5, 15.125]
        assert row["observation.stamp_ns"] == known.start_ns + index * known.period_ns
        assert row["timestamp"] == pytest.approx(index / 10)
        assert (row["frame_index"], row["episode_index"], row["index"], row["task_index"]) == (index, 0, index, 0)
    assert written.too_far == lost > 0


def test_info_declares_what_the_files_hold(tmp_path: Path, write_bag: WriteBag) -> None:
    write_dataset([write_bag(tmp_path / "bag")], tmp_path / "set", ConversionOptions(points=8))
    described = info(tmp_path / "set")
    assert described["codebase_version"] == "v3.0"
    assert (described["fps"], described["total_episodes"], described["total_frames"]) == (10, 1, 4)
    depth = described["features"][DEPTH]
    assert (depth["dtype"], depth["shape"]) == ("image", [32, 64, 1])
    assert (depth["info"]["is_depth_map"], depth["info"]["depth_unit"]) == (True, "mm")
    assert depth["info"]["frame_id"] == "camera_optical"
    assert depth["info"]["intrinsics"] == {
        "width": 64,
        "height": 32,
        "fx": 50.25,
        "fy": 49.75,
        "cx": 31.5,
        "cy": 15.125,
    }
    file = tmp_path / "set" / described["data_path"].format(chunk_index=0, file_index=0)
    assert pq.read_schema(file).names == list(described["features"])


def test_depth_in_metres_keeps_every_bit(tmp_path: Path, write_bag: WriteBag, known: Any) -> None:
    options = ConversionOptions(depth_unit="m", image_format="jpeg")
    written = write_dataset([write_bag(tmp_path / "bag")], tmp_path / "set", options)
    assert written.too_far == 0
    for index, row in enumerate(rows(tmp_path / "set")):
        np.testing.assert_array_equal(decoded(row[DEPTH]), np.nan_to_num(known.depth(index)))
        assert row[IMAGE]["bytes"].startswith(b"\xff\xd8")
    assert info(tmp_path / "set")["features"][DEPTH]["info"]["depth_unit"] == "m"


def test_clouds_are_those_of_the_depth(tmp_path: Path, write_bag: WriteBag, known: Any) -> None:
    write_dataset([write_bag(tmp_path / "bag", frames=[3, 4])], tmp_path / "set", ConversionOptions(points=8))
    row = rows(tmp_path / "set")[1]
    expected = Projector(CAMERA, 8).project(known.depth(4))
    np.testing.assert_array_equal(np.array(row["observation.points.camera"], np.float32), expected)
    assert expected.shape == (4, 8, 3)
    assert np.isnan(expected).any() and np.isfinite(expected).any()


def test_bags_and_gaps_make_episodes(tmp_path: Path, write_bag: WriteBag) -> None:
    bags = [write_bag(tmp_path / "a", frames=[0, 1, 2, 20, 21]), write_bag(tmp_path / "b", frames=[0, 1, 2])]
    written = write_dataset(bags, tmp_path / "set", ConversionOptions(task="Drive."))
    assert written.episodes == [3, 2, 3]
    all_rows = rows(tmp_path / "set")
    assert [row["episode_index"] for row in all_rows] == [0, 0, 0, 1, 1, 2, 2, 2]
    assert [row["frame_index"] for row in all_rows] == [0, 1, 2, 0, 1, 0, 1, 2]
    assert [row["index"] for row in all_rows] == list(range(8))
    episodes = pq.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(row["dataset_from_index"], row["dataset_to_index"], row["length"]) for row in episodes] == [
        (0, 3, 3),
        (3, 5, 2),
        (5, 8, 3),
    ]
    assert episodes[1]["tasks"] == ["Drive."]
    assert write_dataset(bags, tmp_path / "long", ConversionOptions(max_gap=5.0)).episodes == [5, 3]


def test_a_lower_rate_leaves_frames_out(tmp_path: Path, write_bag: WriteBag, known: Any) -> None:
    written = write_dataset([write_bag(tmp_path / "bag", frames=range(9))], tmp_path / "set", ConversionOptions(fps=5))
    assert (written.episodes, written.left_out) == ([5], 4)
    stamps = [row["observation.stamp_ns"] for row in rows(tmp_path / "set")]
    assert [(stamp - known.start_ns) // known.period_ns for stamp in stamps] == [0, 2, 4, 6, 8]


def test_the_cameras_of_a_frame_are_the_nearest_in_time(tmp_path: Path, write_bag: WriteBag, known: Any) -> None:
    bag = write_bag(tmp_path / "bag", frames=range(5), cameras={"/front/": 0, "/rear/": 60_000_000})
    written = write_dataset([bag], tmp_path / "set")
    # The rear camera's frame of 60 ms later is further away than its frame of 40 ms before; the first has neither.
    assert (written.cameras, written.episodes, written.left_out) == (["front", "rear"], [4], 1)
    for row in rows(tmp_path / "set"):
        index = (row["observation.stamp_ns"] - known.start_ns) // known.period_ns
        np.testing.assert_array_equal(decoded(row["observation.images.front"])[..., ::-1], known.image(index))
        np.testing.assert_array_equal(decoded(row["observation.images.rear"])[..., ::-1], known.image(index - 1))
    chosen = write_dataset([bag], tmp_path / "one", ConversionOptions(depth=("/rear/depth/image",)))
    assert (chosen.cameras, chosen.episodes) == (["rear"], [5])


def test_sixteen_bit_depth_stays_as_it_is(tmp_path: Path, write_bag: WriteBag, known: Any) -> None:
    write_dataset([write_bag(tmp_path / "bag", depth_encoding="16UC1")], tmp_path / "set")
    for index, row in enumerate(rows(tmp_path / "set")):
        np.testing.assert_array_equal(decoded(row[DEPTH]), millimetres(known.depth(index)))


@pytest.mark.parametrize("options", [ConversionOptions(), ConversionOptions(fps=5)], ids=["every frame", "half"])
def test_stamps_that_jump_back_start_an_episode(
    tmp_path: Path, write_bag: WriteBag, options: ConversionOptions
) -> None:
    """As in the recording of a looped replay. Once, a lower rate lost all later frames."""
    with BagReader(write_bag(tmp_path / "pass", frames=range(4))) as bag, BagWriter(tmp_path / "bag") as looped:
        for topic in bag.topics.values():
            looped.add(topic.name, topic.kind, topic.offered)
        for delay in (0, 400_000_000):
            for name, stamp, data in bag.messages(bag.topics):
                looped.write_serialized(name, stamp + delay, data)
    written = write_dataset([tmp_path / "bag"], tmp_path / "set", options)
    assert written.episodes == ([2, 2] if options.fps else [4, 4])


def test_a_place_without_a_name_is_refused(tmp_path: Path, write_bag: WriteBag) -> None:
    with pytest.raises(InputError, match="/: cannot be a data set, which needs a folder of its own"):
        write_dataset([write_bag(tmp_path / "bag")], "/")


def test_what_has_no_place_in_a_data_set_is_one_clear_error(tmp_path: Path, write_bag: WriteBag) -> None:
    out = tmp_path / "set"
    two = write_bag(tmp_path / "two", cameras={"/front/": 0, "/rear/": 0})
    single = write_bag(tmp_path / "one")
    for without, reason in (
        (("/depth/image",), "has no depth/image; add it with space_clip predict --bag"),
        (("/image",), "has no topic of colour images, or several, beside /depth/image"),
        (("/depth/camera_info",), "has no camera_info for /depth/image"),
    ):
        with pytest.raises(DataError, match=reason):
            write_dataset([write_bag(tmp_path / f"without_{len(reason)}", without=without)], out)
    with pytest.raises(DataError, match="has the cameras camera, not front, rear"):
        write_dataset([two, single], out)
    with pytest.raises(DataError, match="gives no frame rate; give it with --fps"):
        write_dataset([write_bag(tmp_path / "short", frames=[0])], out)
    with pytest.raises(InputError, match="has no topic /left"):
        write_dataset([single], out, ConversionOptions(depth=("/left",)))
    with pytest.raises(DataError, match="no such bag"):
        write_dataset([tmp_path / "nowhere"], out)
    assert not out.exists() and not list(tmp_path.glob(".set*"))
    out.mkdir()
    with pytest.raises(DataError, match="exists already"):
        write_dataset([single], out)


@pytest.mark.parametrize("unit", ["mm", "m"])
def test_lerobot_reads_it_back(unit: str, tmp_path: Path, write_bag: WriteBag, known: Any) -> None:
    lerobot = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    bags = [write_bag(tmp_path / name, frames=range(3)) for name in "ab"]
    write_dataset(bags, tmp_path / "set", ConversionOptions(task="Drive.", depth_unit=unit, points=8))
    dataset = lerobot.LeRobotDataset("local/set", root=tmp_path / "set", depth_output_unit="m")
    assert (len(dataset), dataset.num_episodes, dataset.fps, dataset.meta.depth_keys) == (6, 2, 10, [DEPTH])
    item = dataset[4]
    assert item["task"] == "Drive."
    np.testing.assert_array_equal(item[IMAGE].numpy(), known.image(1).transpose(2, 0, 1) / np.float32(255.0))
    stored = millimetres(known.depth(1)) / np.float32(1000.0) if unit == "mm" else np.nan_to_num(known.depth(1))
    np.testing.assert_allclose(item[DEPTH][0].numpy(), stored, rtol=1e-6)
    assert item["observation.intrinsics.camera"].tolist() == [50.25, 49.75, 31.5, 15.125]
    np.testing.assert_array_equal(
        item["observation.points.camera"].numpy(), Projector(CAMERA, 8).project(known.depth(1))
    )
    assert math.isclose(float(item["timestamp"]), 0.1, rel_tol=1e-6)
    assert dataset.meta.stats[DEPTH]["max"].shape == (1, 1, 1)
    assert dataset.meta.features[DEPTH]["info"]["intrinsics"]["fx"] == 50.25
