"""Probes of ROS 2 and its DDS settings. They need no rclpy."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from space_clip_ros.errors import SpaceClipError
from space_clip_ros.files import shared_file
from space_clip_ros.ros.common.dds import PROFILE_VARIABLES, fits, free_shared_memory
from space_clip_ros.ros.common.release import ros_release
from space_clip_ros.tools.doctor.facts import Fact, size
from space_clip_ros.tools.doctor.libraries import loaded

_CYCLONE = "CYCLONEDDS_URI"
_SHOWN = (
    *("ROS_DISTRO", "ROS_DOMAIN_ID", "ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE", "RMW_IMPLEMENTATION"),
    *("ROS_SECURITY_ENABLE", "ROS_SUPER_CLIENT", "RMW_FASTRTPS_PUBLICATION_MODE", "RMW_FASTRTPS_USE_QOS_FROM_XML"),
    *("FASTDDS_BUILTIN_TRANSPORTS", "SKIP_DEFAULT_XML"),
)
_ONLY_WHETHER_SET = ("ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER")
"""Variables whose values are addresses and so private."""
_FOUND_IN_FOLDER = ("DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml")
"""Files that Fast DDS reads from the working folder, the newer name first."""
_KERNEL = (
    *("net/core/rmem_max", "net/core/rmem_default", "net/core/wmem_max"),
    *("net/ipv4/ipfrag_time", "net/ipv4/ipfrag_high_thresh"),
)
_WHEEL = re.compile(r"ros-(rmw-\w+-cpp)")
_ENOUGH_FOR_AN_IMAGE = 4 << 20
_PROCESSES = 3


def ros() -> Iterator[Fact]:
    """Find the ROS 2 release, its DDS implementations, and the variables that control discovery."""
    release = ros_release(os.environ)
    sourced = bool(os.environ.get("ROS_DISTRO"))
    yield Fact("release", release or None, f"{release}, {'sourced' if sourced else 'as wheels'}" if release else "none")
    yield Fact("rmw_installed", _installed_rmws())
    yield from loaded("rclpy", "rclpy")()


def variables() -> Iterator[Fact]:
    """Find the environment variables that ROS 2 and Fast DDS read."""
    values = {name: os.environ[name] for name in _SHOWN if os.environ.get(name)}
    values.update({name: "set" for name in _ONLY_WHETHER_SET if os.environ.get(name)})
    yield Fact("variables", values, advice=_discovery_advice(os.environ))


def profiles() -> Iterator[Fact]:
    """Find the DDS profile in effect, and whether it fits this machine."""
    shipped = shared_file("config/fastdds.xml")
    own = {name: os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)}
    for name, value in own.items():
        yield _fast_dds_profile(name, Path(value), shipped)
    for name in _FOUND_IN_FOLDER:
        if Path(name).is_file():
            yield _fast_dds_profile(name, Path(name), shipped)
    cyclone = os.environ.get(_CYCLONE, "")
    if cyclone:
        yield _cyclone_profile(cyclone)
    if not own and not cyclone:
        room = fits(shipped, _PROCESSES, free_shared_memory())
        yield Fact(
            "profile",
            None,
            f"none set: launch files and commands set this package's ({'it fits' if room else 'no room for it'}), "
            "ros2 run sets none",
            advice=""
            if room
            else "/dev/shm has no room for this package's Fast DDS profile: docker run --shm-size=1g gives more",
        )


def kernel(root: Path = Path("/")) -> Iterator[Fact]:
    """Find the kernel's limits on receiving from the network."""
    limits = {}
    for name in _KERNEL:
        file = root / "proc/sys" / name
        if file.is_file():
            limits[name.rpartition("/")[2]] = int(file.read_text(encoding="ascii"))
    small = limits.get("rmem_max", _ENOUGH_FOR_AN_IMAGE) < _ENOUGH_FOR_AN_IMAGE
    yield Fact(
        "kernel",
        limits,
        advice=f"rmem_max is {size(limits['rmem_max'])}, less than an image: over the network, and with Cyclone DDS, "
        "images are lost (sudo sysctl -w net.core.rmem_max=2147483647)"
        if small
        else "",
    )


def _installed_rmws() -> list[str]:
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    index = "share/ament_index/resource_index/rmw_typesupport"
    sourced = {file.name for prefix in prefixes for file in Path(prefix, index).glob("rmw_*")}
    names = (str(distribution.metadata["Name"]) for distribution in importlib.metadata.distributions())
    wheels = {match[1].replace("-", "_") for name in names if (match := _WHEEL.fullmatch(name.replace("_", "-")))}
    return sorted(sourced | wheels)


def _discovery_advice(environment: Mapping[str, str]) -> str:
    if environment.get("ROS_LOCALHOST_ONLY") == "1":
        return "ROS_LOCALHOST_ONLY is 1: no other machine is heard"
    discovery = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper()
    if discovery in ("OFF", "LOCALHOST"):
        return f"ROS_AUTOMATIC_DISCOVERY_RANGE is {discovery}: no other machine is heard"
    return ""


def _fast_dds_profile(name: str, file: Path, shipped: Path) -> Fact:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return Fact(
            name.lower(), {"file": file.name, "readable": False}, advice=f"{name} names a file that cannot be read"
        )
    shipped_one = text == shipped.read_text(encoding="utf-8")
    transports = re.findall(r"<type>\s*([\w]+)\s*</type>", text)
    segments = [int(digits) for digits in re.findall(r"<segment_size>\s*(\d+)\s*</segment_size>", text)]
    room = fits(file, _PROCESSES, free_shared_memory())
    described = ", ".join(transports) or "default transports"
    if segments:
        described += f", segments of {', '.join(map(size, segments))}"
    return Fact(
        name.lower(),
        {"file": file.name, "shipped": shipped_one, "transports": transports, "segment_bytes": segments},
        f"{_named(file, shipped_one)}: {described}",
        advice="" if room else f"/dev/shm has no room for the segments of {file.name}: docker run --shm-size=1g",
    )


def _named(file: Path, shipped: bool) -> str:
    return f"{file.name} (this package's)" if shipped else file.name


def _cyclone_profile(value: str) -> Fact:
    """Describe the settings by the file's name alone, because they may contain addresses."""
    if value.lstrip().startswith("<"):
        return Fact("cyclonedds_uri", "inline XML", f"inline XML of {len(value)} characters")
    path = Path(unquote(urlsplit(value).path)) if value.startswith("file:") else Path(value)
    try:
        shipped = path.read_bytes() == shared_file("config/cyclonedds.xml").read_bytes()
    except OSError:
        return Fact("cyclonedds_uri", path.name, advice="CYCLONEDDS_URI names a file that cannot be read")
    except SpaceClipError:
        shipped = False
    return Fact("cyclonedds_uri", path.name, _named(path, shipped))
