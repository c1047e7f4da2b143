"""The DDS profile that is shipped, where it fits, and domains that nobody uses."""

from __future__ import annotations

import os
import socket
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from space_clip_ros.ros.common import dds

MB = 1 << 20
SPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


@pytest.fixture
def profile(project_root: Path) -> Path:
    return project_root / "config" / "fastdds.xml"


def segment(profile: Path) -> int:
    element = ElementTree.parse(profile).getroot().find(f".//{SPACE}segment_size")
    assert element is not None and element.text is not None
    return int(element.text)


def test_the_shipped_profile_has_64_mb_segments_and_udp(profile: Path) -> None:
    root = ElementTree.parse(profile).getroot()
    kinds = [item.text for item in root.iterfind(f".//{SPACE}transport_descriptor/{SPACE}type")]
    described = {item.text for item in root.iterfind(f".//{SPACE}transport_descriptor/{SPACE}transport_id")}
    used = {item.text for item in root.iterfind(f".//{SPACE}userTransports/{SPACE}transport_id")}
    assert segment(profile) == 64 * MB
    assert kinds == ["SHM", "UDPv4"]
    assert described == used
    assert root.find(f".//{SPACE}participant[@is_default_profile='true']") is not None


def test_with_room_the_shipped_profile_is_used_as_it_is(profile: Path, tmp_path: Path) -> None:
    assert dds.fit_profile(profile, 4, 1024 * MB, tmp_path)[0] == profile
    assert dds.fit_profile(profile, 4, None, tmp_path)[0] == profile
    assert not list(tmp_path.iterdir())


def test_without_room_the_segments_become_smaller(profile: Path, tmp_path: Path) -> None:
    fitted, note = dds.fit_profile(profile, 4, 64 * MB, tmp_path)
    assert fitted.parent == tmp_path
    assert segment(fitted) == int(64 * MB / 1.25 / 4)
    assert "64 MB" in note and "--shm-size" in note
    assert not dds.fits(profile, 4, 64 * MB)
    assert dds.fits(fitted, 4, 64 * MB)


def test_segments_never_become_too_small_for_an_image(profile: Path, tmp_path: Path) -> None:
    assert segment(dds.fit_profile(profile, 4, MB, tmp_path)[0]) == 4 * MB


@pytest.mark.parametrize(
    "distro, variable",
    [
        ("humble", dds.PROFILE_VARIABLES[1]),
        ("jazzy", dds.PROFILE_VARIABLES[1]),
        ("kilted", dds.PROFILE_VARIABLES[0]),
        ("rolling", dds.PROFILE_VARIABLES[0]),
    ],
)
def test_the_variable_of_the_release_in_use_is_set(distro: str, variable: str, profile: Path) -> None:
    environment = dds.profile_environment({"ROS_DISTRO": distro}, profile)
    assert environment == {variable: str(profile)}


def test_the_dds_in_use_gets_its_profile(profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dds, "free_shared_memory", lambda: None)
    cyclone = {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    assert dds.PROFILE_VARIABLES[0] in dds.shipped_environment({"ROS_DISTRO": "kilted"}, profile.parent, 2)
    assert dds.shipped_environment(cyclone, profile.parent, 2) == {
        "CYCLONEDDS_URI": (profile.parent / "cyclonedds.xml").as_uri()
    }
    assert dds.shipped_environment({**cyclone, "CYCLONEDDS_URI": "mine"}, profile.parent, 2) == {}


@pytest.mark.parametrize("own, note", [("", "cyclonedds.xml"), ("file:///mine.xml", "file:///mine.xml (your own)")])
def test_a_run_on_cyclone_uses_its_profile(
    own: str, note: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    monkeypatch.setenv("CYCLONEDDS_URI", own)
    assert dds.prepare_environment(tmp_path, 3).endswith(note)
    assert os.environ["CYCLONEDDS_URI"].endswith(own or "config/cyclonedds.xml")


@pytest.mark.parametrize("variable", dds.PROFILE_VARIABLES)
def test_a_profile_of_the_users_own_stays(variable: str, profile: Path) -> None:
    assert dds.own_profile({variable: "/mine.xml"}) == "/mine.xml"
    assert dds.profile_environment({variable: "/mine.xml"}, profile) == {}


def test_a_domain_somebody_listens_on_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("", 0))
        assert not dds._free_port(busy.getsockname()[1])
    assert 1 <= dds.unused_domain() <= 101


def test_the_environment_is_completed_and_what_is_set_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = (*dds.PROFILE_VARIABLES, "RMW_IMPLEMENTATION")
    for name in (*changed, "ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        # Set and then deleted, so that what the call sets is undone at the end as well.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    note = dds.prepare_environment(tmp_path, 3)
    assert "fastdds.xml" in note
    assert dds.own_profile(os.environ).endswith("fastdds.xml")
    assert 1 <= int(os.environ["ROS_DOMAIN_ID"]) <= 101
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    monkeypatch.setenv(dds.PROFILE_VARIABLES[0], "mine.xml")
    assert dds.prepare_environment(tmp_path, 3) == "mine.xml (your own)"
    assert os.environ["ROS_DOMAIN_ID"] == "7"
