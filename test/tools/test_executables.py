"""Every program that other code starts by its module's name can be found."""

from __future__ import annotations

import importlib.util

import pytest

from space_clip_ros.tools import executables

MODULES = {name: value for name, value in vars(executables).items() if name.isupper()}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_the_module_is_there(module: str) -> None:
    assert importlib.util.find_spec(f"space_clip_ros.{module}") is not None
