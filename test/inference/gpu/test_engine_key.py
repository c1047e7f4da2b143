"""The parts of an engine's key."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from space_clip_ros.inference.gpu.engine_key import EngineKey

KEY = EngineKey("ab12", "10.3.0", "Orin", "8.7", 8, "fp16", (1, 375, 1242, 3))


def test_it_survives_json() -> None:
    assert EngineKey.from_dict(json.loads(json.dumps(KEY.to_dict()))) == KEY


def test_every_part_changes_the_digest(changed_part: dict[str, Any]) -> None:
    assert dataclasses.replace(KEY, **changed_part).digest != KEY.digest


def test_the_digest_is_the_same_on_every_machine() -> None:
    assert KEY.digest == "3fef022a6a05f7ac"


def test_sizes() -> None:
    assert KEY.size == (375, 1242) and KEY.size_text == "1242x375"
    assert KEY.of_size(480, 640).shape == (1, 480, 640, 3)


def test_differences_in_words() -> None:
    other = dataclasses.replace(KEY, tensorrt="10.7.0", precision="fp32", file_sha256="cd34")
    assert KEY.differences(other) == ["TensorRT 10.7.0", "fp32"]
    assert KEY.differences(KEY) == []


def test_broken_parts() -> None:
    with pytest.raises(TypeError):
        EngineKey.from_dict({"shape": [1, 2, 3, 3]})
    with pytest.raises(ValueError, match="unpack"):
        EngineKey.from_dict({**KEY.to_dict(), "shape": [1, 2, 3]})
