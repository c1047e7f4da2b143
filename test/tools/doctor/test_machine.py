"""The system, the processor and the memory: of this machine, and of others as files."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from space_clip_ros.inference.cpu import has_vnni
from space_clip_ros.tools.doctor import machine
from space_clip_ros.tools.doctor.facts import Fact


def by_name(facts: list[Fact]) -> dict[str, Fact]:
    return {fact.name: fact for fact in facts}


def test_this_machine() -> None:
    system, cpu = by_name(list(machine.system())), by_name(list(machine.cpu()))
    memory, shared = by_name(list(machine.memory())), by_name(list(machine.shared_memory()))
    assert system["python"].value == platform.python_version()
    assert cpu["vnni"].value == has_vnni()
    assert 1 <= cpu["model_threads"].value <= cpu["hardware_threads"].value <= (os.cpu_count() or 1)
    assert 0 < memory["available"].value <= memory["total"].value
    assert shared["shm"].value["total"] > 0


MEMINFO = """MemTotal:       8000000 kB
MemAvailable:   3000000 kB
SwapTotal:       500000 kB
SwapFree:             0 kB
"""


@pytest.mark.parametrize(
    ("file", "text", "limit"),
    [
        ("memory.max", "max\n", None),
        ("memory.max", "2147483648\n", 2 << 30),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        (None, "", None),
    ],
)
def test_a_containers_limit(tmp_path: Path, file: str | None, text: str, limit: int | None) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(MEMINFO, encoding="ascii")
    if file:
        path = tmp_path / "sys" / "fs" / "cgroup" / file
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="ascii")
    facts = by_name(list(machine.memory(tmp_path)))
    assert facts["total"].value == 8000000 * 1024
    assert facts["swap"].text == "488 MiB, 0 KiB free"
    assert facts["container_limit"].value == limit


def test_what_fast_dds_left_in_the_shared_memory(tmp_path: Path) -> None:
    folder = tmp_path / "dev" / "shm"
    folder.mkdir(parents=True)
    (folder / "fastrtps_1").write_bytes(bytes(2048))
    (folder / "other").write_bytes(bytes(9))
    facts = by_name(list(machine.shared_memory(tmp_path)))
    assert (facts["shm_of_fast_dds"].value, facts["shm_of_fast_dds"].text) == (2048, "2 KiB in 1 files")


@pytest.mark.parametrize(
    ("file", "kind"), [(".dockerenv", "docker"), ("run/.containerenv", "podman"), (None, "none found")]
)
def test_containers(tmp_path: Path, file: str | None, kind: str) -> None:
    if file:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert by_name(list(machine.system(tmp_path)))["container"].value == kind
