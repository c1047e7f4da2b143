"""The Parquet files of a data set; the only module that imports pyarrow.

``datasets``, with which LeRobot reads them, finds the features' types in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_COMPRESSION = "snappy"


class FrameTable:
    """Writes one data file, one row per frame.

    Args:
        path: the file.
        features: as ``meta/info.json`` declares them.
    """

    def __init__(self, path: Path, features: Mapping[str, Mapping[str, Any]]) -> None:
        """Open the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._shapes = {key: tuple(feature["shape"]) for key, feature in features.items()}
        fields = [pa.field(key, _arrow_type(feature)) for key, feature in features.items()]
        known = {"info": {"features": {key: _hub_type(feature) for key, feature in features.items()}}}
        self._schema = pa.schema(fields, metadata={"huggingface": json.dumps(known)})
        self._writer = pq.ParquetWriter(str(path), self._schema, compression=_COMPRESSION)

    def write(self, rows: Mapping[str, Sequence[Any]]) -> None:
        """Write frames as one row group.

        Args:
            rows: by feature, each frame's value: an image file's bytes, a number or an array of the feature's shape.
        """
        columns = [self._column(field, rows[field.name]) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def _column(self, field: pa.Field, values: Sequence[Any]) -> pa.Array:
        if field.type == _IMAGE:
            return pa.array([{"bytes": data, "path": None} for data in values], _IMAGE)
        shape = self._shapes[field.name]
        if shape == (1,):
            return pa.array(values, field.type)
        return _nested(np.stack(values), field.type)


def write_episodes(path: Path, episodes: Sequence[Mapping[str, Any]]) -> None:
    """Write the table of episodes; arrays become nested lists."""
    rows = {
        key: [value.tolist() if isinstance(value := episode[key], np.ndarray) else value for episode in episodes]
        for key in episodes[0]
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pydict(rows), str(path), compression=_COMPRESSION)


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write the table of tasks; their text is the index of the pandas table that LeRobot reads it as."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [_pandas_column("task_index", "int64", "int64"), _pandas_column("task", "unicode", "object")],
        "pandas_version": "2.0.0",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    table = table.replace_schema_metadata({"pandas": json.dumps(pandas)})
    pq.write_table(table, str(path), compression=_COMPRESSION)


def _pandas_column(name: str, kind: str, numpy: str) -> dict[str, Any]:
    return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}


def _arrow_type(feature: Mapping[str, Any]) -> pa.DataType:
    if feature["dtype"] == "image":
        return _IMAGE
    shape, kind = tuple(feature["shape"]), pa.from_numpy_dtype(np.dtype(feature["dtype"]))
    if shape == (1,):
        return kind
    if len(shape) == 1:
        return pa.list_(kind, shape[0])
    for _ in shape:
        kind = pa.list_(kind)
    return kind


def _hub_type(feature: Mapping[str, Any]) -> dict[str, Any]:
    """Return a feature's type as ``datasets`` writes it."""
    shape, dtype = list(feature["shape"]), feature["dtype"]
    if dtype == "image":
        return {"_type": "Image"}
    if shape == [1]:
        return {"dtype": dtype, "_type": "Value"}
    if len(shape) == 1:
        return {"feature": {"dtype": dtype, "_type": "Value"}, "length": shape[0], "_type": "Sequence"}
    return {"shape": shape, "dtype": dtype, "_type": f"Array{len(shape)}D"}


def _nested(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return (N, ...) values as N lists, nested as deep as the array is."""
    array = pa.array(np.ascontiguousarray(values).reshape(-1))
    for size in reversed(values.shape[1:]):
        if pa.types.is_fixed_size_list(kind):
            array = pa.FixedSizeListArray.from_arrays(array, size)
        else:
            array = pa.ListArray.from_arrays(pa.array(np.arange(0, len(array) + 1, size), pa.int32()), array)
    return array
