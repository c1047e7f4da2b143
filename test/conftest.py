"""Fixtures every test may use; what is missing on a user's machine skips with its reason."""

from __future__ import annotations

import os
import signal
from pathlib import Path

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
