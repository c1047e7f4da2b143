"""DDS settings: a profile that carries whole images without delay, and an unused domain."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from space_clip_ros.files import shared_file, write_whole
from space_clip_ros.ros.common.release import ros_release

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""The variable's name since Fast DDS 3, and its old one."""

_CYCLONE = "rmw_cyclonedds_cpp"
_CYCLONE_VARIABLE = "CYCLONEDDS_URI"
_FAST_DDS_2 = ("humble", "iron", "jazzy")
_SEGMENT = re.compile(r"(?<=<segment_size>)\s*(\d+)\s*(?=</segment_size>)")
_SMALLEST_SEGMENT = 4 << 20
# Ports and other users of the shared memory need some of it too.
_ROOM = 1.25
_LAST_DOMAIN = 101
_TRIES = 200


def shipped_environment(environment: Mapping[str, str], config: Path, participants: int) -> dict[str, str]:
    """Return the variables that make the DDS in use carry whole images and clouds; none if the user has set their own.

    Args:
        environment: of the processes to be started; ``RMW_IMPLEMENTATION`` names the DDS, Fast DDS if it is not set.
        config: folder of ``fastdds.xml`` and ``cyclonedds.xml``.
        participants: processes that will use DDS; nothing is set if Fast DDS lacks the shared memory for them.
    """
    if environment.get("RMW_IMPLEMENTATION") == _CYCLONE:
        own = environment.get(_CYCLONE_VARIABLE)
        return {} if own else {_CYCLONE_VARIABLE: (config / "cyclonedds.xml").resolve().as_uri()}
    profile = config / "fastdds.xml"
    return profile_environment(environment, profile) if fits(profile, participants, free_shared_memory()) else {}


def profile_environment(environment: Mapping[str, str], profile: Path) -> dict[str, str]:
    """Return the variables that make Fast DDS read ``profile``; none if the user has set a profile of their own.

    Other DDS implementations ignore them. Newer releases warn about the old name, so only older ones get it.
    """
    if own_profile(environment):
        return {}
    new, old = PROFILE_VARIABLES
    return {old if ros_release(environment) in _FAST_DDS_2 else new: str(profile)}


def prepare_environment(folder: Path, participants: int) -> str:
    """Set up DDS in this process's environment, which its children inherit; return which DDS profile is used.

    Variables that the user has set stay. The domain is random, so that two runs do not hear each other.

    Args:
        folder: where a profile that fits this machine is written, if the shipped one does not.
        participants: processes that will use DDS.

    Raises:
        DataError: the shipped profile is missing.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(unused_domain()))
    # Such a run must not reach other hosts. Humble ignores this variable.
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    shipped = shared_file("config/fastdds.xml")
    if os.environ.get("RMW_IMPLEMENTATION") == _CYCLONE:
        own = os.environ.get(_CYCLONE_VARIABLE, "")
        os.environ.update(shipped_environment(os.environ, shipped.parent, participants))
        return f"{own} (your own)" if own else os.environ[_CYCLONE_VARIABLE]
    own = own_profile(os.environ)
    if own:
        return f"{own} (your own)"
    profile, note = fit_profile(shipped, participants, free_shared_memory(), folder.resolve())
    os.environ.update(profile_environment(os.environ, profile))
    return note


def own_profile(environment: Mapping[str, str]) -> str:
    """Return the profile that the user has set; empty if none."""
    return next((environment[name] for name in PROFILE_VARIABLES if environment.get(name)), "")


def fit_profile(profile: Path, participants: int, free_bytes: int | None, folder: Path) -> tuple[Path, str]:
    """Return a profile whose shared-memory segments fit, and one line about it.

    Without enough room Fast DDS falls back to UDP, which loses most images; containers have 64 MB by default.

    Args:
        profile: the shipped profile.
        participants: how many segments there will be.
        free_bytes: free shared memory; None if unknown.
        folder: where a copy with smaller segments is written.
    """
    text = profile.read_text(encoding="utf-8")
    segment = _SEGMENT.search(text)
    if segment is None or fits(profile, participants, free_bytes):
        return profile, str(profile)
    size = max(int((free_bytes or 0) / _ROOM / participants), _SMALLEST_SEGMENT)
    fitted = folder / profile.name
    write_whole(fitted, _SEGMENT.sub(str(size), text).encode())
    return fitted, (
        f"{fitted} ({size >> 20} MB segments: only {(free_bytes or 0) >> 20} MB of shared memory are free; in Docker, "
        "--shm-size=1g gives more)"
    )


def fits(profile: Path, participants: int, free_bytes: int | None) -> bool:
    """Return whether a profile's segments fit into the shared memory; True if that is unknown."""
    segment = _SEGMENT.search(profile.read_text(encoding="utf-8"))
    return segment is None or free_bytes is None or free_bytes >= int(segment[1]) * participants * _ROOM


def free_shared_memory() -> int | None:
    """Return the free bytes of ``/dev/shm``; None if it does not exist."""
    memory = Path("/dev/shm")
    return shutil.disk_usage(memory).free if memory.is_dir() else None


def unused_domain() -> int:
    """Return a random ROS domain whose discovery ports are free on this machine.

    DDS uses UDP ports 7400 + 250 * domain and up; domains up to 101 stay below Linux's ephemeral ports.
    """
    generator = random.SystemRandom()
    for _ in range(_TRIES):
        domain = generator.randint(1, _LAST_DOMAIN)
        if is_unused(domain):
            return domain
    return generator.randint(1, _LAST_DOMAIN)


def is_unused(domain: int) -> bool:
    """Return whether nobody on this machine listens on the first discovery ports of a ROS domain."""
    return all(_free_port(7400 + 250 * domain + offset) for offset in (0, 10, 12, 14))


def _free_port(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
