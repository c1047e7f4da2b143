"""ROS 2's variables and the DDS settings in effect."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.tools.doctor import ros
from space_clip_ros.tools.doctor.facts import Fact

EVERY = [*ros._SHOWN, *ros._ONLY_WHETHER_SET, *ros.PROFILE_VARIABLES, "CYCLONEDDS_URI"]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in EVERY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def by_name(facts: list[Fact]) -> dict[str, Fact]:
    return {fact.name: fact for fact in facts}


def test_without_ros(broken: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros, "ros_release", lambda environment: "")
    broken("rclpy", "raise ModuleNotFoundError('No module named rclpy', name='rclpy')")
    facts = by_name(list(ros.ros()))
    assert (facts["release"].value, facts["release"].text) == (None, "none")
    assert facts["rclpy"].shown == "not installed (rclpy)"


def test_what_is_sourced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[str, str], None]) -> None:
    broken("rclpy", "raise ImportError('librcl.so: cannot open shared object file')")
    index = tmp_path / "share" / "ament_index" / "resource_index" / "rmw_typesupport"
    index.mkdir(parents=True)
    (index / "rmw_cyclonedds_cpp").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "humble")
    facts = by_name(list(ros.ros()))
    assert facts["release"].text == "humble, sourced"
    assert "rmw_cyclonedds_cpp" in facts["rmw_installed"].value
    assert "cannot be loaded" in facts["rclpy"].problem


def test_addresses_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_STATIC_PEERS", "10.1.2.3")
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    (fact,) = ros.variables()
    assert fact.value == {"ROS_DOMAIN_ID": "42", "ROS_STATIC_PEERS": "set"}


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("ROS_LOCALHOST_ONLY", "1", "no other machine is heard"),
        ("ROS_LOCALHOST_ONLY", "0", ""),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "localhost", "RANGE is LOCALHOST: no other machine is heard"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET", ""),
    ],
)
def test_settings_that_keep_machines_apart(name: str, value: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    (fact,) = ros.variables()
    assert advice in fact.advice and bool(advice) == bool(fact.advice)


def test_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros, "free_shared_memory", lambda: 1 << 30)
    (fact,) = ros.profiles()
    assert "it fits" in fact.text and not fact.advice
    monkeypatch.setattr(ros, "free_shared_memory", lambda: 64 << 20)
    (fact,) = ros.profiles()
    assert "no room" in fact.text and "--shm-size=1g" in fact.advice


def test_fast_dds_profiles(tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros, "free_shared_memory", lambda: 1 << 30)
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(project_root / "config" / "fastdds.xml"))
    shutil.copy(project_root / "config" / "fastdds.xml", tmp_path / "DEFAULT_FASTRTPS_PROFILES.xml")
    facts = by_name(list(ros.profiles()))
    shipped = facts["fastdds_default_profiles_file"]
    assert shipped.text == "fastdds.xml (this package's): SHM, UDPv4, segments of 64 MiB"
    assert shipped.value["segment_bytes"] == [64 << 20]
    # Fast DDS reads such a file from wherever a program is started.
    assert facts["default_fastrtps_profiles.xml"].value["shipped"] is True

    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(tmp_path / "gone.xml"))
    missing = by_name(list(ros.profiles()))["fastdds_default_profiles_file"]
    assert missing.advice == "FASTDDS_DEFAULT_PROFILES_FILE names a file that cannot be read"


@pytest.mark.parametrize(
    ("value", "text", "advice"),
    [
        ("file://{config}/cyclonedds.xml", "cyclonedds.xml (this package's)", ""),
        ("{config}/fastdds.xml", "fastdds.xml", ""),
        ("<CycloneDDS><Peer address='10.1.2.3'/></CycloneDDS>", "inline XML of 51 characters", ""),
        ("file:///gone.xml", "gone.xml", "CYCLONEDDS_URI names a file that cannot be read"),
    ],
)
def test_cyclone_dds(value: str, text: str, advice: str, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLONEDDS_URI", value.format(config=project_root / "config"))
    (fact,) = ros.profiles()
    assert (fact.shown, fact.advice) == (text, advice)


@pytest.mark.parametrize(("rmem_max", "advised"), [(212992, True), (4194304, False), (2147483647, False)])
def test_the_kernels_buffers(tmp_path: Path, rmem_max: int, advised: bool) -> None:
    folder = tmp_path / "proc" / "sys" / "net" / "core"
    folder.mkdir(parents=True)
    (folder / "rmem_max").write_text(f"{rmem_max}\n", encoding="ascii")
    (fact,) = ros.kernel(tmp_path)
    assert fact.value == {"rmem_max": rmem_max}
    assert bool(fact.advice) is advised
