from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from space_clip_ros.tools.lerobot.tables import FrameTable, write_episodes, write_tasks

FEATURES = {
    "image": {"dtype": "image", "shape": [2, 2, 3]},
    "state": {"dtype": "float64", "shape": [3]},
    "cloud": {"dtype": "float32", "shape": [2, 2, 3]},
    "index": {"dtype": "int64", "shape": [1]},
}


def test_rows_come_back_with_their_types(tmp_path: Path) -> None:
    table = FrameTable(tmp_path / "data/file.parquet", FEATURES)
    clouds = np.random.default_rng(1).normal(size=(4, 2, 2, 3)).astype(np.float32)
    for first in (0, 2):
        table.write(
            {
                "image": [b"a", b"b"],
                "state": [np.arange(3.0), np.arange(3.0) + 1],
                "cloud": list(clouds[first : first + 2]),
                "index": [first, first + 1],
            }
        )
    table.close()
    file = pq.ParquetFile(tmp_path / "data/file.parquet")
    assert file.num_row_groups == 2
    read = file.read()
    assert read.column("image").to_pylist()[1] == {"bytes": b"b", "path": None}
    assert read.schema.field("state").type == pa.list_(pa.float64(), 3)
    assert read.column("state").to_pylist()[3] == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(np.array(read.column("cloud").to_pylist(), np.float32), clouds)
    assert read.column("index").to_pylist() == [0, 1, 2, 3]
    declared = json.loads(read.schema.metadata[b"huggingface"])["info"]["features"]
    assert declared["image"] == {"_type": "Image"}
    assert declared["cloud"] == {"shape": [2, 2, 3], "dtype": "float32", "_type": "Array3D"}


def test_episodes_keep_their_arrays(tmp_path: Path) -> None:
    write_episodes(tmp_path / "meta/e.parquet", [{"length": 3, "mean": np.ones((3, 1, 1))}])
    (row,) = pq.read_table(tmp_path / "meta/e.parquet").to_pylist()
    assert row == {"length": 3, "mean": [[[1.0]], [[1.0]], [[1.0]]]}


def test_tasks_name_their_text_as_the_index(tmp_path: Path) -> None:
    write_tasks(tmp_path / "meta/tasks.parquet", ["Drive.", "Stop."])
    table = pq.read_table(tmp_path / "meta/tasks.parquet")
    assert table.to_pylist() == [{"task_index": 0, "task": "Drive."}, {"task_index": 1, "task": "Stop."}]
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]
