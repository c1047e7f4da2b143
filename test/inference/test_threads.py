"""The number of threads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from space_clip_ros.inference import threads


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four hardware threads on two cores, no quota."""
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        topology = tmp_path / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{siblings}\n", encoding="ascii")
    monkeypatch.setattr(threads, "_CPUS", tmp_path)
    monkeypatch.setattr(threads, "_CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    return tmp_path


def test_a_number_given_is_taken(machine: Path) -> None:
    assert threads.thread_count(7) == 7


def test_one_per_physical_core(machine: Path) -> None:
    assert threads.thread_count() == 2


def test_only_the_cpus_this_process_may_use(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3})
    assert threads.thread_count() == 1


def test_a_system_that_does_not_list_cores(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_CPUS", machine / "missing")
    assert threads.thread_count() == 4


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 2), ("100000 100000", 1), ("30000 100000", 1), ("?", 2)]
)
def test_a_containers_quota(machine: Path, quota: str, expected: int) -> None:
    (machine / "cpu.max").write_text(quota, encoding="ascii")
    assert threads.thread_count() == expected


def test_here() -> None:
    assert 1 <= threads.thread_count() <= (os.cpu_count() or 1)
