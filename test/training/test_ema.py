from __future__ import annotations

import pytest
import torch
from torch import nn

from space_clip_ros.errors import ModelError
from space_clip_ros.training.ema import WeightAverage


def model() -> nn.Sequential:
    built = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1), nn.Linear(1, 1))
    built[2].requires_grad_(False)
    nn.init.constant_(built[0].weight, 1.0)
    return built


def test_by_hand():
    network = model()
    average = WeightAverage(network, 0.75)
    with torch.no_grad():
        network[0].weight.fill_(5.0)
        network[1].running_mean.fill_(8.0)
        network[1].num_batches_tracked.fill_(3)
    average.update()
    state = average.state_dict()
    assert float(state["0.weight"]) == 0.75 * 1.0 + 0.25 * 5.0
    assert float(state["1.running_mean"]) == 2.0
    assert int(state["1.num_batches_tracked"]) == 3
    assert "2.weight" not in state


def test_the_model_holds_the_average_inside_the_block_only():
    network = model()
    average = WeightAverage(network, 0.5)
    with torch.no_grad():
        network[0].weight.fill_(3.0)
    average.update()
    storage = network[0].weight.data_ptr()
    with pytest.raises(RuntimeError, match="on purpose"), average.applied():
        assert network[0].weight.item() == 2.0
        raise RuntimeError("on purpose")
    assert network[0].weight.item() == 3.0
    assert network[0].weight.data_ptr() == storage


def test_what_was_saved_is_taken_over():
    network = model()
    average = WeightAverage(network, 0.5)
    with torch.no_grad():
        network[0].weight.fill_(3.0)
    average.update()
    other = WeightAverage(model(), 0.5)
    other.load_state_dict({name: tensor.clone() for name, tensor in average.state_dict().items()})
    assert float(other.state_dict()["0.weight"]) == 2.0


def test_another_model_s_average_is_refused():
    with pytest.raises(ModelError, match=r"belongs to another model; differing tensors: 0\.weight; resume with"):
        average = WeightAverage(model(), 0.5)
        average.load_state_dict({k: v for k, v in average.state_dict().items() if k != "0.weight"})
    with pytest.raises(ModelError, match=r"differing tensors: more_0, .*, more_7 and 1 more; resume with"):
        average.load_state_dict({**average.state_dict(), **{f"more_{n}": torch.zeros(1) for n in range(9)}})
