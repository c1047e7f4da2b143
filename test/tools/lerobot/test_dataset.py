from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.tools.lerobot.dataset import DatasetWriter
from space_clip_ros.tools.lerobot.features import CameraFeatures, declared_features
from space_clip_ros.tools.lerobot.statistics import EpisodeStatistics

CAMERA = CameraFeatures("front", (2, 3), PinholeCamera(3, 2, 5.0, 5.0, 1.0, 0.5), "front_optical", "mm")


def fill(dataset: DatasetWriter, frames: int, size: int = 10) -> None:
    statistics = EpisodeStatistics()
    for stamp in range(frames):
        data = np.random.default_rng(stamp).bytes(size)
        values = {CAMERA.image: data, CAMERA.depth: data, CAMERA.intrinsics: np.arange(4.0)}
        dataset.add_frame({**values, "observation.stamp_ns": stamp})
        statistics.add_vector("observation.stamp_ns", stamp)
    dataset.end_episode(statistics)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    features = declared_features([CAMERA])
    with pytest.raises(RuntimeError), DatasetWriter(tmp_path / "set", features, 10, "Drive.") as dataset:
        fill(dataset, 3)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    features = declared_features([CAMERA])
    with DatasetWriter(tmp_path / "set", features, 10, "Drive.") as dataset:
        with (
            pytest.raises(DataError, match="is being written by another process"),
            DatasetWriter(tmp_path / "set", features, 10, "Drive."),
        ):
            pass
        fill(dataset, 1)
    assert (tmp_path / "set/meta/info.json").is_file()


def test_a_full_file_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("space_clip_ros.tools.lerobot.dataset._FILE_MB", 1)
    monkeypatch.setattr("space_clip_ros.tools.lerobot.dataset._CHUNK", 2)
    with DatasetWriter(tmp_path / "set", declared_features([CAMERA]), 10, "Drive.") as dataset:
        for _ in range(3):
            fill(dataset, 100, size=10_000)
    files = sorted(str(file.relative_to(tmp_path / "set")) for file in (tmp_path / "set/data").rglob("*.parquet"))
    assert files == [
        "data/chunk-000/file-000.parquet",
        "data/chunk-000/file-001.parquet",
        "data/chunk-001/file-000.parquet",
    ]
    episodes = pq.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(row["data/chunk_index"], row["data/file_index"]) for row in episodes] == [(0, 0), (0, 1), (1, 0)]
    table = pq.read_table(tmp_path / "set" / files[2])
    assert table.column("index").to_pylist() == list(range(200, 300))
