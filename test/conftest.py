"""Fixtures every test may use; what is missing on a user's machine skips with its reason."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A shell starts background jobs with SIGINT ignored, and every process a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def project_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference numbers and the sample drive: ``$SPACE_CLIP_SHARED``, else ``../shared``."""
    folder = Path(os.environ.get("SPACE_CLIP_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set SPACE_CLIP_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def reference_dir(shared_dir: Path) -> Path:
    return shared_dir / "reference"


@pytest.fixture(scope="session")
def kitti_drive_dir(shared_dir: Path) -> Path:
    """The sample of a real KITTI drive: 48 frames with scans."""
    return shared_dir / "kitti_sample" / "2011_09_26" / "2011_09_26_drive_9001_sync"


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., Any]:
    """Makes small models with random weights (``tiny_model.py``), the same ones every time."""
    return _beside("tiny_model").tiny_model


@pytest.fixture()
def fake_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A GPU with TensorRT 10.3 that is none (``fake_gpu.py``), and an empty cache of engines."""
    module = _beside("fake_gpu")
    for name in ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    gpu = module.Gpu()
    gpu.install("10.3.0")
    yield gpu
    gpu.remove()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition; fail with its name, and only after a generous time."""

    def wait(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s:g} s in vain for {what}"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium or Chrome: ``$SPACE_CLIP_BROWSER``, else what is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "chromium-headless-shell")
    program = os.environ.get("SPACE_CLIP_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium or Chrome found; install one (apt install chromium) or set SPACE_CLIP_BROWSER")
    browser = _beside("browser").Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


def _beside(name: str) -> Any:
    """Return a module of this folder, which is no package."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "test" / f"{name}.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
