"""The exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from space_clip_ros.errors import ModelError, listed


class WeightAverage:
    """Exponential moving average of a model's trained parameters and its buffers, on the model's device.

    Frozen parameters do not change, so they are not copied.

    Args:
        model: the model whose weights are averaged; its tensors must stay the same objects.
        decay: share of the average that a step keeps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's current weights."""
        self._live = {
            **{name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad},
            **dict(model.named_buffers()),
        }
        self._average = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the model's weights; integer buffers are copied."""
        floating = [name for name, tensor in self._live.items() if tensor.is_floating_point()]
        averages, weights = [self._average[name] for name in floating], [self._live[name] for name in floating]
        torch._foreach_lerp_(averages, weights, 1.0 - self._decay)
        for name in self._live.keys() - set(floating):
            self._average[name].copy_(self._live[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights inside the block, by swapping storage instead of copying."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages, by the names of the model's tensors."""
        return dict(self._average)

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load a saved average.

        Raises:
            ModelError: it belongs to another model; the error names differing tensors.
        """
        differing = sorted(state.keys() ^ self._average.keys())
        if differing:
            raise ModelError(
                "the saved average",
                f"belongs to another model; differing tensors: {listed(differing)}",
                "resume with the run's own config.yaml",
            )
        for name, tensor in state.items():
            self._average[name].copy_(tensor)

    def _exchange(self) -> None:
        for name, live in self._live.items():
            live.data, self._average[name] = self._average[name], live.data
