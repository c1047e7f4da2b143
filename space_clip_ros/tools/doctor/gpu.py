"""Probes of NVIDIA's hardware and driver, and of a Jetson's own settings."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from space_clip_ros.tools.doctor.facts import Fact
from space_clip_ros.tools.doctor.programs import ProbeError, facts_of, output_of

_NVIDIA = "0x10de"
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
_QUERY = ("name", "driver_version", "memory.total", "compute_cap")


def devices(root: Path = Path("/")) -> Iterator[Fact]:
    """Find NVIDIA's devices: those on the bus, and those that its driver can use."""
    vendors = [file.read_text(encoding="ascii").strip() for file in root.glob("sys/bus/pci/devices/*/vendor")]
    on_bus = vendors.count(_NVIDIA)
    if chosen := {name: os.environ[name] for name in _VISIBLE if name in os.environ}:
        yield Fact("variables", chosen)
    yield Fact("on_pci_bus", on_bus, f"{on_bus} NVIDIA devices" if on_bus else "no NVIDIA device")
    try:
        driver = facts_of("library_facts", "cuda_driver")
    except ProbeError as error:
        advice = "an NVIDIA device is there, but its driver does not work" if on_bus else ""
        yield Fact("driver", problem=str(error), advice=advice)
        return
    if driver.get("missing"):
        advice = "an NVIDIA device is there, but its driver is not installed" if on_bus else ""
        yield Fact("driver", None, "not installed (no libcuda.so.1)", advice=advice)
        return
    yield Fact("driver", driver["cuda"], f"supports CUDA up to {driver['cuda']}")
    for index, device in enumerate(driver["devices"]):
        yield Fact(
            f"cuda_{index}",
            device,
            f"{device['name']}, compute capability {device['compute_capability']}, "
            f"{device['multiprocessors']} SMs, {device['memory_mib']} MiB",
        )


def nvidia_smi() -> Iterator[Fact]:
    """Find what ``nvidia-smi`` says about each GPU; it exists on few Jetsons."""
    if shutil.which("nvidia-smi") is None:
        yield Fact("nvidia_smi", None, "not installed")
        return
    text = output_of("nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader")
    rows = [dict(zip(_QUERY, (part.strip() for part in line.split(",")), strict=False)) for line in text.splitlines()]
    yield Fact("nvidia_smi", rows, "\n".join(", ".join(row.values()) for row in rows))


def toolkit() -> Iterator[Fact]:
    """Find the CUDA toolkit; only building needs it."""
    if shutil.which("nvcc") is None:
        yield Fact("cuda_toolkit", None, "not installed, or not on PATH")
        return
    release = re.search(r"release ([\d.]+)", output_of("nvcc", "--version"))
    yield Fact("cuda_toolkit", release[1] if release else None)


def jetson(root: Path = Path("/")) -> Iterator[Fact]:
    """Find a Jetson's module, its software and its power mode."""
    model = root / "proc/device-tree/model"
    name = model.read_text(encoding="utf-8", errors="replace").strip("\0\n ") if model.is_file() else ""
    release = root / "etc/nv_tegra_release"
    if not release.is_file() and not re.search("jetson|nvidia", name, re.IGNORECASE):
        yield Fact("module", None, "this is not a Jetson")
        return
    yield Fact("module", name or None)
    if release.is_file():
        yield Fact("l4t", _l4t(release.read_text(encoding="utf-8", errors="replace")))
    for fact, command in (
        ("jetpack", ("dpkg-query", "-W", "-f", "${Version}", "nvidia-jetpack")),
        ("power_mode", ("nvpmodel", "-q")),
    ):
        try:
            yield Fact(fact, " ".join(output_of(*command).split()))
        except ProbeError as error:
            yield Fact(fact, problem=str(error))


def _l4t(text: str) -> str:
    """Return ``36.4.3`` of ``# R36 (release), REVISION: 4.3, GCID: …``, else the first line."""
    release = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{release[1]}.{release[2]}" if release else text.partition("\n")[0]
