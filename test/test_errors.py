"""An error's parts and the one line made of them."""

from __future__ import annotations

import pickle

import pytest

from space_clip_ros.errors import BackendError, InputError, SpaceClipError, describe, first_line, listed, one_line


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("drive/image_02",), "drive/image_02"),
        (("drive/image_02", "no such folder"), "drive/image_02: no such folder"),
        (("drive/image_02", "no such folder", "check the path"), "drive/image_02: no such folder; check the path"),
        (("nothing to do", "", "name an output"), "nothing to do; name an output"),
    ],
)
def test_the_text_is_made_of_the_parts_that_are_there(parts: tuple[str, ...], text: str) -> None:
    error = InputError(*parts)
    assert str(error) == text
    assert [error.what, error.reason, error.remedy] == [*parts, "", ""][:3]
    assert error.problem == str(type(error)(*parts[:2]))


def test_an_error_crosses_processes_whole() -> None:
    error = pickle.loads(pickle.dumps(BackendError("device cuda:1", "there is one GPU", "give device cuda:0")))
    assert (error.what, error.reason, error.remedy) == ("device cuda:1", "there is one GPU", "give device cuda:0")


def test_callers_may_catch_what_python_has() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(BackendError, RuntimeError)
    assert issubclass(BackendError, SpaceClipError)


def test_any_exception_becomes_one_line() -> None:
    assert describe(RuntimeError("CUDA\n  failed")) == "RuntimeError: CUDA failed"
    assert one_line(RuntimeError("CUDA\n  failed")) == "CUDA failed"
    assert one_line(TimeoutError()) == "TimeoutError"


def test_the_first_line_of_an_exception() -> None:
    assert first_line(RuntimeError("\n CUDA failed \n at line 3")) == "CUDA failed "
    assert first_line(RuntimeError(" \n")) == "RuntimeError"


def test_a_long_list_of_names_is_cut() -> None:
    assert listed([]) == ""
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
