"""GPUs and Jetsons: a driver's library built with the C compiler, programs as scripts, and boards as files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from space_clip_ros.tools.doctor import gpu
from space_clip_ros.tools.doctor.facts import Fact

DRIVER = r"""
#include <string.h>
int cuInit(unsigned flags) { return %(init)d; }
int cuGetErrorString(int status, const char **text) { *text = "no CUDA-capable device is detected"; return 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Orin", size); return 0; }
int cuDeviceTotalMem_v2(unsigned long *bytes, int device) { *bytes = 8ul << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 16 ? 16 : -1;
    return 0;
}
"""


def by_name(facts: list[Fact]) -> dict[str, Fact]:
    return {fact.name: fact for fact in facts}


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    file.chmod(0o755)


def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: int) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "driver.c"
    source.write_text(DRIVER % {"init": init}, encoding="ascii")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", source], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))


def test_a_driver_and_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, init=0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("NVIDIA_VISIBLE_DEVICES", raising=False)
    facts = by_name(list(gpu.devices(tmp_path)))
    assert facts["variables"].value == {"CUDA_VISIBLE_DEVICES": "1"}
    assert facts["driver"].value == "12.6"
    assert facts["cuda_0"].text == "Orin, compute capability 8.7, 16 SMs, 8192 MiB"


@pytest.mark.parametrize("on_bus", [False, True])
def test_a_driver_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_bus: bool) -> None:
    driver(tmp_path, monkeypatch, init=100)
    vendor = tmp_path / "sys" / "bus" / "pci" / "devices" / "0" / "vendor"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("0x10de\n" if on_bus else "0x8086\n", encoding="ascii")
    facts = by_name(list(gpu.devices(tmp_path)))
    assert facts["on_pci_bus"].value == int(on_bus)
    assert "cuInit says no CUDA-capable device is detected (100)" in facts["driver"].problem
    assert ("its driver does not work" in facts["driver"].advice) is on_bus


def test_what_nvidia_smi_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    program(tmp_path, "nvidia-smi", "echo 'NVIDIA RTX A2000, 570.86.10, 6138 MiB, 8.6'")
    program(tmp_path, "nvcc", "echo 'Cuda compilation tools, release 12.6, V12.6.68'")
    (fact,) = gpu.nvidia_smi()
    assert fact.value[0]["driver_version"] == "570.86.10"
    assert fact.text == "NVIDIA RTX A2000, 570.86.10, 6138 MiB, 8.6"
    assert next(iter(gpu.toolkit())).value == "12.6"


def test_no_programs_of_nvidia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert next(iter(gpu.nvidia_smi())).text == "not installed"
    assert next(iter(gpu.toolkit())).text == "not installed, or not on PATH"


def test_a_jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (
        ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    program(tmp_path / "bin", "nvpmodel", "echo 'NV Power Mode: MAXN_SUPER'; echo 2")
    program(tmp_path / "bin", "dpkg-query", "echo no packages found matching nvidia-jetpack >&2; exit 1")
    facts = by_name(list(gpu.jetson(tmp_path)))
    assert facts["module"].value == "NVIDIA Jetson Orin Nano Developer Kit"
    assert facts["l4t"].value == "36.4.3"
    assert facts["power_mode"].value == "NV Power Mode: MAXN_SUPER 2"
    assert facts["jetpack"].problem == "dpkg-query: failed with status 1: no packages found matching nvidia-jetpack"


def test_another_board(tmp_path: Path) -> None:
    (fact,) = gpu.jetson(tmp_path)
    assert (fact.value, fact.text) == (None, "this is not a Jetson")
