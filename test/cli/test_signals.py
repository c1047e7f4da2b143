from __future__ import annotations

import os
import signal

import pytest

from space_clip_ros.cli.signals import ending_on_sigterm


def test_sigterm_runs_finally_blocks() -> None:
    before = signal.getsignal(signal.SIGTERM)
    done = []
    with pytest.raises(SystemExit) as ended, ending_on_sigterm():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            done.append(True)
    assert ended.value.code == 143
    assert done == [True]
    assert signal.getsignal(signal.SIGTERM) == before
