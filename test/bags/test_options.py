from __future__ import annotations

from typing import Any

import pytest

from space_clip_ros.bags.options import BagOptions
from space_clip_ros.errors import InputError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cameras": ()}, "cameras must be some of"),
        ({"cameras": ("color_left", "color_left")}, "each once"),
        ({"cameras": ("front",)}, "front"),
        ({"compressed": "gif"}, "compressed must be one of jpeg, png, None, got 'gif'"),
        ({"truth": "exact"}, "truth must be one of"),
        ({"storage": "zip"}, "storage must be one of mcap, sqlite3"),
    ],
)
def test_what_cannot_be_written_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BagOptions(**values)
