"""A folder as PYTHONPATH in which libraries are broken in one way or another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a module in a library's place, for the processes that are started from here on."""
    folder = tmp_path / "broken"
    folder.mkdir()
    path = [str(folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))

    def put(name: str, program: str) -> None:
        (folder / f"{name}.py").write_text(program, encoding="utf-8")

    return put
