"""The number of threads: physical cores, and the CPU quotas of cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from space_clip_ros.inference.threads import thread_count


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight hardware threads on four cores, no quota."""
    for cpu in range(8):
        write(tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", f"{cpu % 4},{cpu % 4 + 4}")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n", encoding="ascii")


def limit_v1(folder: Path, quota_us: int, period_us: int = 100_000) -> None:
    write(folder / "cpu.cfs_quota_us", str(quota_us))
    write(folder / "cpu.cfs_period_us", str(period_us))


def test_a_number_given_is_taken(machine: Path) -> None:
    assert thread_count(7, machine) == 7


def test_one_per_physical_core(machine: Path) -> None:
    assert thread_count(0, machine) == 4


def test_only_the_cpus_this_process_may_use(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5})
    assert thread_count(0, machine) == 1


def test_a_system_that_does_not_list_cores(machine: Path) -> None:
    assert thread_count(0, machine / "missing") == 8


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        *(("max 100000", 4), ("900000 100000", 4), ("300000 100000", 3), ("100000 50000", 2), ("50000 100000", 1)),
        *(("1000 100000", 1), ("?", 4), ("100000 0", 4), ("", 4)),
    ],
)
def test_version_2_in_a_container_that_sees_its_own_cgroup_as_the_root(
    machine: Path, quota: str, expected: int
) -> None:
    write(machine / "proc/self/cgroup", "0::/")
    write(machine / "sys/fs/cgroup/cpu.max", quota)
    assert thread_count(0, machine) == expected


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("max 100000", "200000 100000", 2),
        ("200000 100000", "max 100000", 2),
        ("100000 100000", "300000 100000", 1),
        ("300000 100000", "100000 100000", 1),
        ("50000 100000", "max 100000", 1),
    ],
)
def test_version_2_takes_the_smallest_quota_on_the_way_up(machine: Path, outer: str, inner: str, expected: int) -> None:
    """A systemd unit in a slice: the root itself has no cpu.max."""
    write(machine / "proc/self/cgroup", "0::/robot.slice/depth.service")
    write(machine / "sys/fs/cgroup/robot.slice/cpu.max", outer)
    write(machine / "sys/fs/cgroup/robot.slice/depth.service/cpu.max", inner)
    write(machine / "sys/fs/cgroup/robot.slice/other.service/cpu.max", "1000 100000")
    assert thread_count(0, machine) == expected


@pytest.mark.parametrize(("quota_us", "expected"), [(-1, 4), (0, 4), (200_000, 2), (50_000, 1)])
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1(machine: Path, mount: str, quota_us: int, expected: int) -> None:
    write(machine / "proc/self/cgroup", f"12:pids:/docker/4f2a\n4:{mount}:/docker/4f2a\n1:cpuset:/\n0::/")
    limit_v1(machine / "sys/fs/cgroup" / mount / "docker/4f2a", quota_us)
    limit_v1(machine / "sys/fs/cgroup/pids/docker/4f2a", 1000)
    assert thread_count(0, machine) == expected


def test_version_1_takes_the_smallest_quota_on_the_way_up(machine: Path) -> None:
    write(machine / "proc/self/cgroup", "4:cpu,cpuacct:/kubepods/pod1/c1")
    mount = machine / "sys/fs/cgroup/cpu,cpuacct"
    limit_v1(mount, -1)
    limit_v1(mount / "kubepods", 400_000)
    limit_v1(mount / "kubepods/pod1", 100_000, 50_000)
    limit_v1(mount / "kubepods/pod1/c1", -1)
    assert thread_count(0, machine) == 2


def test_version_1_in_a_container_whose_mount_begins_at_its_own_cgroup(machine: Path) -> None:
    """Docker without a cgroup namespace: the path is the host's, the folders below the mount are not there."""
    write(machine / "proc/self/cgroup", "4:cpuacct,cpu:/docker/4f2a")
    limit_v1(machine / "sys/fs/cgroup/cpu", 50_000)
    assert thread_count(0, machine) == 1


def test_both_versions_side_by_side(machine: Path) -> None:
    """systemd's hybrid layout: version 1 has the CPU controller, version 2 is mounted beside it."""
    write(machine / "proc/self/cgroup", "4:cpu,cpuacct:/a\n0::/a")
    limit_v1(machine / "sys/fs/cgroup/cpu/a", 200_000)
    write(machine / "sys/fs/cgroup/unified/a/cgroup.procs", "1")
    assert thread_count(0, machine) == 2


def test_a_process_that_was_moved_out_of_its_namespace(machine: Path) -> None:
    write(machine / "proc/self/cgroup", "0::/../../elsewhere")
    write(machine / "sys/fs/cgroup/cpu.max", "100000 100000")
    assert thread_count(0, machine) == 1


def test_here() -> None:
    assert 1 <= thread_count() <= (os.cpu_count() or 1)
