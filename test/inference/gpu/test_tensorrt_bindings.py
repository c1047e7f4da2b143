"""Every call to TensorRT, made through its real Python bindings of several releases over a stub of its library.

The bindings are small wheels, fetched once into the environment's folder (or ``$SPACE_CLIP_TENSORRT_BINDINGS``); the
library itself, over a gigabyte, is not there. So this proves that every call exists and takes our arguments, and that
our code reads the answers right; what TensorRT computes is another matter.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

# JetPack 6.1 and 6.2, 7.0 and 7.1, 7.2, and the newest.
RELEASES = (
    ("tensorrt-cu12-bindings", "10.3.0"),
    ("tensorrt-cu12-bindings", "10.13.3.9"),
    ("tensorrt-cu13-bindings", "10.16.1.11"),
    ("tensorrt-cu13-bindings", "11.4.0.106"),
)


@pytest.fixture(scope="module")
def stub(project_root: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("tensorrt_stub", project_root / "test" / "tensorrt_stub.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def bindings(package: str, version: str) -> Path:
    """Return the folder that holds a release's bindings; fetch them if they are not there yet."""
    cache = Path(os.environ.get("SPACE_CLIP_TENSORRT_BINDINGS") or Path(sys.prefix) / "tensorrt_bindings")
    folder = cache / f"{package}-{version}"
    if not folder.is_dir():
        draft = folder.with_name(f".{folder.name}.{os.getpid()}")
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--target", str(draft)]
        command = [sys.executable, "-m", "pip", "install", *options, f"{package}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            last = (done.stderr.strip().splitlines() or ["no reason"])[-1]
            pytest.skip(f"pip has no {package} {version} for this interpreter, or no network ({last})")
        draft.rename(folder)
    return folder


@pytest.mark.parametrize(("package", "version"), RELEASES, ids=[version for _, version in RELEASES])
def test_every_call_exists_and_takes_our_arguments(
    package: str, version: str, stub: ModuleType, project_root: Path, tmp_path: Path
) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (apt install gcc)")
    folder = bindings(package, version)
    major = int(version.partition(".")[0])
    stub.build(tmp_path, compiler, major)
    script = project_root / "test" / "tensorrt_rehearsal.py"
    environment = {**os.environ, "PYTHONPATH": str(project_root)}
    command = [sys.executable, str(script), str(folder), str(tmp_path), str(major)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"rehearsed with TensorRT {version}"
