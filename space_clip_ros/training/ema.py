"""The moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from space_clip_ros.errors import ModelError


class WeightAverage:
    """Exponential moving average of a model's trained parameters and its buffers, on the model's device.

    Frozen parameters have no copy, since their average is themselves.

    Args:
        model: whose weights are averaged; its tensors must stay the same objects.
        decay: share of the average that a step keeps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the weights as they are."""
        self._live = {
            **{name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad},
            **dict(model.named_buffers()),
        }
        self._average = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self) -> None:
        """Move the average a step towards the model's weights; counters are copied."""
        floating = [name for name, tensor in self._live.items() if tensor.is_floating_point()]
        averages, weights = [self._average[name] for name in floating], [self._live[name] for name in floating]
        torch._foreach_lerp_(averages, weights, 1.0 - self._decay)
        for name in self._live.keys() - set(floating):
            self._average[name].copy_(self._live[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model hold the average inside the block; storage changes places, nothing is copied."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the average by the names of the model's tensors."""
        return dict(self._average)

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over a saved average.

        Raises:
            ModelError: its names are not this model's.
        """
        differing = sorted(state.keys() ^ self._average.keys())
        if differing:
            raise ModelError(f"the saved average is of another model; differing tensors: {', '.join(differing[:8])}")
        for name, tensor in state.items():
            self._average[name].copy_(tensor)

    def _exchange(self) -> None:
        for name, live in self._live.items():
            live.data, self._average[name] = self._average[name], live.data
