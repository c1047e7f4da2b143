"""Writes data sets in LeRobot's format v3.0: frames in Parquet files, and their description in ``meta/``.

The format is documented at https://huggingface.co/docs/lerobot/lerobot-dataset-v3. Images are stored in the
Parquet files themselves, not in videos, because a video codec would change depth.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.tools.bags.writer import claim_folder
from space_clip_ros.tools.lerobot.statistics import EpisodeStatistics, Statistics, combined
from space_clip_ros.tools.lerobot.tables import FrameTable, write_episodes, write_tasks

FORMAT = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

_CHUNK = 1000
_FILE_MB = 100
_VIDEO_MB = 200
_ROW_GROUP = 64
"""Frames that are kept in memory; a camera's frames of 1242 x 375 pixels take about 1 MB each."""


class DatasetWriter:
    """Writes a data set into a hidden folder beside it, and moves it into place once complete; a context manager.

    Args:
        path: the data set's folder, which must not exist.
        features: as :func:`~space_clip_ros.tools.lerobot.features.declared_features` returns them.
        fps: frames per second.
        task: the task of every episode.

    Attributes:
        path: the same.
        lengths: number of frames of each finished episode.

    Raises:
        InputError: a path without a name.
        DataError: on entering, if ``path`` exists, is being written by another process, or cannot be written.
    """

    def __init__(self, path: Path, features: Mapping[str, Mapping[str, Any]], fps: int, task: str) -> None:
        """Check the path; nothing is created before entering."""
        if not path.name:
            raise InputError(path, "cannot be a data set, which needs a folder of its own")
        self.path = path
        self.lengths: list[int] = []
        self._features = features
        self._fps = fps
        self._task = task
        self._draft = path.with_name(f".{path.name}.part")
        self._table: FrameTable | None = None
        self._file = -1
        self._rows: dict[str, list[Any]] = {}
        self._episodes: list[dict[str, Any]] = []
        self._statistics: list[dict[str, Statistics]] = []
        self._frame = 0

    def __enter__(self) -> DatasetWriter:
        """Create the hidden folder."""
        if self.path.exists():
            raise DataError(self.path, "exists already", "remove it or choose another folder")
        with self._guard():
            self._lock = claim_folder(self._draft, self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the description and move the folder into place, or remove it after an error."""
        try:
            if kind is None:
                with self._guard():
                    self._finish()
                    self._draft.rename(self.path)
        finally:
            if self._table is not None:
                self._table.close()
            shutil.rmtree(self._draft, ignore_errors=True)
            os.close(self._lock)

    def add_frame(self, values: Mapping[str, Any]) -> None:
        """Add a frame to the current episode.

        Args:
            values: values of all features but LeRobot's own columns: bytes of an image file, a number, or an array.

        Raises:
            DataError: the disk is full.
        """
        row = {
            **values,
            "timestamp": self._frame / self._fps,
            "frame_index": self._frame,
            "episode_index": len(self.lengths),
            "index": sum(self.lengths) + self._frame,
            "task_index": 0,
        }
        for key in self._features:
            self._rows.setdefault(key, []).append(row[key])
        self._frame += 1
        if len(self._rows["index"]) >= _ROW_GROUP:
            self._flush()

    def end_episode(self, statistics: EpisodeStatistics) -> None:
        """Finish the current episode.

        Args:
            statistics: statistics of its frames; those of LeRobot's own columns are added here.
        """
        length, first = self._frame, sum(self.lengths)
        self._flush()
        for number in range(length):
            statistics.add_vector("timestamp", number / self._fps)
            statistics.add_vector("frame_index", number)
            statistics.add_vector("episode_index", len(self.lengths))
            statistics.add_vector("index", first + number)
            statistics.add_vector("task_index", 0)
        episode = statistics.result()
        self._statistics.append(episode)
        chunk, file = divmod(self._file, _CHUNK)
        self._episodes.append(
            {
                "episode_index": len(self.lengths),
                "tasks": [self._task],
                "length": length,
                "data/chunk_index": chunk,
                "data/file_index": file,
                "dataset_from_index": first,
                "dataset_to_index": first + length,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
                **{f"stats/{key}/{name}": value for key, values in episode.items() for name, value in values.items()},
            }
        )
        self.lengths.append(length)
        self._frame = 0
        if self._data_file().stat().st_size >= _FILE_MB << 20:
            self._close_table()

    def _flush(self) -> None:
        if not self._rows:
            return
        with self._guard():
            if self._table is None:
                self._file += 1
                self._table = FrameTable(self._data_file(), self._features)
            self._table.write(self._rows)
        self._rows = {}

    def _data_file(self) -> Path:
        chunk, file = divmod(self._file, _CHUNK)
        return self._draft / DATA.format(chunk_index=chunk, file_index=file)

    def _close_table(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None

    def _finish(self) -> None:
        self._close_table()
        write_episodes(self._draft / EPISODES, self._episodes)
        write_tasks(self._draft / TASKS, [self._task])
        statistics = combined(self._statistics)
        plain = {key: {name: value.tolist() for name, value in values.items()} for key, values in statistics.items()}
        self._write_json(STATS, plain)
        self._write_json(INFO, self._info())

    def _info(self) -> dict[str, Any]:
        episodes = len(self.lengths)
        return {
            "codebase_version": FORMAT,
            "robot_type": None,
            "total_episodes": episodes,
            "total_frames": sum(self.lengths),
            "total_tasks": 1,
            "chunks_size": _CHUNK,
            "data_files_size_in_mb": _FILE_MB,
            "video_files_size_in_mb": _VIDEO_MB,
            "fps": self._fps,
            "splits": {"train": f"0:{episodes}"},
            "data_path": DATA,
            "video_path": None,
            "features": self._features,
        }

    def _write_json(self, name: str, content: Any) -> None:
        (self._draft / name).write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(self.path, f"cannot be written ({error.strerror or error})") from error
