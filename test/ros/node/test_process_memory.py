"""The process's memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.ros.node.process_memory import private_bytes, resident_bytes

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")

# Much more than the test process may give back meanwhile.
_USED = 256 << 20


@needs_proc
def test_it_grows_with_what_is_used():
    before = resident_bytes()
    kept = np.ones(_USED, np.uint8)
    after = resident_bytes(os.getpid())
    assert before is not None and after is not None
    assert after - before > _USED // 2
    assert kept[-1]


def test_a_process_that_is_not_there():
    assert resident_bytes(2**30) is None
    assert private_bytes(2**30) is None


@needs_proc
def test_private_memory_is_part_of_it():
    before = private_bytes()
    kept = np.ones(_USED, np.uint8)
    after, all_of_it = private_bytes(), resident_bytes()
    assert before is not None and after is not None and all_of_it is not None
    assert after - before > _USED // 2
    assert after < all_of_it
    assert kept[-1]
