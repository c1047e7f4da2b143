"""A small random CLIP with reference numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def reference(shared_dir: Path) -> dict[str, Any]:
    with np.load(shared_dir / "reference" / "language_clip_tiny_io.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def clip(shared_dir: Path) -> Any:
    pytest.importorskip("open_clip")
    from space_clip_ros.language import load_clip

    folder = shared_dir / "reference"
    return load_clip(folder / "language_clip_tiny_open_clip.pt", settings=folder / "language_clip_tiny.json")
