"""Programs that are missing, fail, die or say nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from space_clip_ros.tools.doctor import programs
from space_clip_ros.tools.doctor.programs import ProbeError, facts_of, output_of


def test_a_programs_output() -> None:
    assert output_of(sys.executable, "-c", "print(' a ')") == "a"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit('first\\nno device')", "failed with status 1: no device"),
        ("import os; os.abort()", "its process was ended by SIGABRT"),
        ("import time; time.sleep(60)", "gave no answer within 0.5 s"),
    ],
)
def test_failures(program: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_PROGRAM_S", 0.5 if "sleep" in program else 30.0)
    with pytest.raises(ProbeError, match=message):
        output_of(sys.executable, "-c", program)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(ProbeError, match="no_such_program: is not installed"):
        output_of("no_such_program", "--version")


def test_a_library_that_kills_its_process(broken: Callable[[str, str], None]) -> None:
    broken("torch", "import os; os.abort()")
    with pytest.raises(ProbeError, match="library_facts: its process was ended by SIGABRT"):
        facts_of("library_facts", "torch")


def test_a_library_that_prints(broken: Callable[[str, str], None]) -> None:
    broken("onnxruntime", "print('hello', end=''); __version__ = '1'; get_available_providers = list")
    assert facts_of("library_facts", "onnxruntime") == {"version": "1", "providers": []}
