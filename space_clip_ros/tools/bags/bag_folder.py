"""Finds the files that make up a bag, and what its ``metadata.yaml`` says about its topics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml
from rosbags.interfaces import Qos

from space_clip_ros.errors import DataError, listed, one_line
from space_clip_ros.files import reading, refuse_lfs_pointer
from space_clip_ros.tools.bags.qos import recorded_profiles
from space_clip_ros.tools.bags.storage_file import ZSTD_SUFFIXES, convert_ros1, storage_suffix

METADATA = "metadata.yaml"

_INFORMATION = "rosbag2_bagfile_information"
_WITHOUT_IT = "correct it, or remove it: the bag can be read without it"
_KINDS = "give a rosbag2 folder or an .mcap or .db3 file"
_NUMBER = re.compile(r"_(\d+)$")


@dataclass(frozen=True)
class DeclaredTopic:
    """A topic as declared in ``metadata.yaml``.

    Attributes:
        kind: message type.
        count: number of messages.
        offered: the QoS profiles of its publishers; None if the file has none.
        type_hash: hash of the type; empty if the file has none, as before Iron.
    """

    kind: str
    count: int
    offered: tuple[Qos, ...] | None
    type_hash: str


@dataclass(frozen=True)
class BagFolder:
    """The files of a bag.

    Attributes:
        files: its storage files.
        topics: by name, what ``metadata.yaml`` says; empty for a bag without one.
        notes: what is unusual about the bag, one sentence each.
        note: the text that its recorder was told to keep with it; empty without one.
    """

    files: tuple[Path, ...]
    topics: Mapping[str, DeclaredTopic] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    note: str = ""


def find_files(path: Path) -> BagFolder:
    """Return the files of a bag.

    A file's suffix gives its format, because ``storage_identifier`` is empty in bags that Humble has reindexed.

    Args:
        path: a rosbag2 folder, with or without ``metadata.yaml``, or one storage file.

    Raises:
        DataError: there is no bag, ``metadata.yaml`` is not one, or a file of the bag is missing.
    """
    if not path.exists():
        reason = "is a link to nothing" if path.is_symlink() else "no such bag"
        raise DataError(path, reason, _KINDS)
    if path.name == METADATA and path.is_file():
        raise DataError(path, "describes a bag", f"give its folder, {path.parent}")
    if path.is_file():
        return BagFolder((path,))
    content = _load(path / METADATA) if (path / METADATA).is_file() else None
    if content is None:
        return _without_metadata(path)
    return _with_metadata(path, content)


def _load(file: Path) -> Any:
    refuse_lfs_pointer(file)
    try:
        with reading(file):
            return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(file, f"is not valid YAML ({one_line(error)})", _WITHOUT_IT) from error


def _with_metadata(folder: Path, content: Any) -> BagFolder:
    file = folder / METADATA
    information = content.get(_INFORMATION) if isinstance(content, dict) else None
    if not isinstance(information, dict):
        raise DataError(file, f"has no {_INFORMATION}", _WITHOUT_IT)
    listed = information.get("relative_file_paths")
    if not isinstance(listed, list) or not listed:
        raise DataError(file, "has no relative_file_paths", _WITHOUT_IT)
    _check_compression(file, information)
    files = tuple(_listed_file(folder, str(name)) for name in listed)
    unlisted = [path.name for path in _storage_files(folder) if path not in files]
    notes = (f"{', '.join(unlisted)} is not listed in {METADATA} and is left out",) if unlisted else ()
    custom = information.get("custom_data")
    note = str(custom.get("note", "")) if isinstance(custom, dict) else ""
    return BagFolder(files, _declared(file, information), notes, note)


def _check_compression(file: Path, information: Mapping[str, Any]) -> None:
    mode = str(information.get("compression_mode") or "none").lower()
    form = str(information.get("compression_format") or "").lower()
    if mode != "none" and form not in ("", "zstd"):
        raise DataError(
            file, f"says that the bag is compressed with {form}; only zstd can be read", "use `ros2 bag convert`"
        )


def _listed_file(folder: Path, name: str) -> Path:
    # Old versions list paths that begin with the folder, on Windows with backslashes. A recorder that compresses a file
    # at its end, and is killed before, lists a name without the compressed file's suffix.
    path = folder / PureWindowsPath(name).name
    uncompressed = path.with_suffix("") if path.suffix in ZSTD_SUFFIXES else path
    for candidate in (
        path,
        *(uncompressed.with_name(uncompressed.name + suffix) for suffix in ZSTD_SUFFIXES),
        uncompressed,
    ):
        if candidate.is_file():
            return candidate
    present = listed([file.name for file in _storage_files(folder)]) or "no other"
    raise DataError(
        path,
        f"is missing, though {METADATA} lists it (the folder has {present})",
        f"copy it there; to continue without it, remove it from {METADATA}",
    )


def _declared(file: Path, information: Mapping[str, Any]) -> dict[str, DeclaredTopic]:
    topics: dict[str, DeclaredTopic] = {}
    entries = information.get("topics_with_message_count") or []
    for entry in entries if isinstance(entries, list) else []:
        values = entry.get("topic_metadata") if isinstance(entry, dict) else None
        if not isinstance(values, dict) or not isinstance(values.get("name"), str) or "type" not in values:
            raise DataError(file, "has a topic without name or type", _WITHOUT_IT)
        name, count = values["name"], entry.get("message_count")
        profiles: tuple[Qos, ...] | None = None
        if "offered_qos_profiles" in values:
            profiles = recorded_profiles(values["offered_qos_profiles"], f"{file}, offered_qos_profiles of {name}")
        topics[name] = DeclaredTopic(
            str(values["type"]),
            count if isinstance(count, int) else 0,
            profiles,
            str(values.get("type_description_hash") or ""),
        )
    return topics


def recording(folder: Path, files: Iterable[Path]) -> list[Path]:
    """Return a recording's storage files in the order of their numbers.

    Args:
        folder: where they are, for messages only.
        files: all storage files there, at least one.

    Raises:
        DataError: they belong to several recordings, or one is missing between them.
    """
    files = sorted(files, key=lambda file: (_number(file), file.name))
    bases = {_NUMBER.sub("", _stem(file)) for file in files}
    names = listed([file.name for file in files])
    if len(bases) > 1 or len({storage_suffix(file) for file in files}) > 1:
        raise DataError(folder, f"has no {METADATA} and several recordings ({names})", "give one of these files")
    numbers = [_number(file) for file in files]
    if numbers != list(range(numbers[0], numbers[0] + len(files))):
        raise DataError(folder, f"has no {METADATA} and lacks files of its recording ({names})", "copy them there")
    return files


def _without_metadata(folder: Path) -> BagFolder:
    files = _storage_files(folder)
    if not files:
        raise _no_bag(folder)
    files = recording(folder, files)
    names = listed([file.name for file in files])
    return BagFolder(tuple(files), notes=(f"has no {METADATA}, so the recorder may have been killed; read {names}",))


def _no_bag(folder: Path) -> DataError:
    below = sorted(path.parent.name for path in folder.glob(f"*/{METADATA}"))
    if below:
        return DataError(folder, "is a folder of bags, not a bag", f"bags in it: {listed(below)}")
    old = sorted(folder.glob("*.bag"))
    if old:
        return DataError(folder, f"holds bags of ROS 1 ({listed([file.name for file in old])})", convert_ros1(old[0]))
    return DataError(folder, f"is not a rosbag2 folder (no {METADATA}, no .mcap or .db3 file)", _KINDS)


def _storage_files(folder: Path) -> list[Path]:
    with reading(folder):
        return sorted(file for file in folder.iterdir() if storage_suffix(file) and not file.name.startswith("."))


def _number(file: Path) -> int:
    match = _NUMBER.search(_stem(file))
    return int(match[1]) if match else -1


def _stem(file: Path) -> str:
    return file.name.partition(storage_suffix(file))[0]
