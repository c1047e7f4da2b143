"""Language: queries, how well patches match them, and CLIP's text side."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Return ``load_clip``, which needs PyTorch; everything else here does without it."""
    if name == "load_clip":
        return importlib.import_module("space_clip_ros.language.clip").load_clip
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
