"""Processor features, read from the system."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.inference import cpu


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512_vnni sse\n\nprocessor\t: 1\nflags\t\t: fpu\n", True),
        ("processor\t: 0\nflags\t\t: avx_vnni fpu\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f xavx_vnni\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", False),
        (None, False),
    ],
)
def test_vnni(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: bool) -> None:
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text, encoding="ascii")
    monkeypatch.setattr(cpu, "_CPUINFO", file)
    assert cpu.has_vnni() is expected
