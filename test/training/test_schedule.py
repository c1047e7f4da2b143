from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.training.schedule import learning_rate


def test_the_reference_s_schedule(reference_dir: Path):
    with np.load(reference_dir / "schedule.npz") as file:
        expected = file["lr"]
    found = [learning_rate(step, 400, 1e-4, 1e-6, 20) for step in range(400)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_by_hand():
    rates = [learning_rate(step, 6, 1.0, 0.0, 2) for step in range(6)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.8535533906, 0.5, 0.1464466094])
    assert learning_rate(0, 1, 1.0, 0.0, 0) == 1.0
    assert learning_rate(99, 6, 1.0, 0.25, 2) == 0.25


@pytest.mark.parametrize(("total", "warmup"), [(0, 0), (5, 6), (5, -1)])
def test_a_schedule_that_cannot_be(total, warmup):
    with pytest.raises(InputError, match="cannot hold a warm-up"):
        learning_rate(0, total, 1.0, 0.0, warmup)
