"""What the demo's processes share: an unused ROS domain and a DDS profile that carries pictures without delay."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from space_clip_ros.errors import DataError

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""The variable's name since Fast DDS 3, and its old one."""

_PACKAGE = "space_clip_ros"
_FAST_DDS_2 = ("humble", "iron", "jazzy")
_SEGMENT = re.compile(r"(?<=<segment_size>)\s*(\d+)\s*(?=</segment_size>)")
_SMALLEST_SEGMENT = 4 << 20
# Ports and other users of the shared memory need some of it too.
_ROOM = 1.25
_LAST_DOMAIN = 101
_TRIES = 200


def prepare_environment(
    environment: Mapping[str, str], participants: int, folder: Path
) -> tuple[dict[str, str], str, str]:
    """Return the environment of the demo's processes, and what DDS profile and domain they use.

    What the user has set stays: ``ROS_DOMAIN_ID``, ``ROS_AUTOMATIC_DISCOVERY_RANGE`` and both profile variables.

    Args:
        environment: the user's environment.
        participants: processes that will each hold a shared-memory segment.
        folder: where a profile is written if the shipped one does not fit this machine's shared memory.

    Returns:
        The environment, a line that says which profile is used, and the domain.

    Raises:
        DataError: the shipped profile is not installed.
    """
    prepared = dict(environment)
    prepared.setdefault("ROS_DOMAIN_ID", str(unused_domain()))
    # Nothing of a demo concerns other hosts. Humble does not know this variable, and does no harm by that.
    prepared.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    own = next((prepared[name] for name in PROFILE_VARIABLES if prepared.get(name)), None)
    if own is not None:
        return prepared, f"your own, {own}", prepared["ROS_DOMAIN_ID"]
    profile, note = fit_profile(shared_file("config/fastdds.xml"), participants, _free_shared_memory(), folder)
    new, old = PROFILE_VARIABLES
    # Newer releases warn of the old name, so it is set only where it is needed.
    prepared[old if environment.get("ROS_DISTRO") in _FAST_DDS_2 else new] = str(profile)
    return prepared, note, prepared["ROS_DOMAIN_ID"]


def fit_profile(profile: Path, participants: int, free_bytes: int | None, folder: Path) -> tuple[Path, str]:
    """Return a profile whose shared-memory segments fit, and a line that says so.

    Without the room Fast DDS gives shared memory up and most images are lost on the way over UDP; containers have
    64 MB by default.

    Args:
        profile: the shipped profile.
        participants: how many segments there will be.
        free_bytes: free shared memory; None where there is no telling.
        folder: where a copy with smaller segments is written.
    """
    text = profile.read_text(encoding="utf-8")
    found = _SEGMENT.search(text)
    if found is None or free_bytes is None:
        return profile, str(profile)
    wanted = int(found[1])
    if free_bytes >= wanted * participants * _ROOM:
        return profile, f"{profile} ({wanted >> 20} MB segments)"
    size = max(int(free_bytes / _ROOM / participants), _SMALLEST_SEGMENT)
    fitted = folder / profile.name
    fitted.write_text(_SEGMENT.sub(str(size), text), encoding="utf-8")
    return fitted, (
        f"{fitted} ({size >> 20} MB segments: only {free_bytes >> 20} MB of shared memory are free; in Docker, "
        "--shm-size=1g gives more)"
    )


def unused_domain() -> int:
    """Return a random ROS domain on whose discovery ports nobody on this machine listens.

    Fast DDS and Cyclone DDS use UDP ports 7400 + 250 * domain and up; domains up to 101 stay below Linux's ephemeral
    ports.
    """
    generator = random.SystemRandom()
    for _ in range(_TRIES):
        domain = generator.randint(1, _LAST_DOMAIN)
        if all(_free_port(7400 + 250 * domain + offset) for offset in (0, 10, 12, 14)):
            return domain
    return generator.randint(1, _LAST_DOMAIN)


def shared_file(name: str) -> Path:
    """Return a file that the package ships, such as ``config/fastdds.xml``: installed, or in the source tree.

    Raises:
        DataError: it is in neither place.
    """
    source = Path(__file__).resolve().parents[2]
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    *installed, python = (prefix / "share" / _PACKAGE for prefix in (*prefixes, Path(sys.prefix)))
    folders = [*installed, source, python]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{name}: not found in {', '.join(map(str, folders))}; install the package again")


def _free_port(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _free_shared_memory() -> int | None:
    memory = Path("/dev/shm")
    return shutil.disk_usage(memory).free if memory.is_dir() else None
