"""The inference backends: each file in ``backends/`` registers one, without importing its library."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from space_clip_ros.inference import backends
from space_clip_ros.inference.backend import Backend


@dataclass(frozen=True)
class OpenRequest:
    """A request to open a model. Each backend reads the fields that concern it.

    Attributes:
        file: an exported graph or a checkpoint.
        device: auto, cpu, cuda or cuda:N, as far as :attr:`BackendFactory.devices` allows.
        precision: one of :data:`space_clip_ros.config.PRECISIONS`.
        threads: CPU threads; 0 for one per physical core.
        thread_spinning: CPU threads wait for each other by spinning while an image runs.
        fallback: opens the next backend of ``auto``, for images that this one cannot run; None if the user chose the
            backend, or if there is no other.
        alternative: whether another backend or device is tried if this one does not open.
    """

    file: Path
    device: str
    precision: str
    threads: int
    thread_spinning: bool
    fallback: Callable[[], Backend] | None = None
    alternative: bool = False


Opener = Callable[[OpenRequest], Backend]


@dataclass(frozen=True)
class BackendFactory:
    """Describes one backend, and opens models with it.

    Attributes:
        name: value of the parameter ``backend``; the same as the name of the file that registers it.
        suffixes: endings of the model files that it runs.
        also_runs: whether ``auto`` tries it for a file with another ending.
        devices: what to try for device auto, in this order: cuda, cpu. A device of another kind is refused.
        has_own_device: whether a file says itself for which device it is; device auto is then passed on.
        rank: ``auto`` tries lower ranks first.
        package: the Python package that it needs.
        install: what ``pip install`` takes to get that package.
        load: imports the library and returns a function that opens a file.
        runs_on_opening: whether opening itself runs an image on a GPU; if not, it is done after it.
        substitute: replaces this backend if the user chose it and its package is not installed.
    """

    name: str
    suffixes: tuple[str, ...]
    devices: tuple[str, ...]
    rank: int
    package: str
    install: str
    load: Callable[[], Opener]
    substitute: BackendFactory | None = None
    runs_on_opening: bool = False
    also_runs: Callable[[Path], bool] = lambda file: False
    has_own_device: Callable[[Path], bool] = lambda file: False

    def devices_for(self, device: str, file: Path) -> tuple[str, ...]:
        """Return the devices to try for the user's ``device``, in order; empty if the backend does not run there."""
        if device == "auto":
            return ("auto",) if self.has_own_device(file) else self.devices
        return (device,) if device.partition(":")[0] in self.devices else ()


_FACTORIES: dict[str, BackendFactory] = {}


def register(factory: BackendFactory) -> None:
    """Add a backend, or replace the one of the same name."""
    _FACTORIES[factory.name] = factory


def backend_factories() -> Mapping[str, BackendFactory]:
    """Return every registered backend by name, in alphabetical order."""
    for module in pkgutil.iter_modules(backends.__path__):
        importlib.import_module(f"{backends.__name__}.{module.name}")
    return dict(sorted(_FACTORIES.items()))
