"""The process's memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.ros.node.process_memory import resident_bytes

# Much more than the test process may give back meanwhile.
_USED = 256 << 20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_it_grows_with_what_is_used():
    before = resident_bytes()
    kept = np.ones(_USED, np.uint8)
    after = resident_bytes(os.getpid())
    assert before is not None and after is not None
    assert after - before > _USED // 2
    assert kept[-1]


def test_a_process_that_is_not_there():
    assert resident_bytes(2**30) is None
