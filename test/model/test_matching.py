from __future__ import annotations

import pytest
import torch

from space_clip_ros.errors import ModelError
from space_clip_ros.model.matching import match_tensors
from space_clip_ros.model.reference_names import TensorSource


def test_tensors_are_stacked_and_cast() -> None:
    wanted = {"qkv": torch.zeros(3, 2), "count": torch.zeros((), dtype=torch.int64)}
    sources = {"qkv": TensorSource(("q", "k", "v")), "count": TensorSource(("n",))}
    parts = {name: torch.full((1, 2), value, dtype=torch.float16) for name, value in zip("qkv", (1, 2, 3), strict=True)}
    matched = match_tensors("file", {**parts, "n": torch.tensor(5)}, wanted, sources)
    assert matched["qkv"].dtype == torch.float32
    assert matched["qkv"].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert matched["count"].item() == 5


def test_thirds_are_taken() -> None:
    wanted = {"q": torch.zeros(1), "kv": torch.zeros(2)}
    sources = {"q": TensorSource(("in_proj",), (0, 1)), "kv": TensorSource(("in_proj",), (1, 3))}
    matched = match_tensors("file", {"in_proj": torch.tensor([1.0, 2.0, 3.0])}, wanted, sources)
    assert matched["q"].tolist() == [1.0]
    assert matched["kv"].tolist() == [2.0, 3.0]
    with pytest.raises(ModelError, match=r"in_proj \(is \[4\], must be \[3\]\)"):
        match_tensors("file", {"in_proj": torch.zeros(4)}, wanted, sources)


def test_long_lists_are_cut() -> None:
    sources = {f"t{index}": TensorSource((f"t{index}",)) for index in range(20)}
    wanted = {name: torch.zeros(1) for name in sources}
    with pytest.raises(ModelError, match=r"missing: t0, .*, t11 and 8 more$"):
        match_tensors("file", {}, wanted, sources)
