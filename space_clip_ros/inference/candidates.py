"""Which backends to try for a file, on which devices, the fastest first."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

from space_clip_ros.errors import BackendError
from space_clip_ros.inference import model_files
from space_clip_ros.inference.registry import BackendFactory, backend_factories

_DEVICE_NAMES = {"cuda": "a GPU", "cpu": "the CPU"}


class Candidate(NamedTuple):
    """What to try.

    Attributes:
        factory: the backend.
        device: auto (if the file is for one), cpu, cuda or cuda:N.
        file: another file of the same model, which this backend runs faster; None for the one that was asked for.
    """

    factory: BackendFactory
    device: str
    file: Path | None = None


def candidates(backend: str, device: str, file: Path) -> list[Candidate]:
    """Return what to try for a file, in order; at least one.

    Args:
        backend: auto, or the name of a registered backend.
        device: auto, cpu, cuda or cuda:N.
        file: an exported graph, a checkpoint or a package.

    Raises:
        BackendError: the backend does not run this kind of file, or not on this device.
    """
    factories = backend_factories()
    fitting = (factory for factory in factories.values() if file.suffix in factory.suffixes)
    able = sorted(fitting, key=lambda factory: factory.rank)
    if backend == "auto":
        others = (factory for factory in factories.values() if factory not in able)
        able = [factory for factory in others if factory.also_runs(file)] + able
        tried = [Candidate(factory, place) for factory in able for place in factory.devices_for(device, file)]
        if not tried:
            raise BackendError(f"device {device}", f"no backend runs {file} on it", "give device auto")
        # every GPU comes before the CPU
        return sorted(tried, key=lambda candidate: candidate.device == "cpu")
    chosen = factories[backend]
    if chosen not in able:
        raise _wrong_kind(backend, able, file)
    tried = [Candidate(chosen, place) for place in chosen.devices_for(device, file)]
    if not tried:
        runs_on = " and ".join(_DEVICE_NAMES[place] for place in chosen.devices)
        devices = " or ".join(("auto", *chosen.devices))
        raise BackendError(f"backend {backend}", f"runs on {runs_on}, not on device {device}", f"give device {devices}")
    if chosen.substitute is not None and importlib.util.find_spec(chosen.package) is None:
        tried += [Candidate(chosen.substitute, place) for place in chosen.substitute.devices_for(device, file)]
    return tried


def _wrong_kind(backend: str, able: list[BackendFactory], file: Path) -> BackendError:
    other_file = "a checkpoint" if model_files.is_graph(file) else "an .onnx file made with 'space_clip export'"
    # the last one is the one that needs no GPU
    remedy = f"give backend {able[-1].name} or auto, or {other_file}"
    return BackendError(f"backend {backend}", f"cannot run {file}", remedy)
