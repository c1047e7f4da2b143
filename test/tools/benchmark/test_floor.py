"""Operations, bytes and the floor, worked out by hand."""

from __future__ import annotations

import pytest

from space_clip_ros.inference.metadata import StageCost
from space_clip_ros.tools.benchmark.floor import floor, run_cost

NETWORK = {"encoder": StageCost(4_000_000, 1000), "decoder": StageCost(6_000_000, 2000)}


def test_resizes_by_hand() -> None:
    cost = run_cost(NETWORK, (32, 64), 64, 128)
    # Half the size: 8 taps. Across: 64 rows x 64 columns; down: 32 x 64; then one multiply-add per value; 3 channels.
    assert cost["preprocess"].operations == 2 * 3 * (64 * 64 * 8 + 32 * 64 * 8 + 32 * 64)
    assert cost["postprocess"].operations == 7 * 64 * 128
    # Twice the size: 4 taps.
    assert run_cost(NETWORK, (32, 64), 16, 32)["preprocess"].operations == 2 * 3 * (16 * 64 * 4 + 32 * 64 * 4 + 32 * 64)


def test_a_batch_shares_its_weights() -> None:
    single, four = run_cost(NETWORK, (32, 64), 60, 100), run_cost(NETWORK, (32, 64), 60, 100, batch=4)
    assert list(single) == ["preprocess", "encoder", "decoder", "postprocess"]
    for stage, cost in single.items():
        assert four[stage] == StageCost(4 * cost.operations, cost.weights)


def test_the_floor_by_hand() -> None:
    cost = {
        "preprocess": StageCost(0),
        "encoder": StageCost(4_000_000_000, 1_000_000),
        "decoder": StageCost(6_000_000_000, 2_000_000),
        "postprocess": StageCost(0),
    }
    least = floor(cost, height=100, width=200, batch=2, precision="fp32", gflops=100.0, gbytes=10.0)
    image, depth = 2 * 100 * 200 * 3, 2 * 100 * 200 * 4
    assert least.operations == 10e9
    assert least.bytes == 12_000_000 + image + depth
    assert least.compute_ms == pytest.approx(100.0)
    assert least.memory_ms == pytest.approx((12_000_000 + image + depth) / 10e9 * 1e3)
    assert least.ms == least.compute_ms
    assert least.stages_ms == pytest.approx(
        {"preprocess": image / 1e7, "encoder": 40.0, "decoder": 60.0, "postprocess": depth / 1e7}
    )
    slow = floor(cost, 100, 200, 2, "int8", gflops=1e6, gbytes=1.0)
    assert slow.bytes == 3_000_000 + image + depth
    assert slow.ms == slow.memory_ms
