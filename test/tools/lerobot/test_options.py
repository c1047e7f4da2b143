from __future__ import annotations

from typing import Any

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.lerobot.options import ConversionOptions


@pytest.mark.parametrize(
    "changes",
    [
        {"fps": -1},
        {"points": -1},
        {"max_gap": 0.0},
        {"max_gap": float("nan")},
        {"image_format": "webp"},
        {"depth_unit": "km"},
        {"task": " "},
    ],
)
def test_impossible_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must be"):
        ConversionOptions(**changes)
