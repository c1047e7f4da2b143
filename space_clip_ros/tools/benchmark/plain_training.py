"""The training loop that ours is compared with: the recipe as one would first write it, eager and in float32.

The losses are implemented a second time on purpose, as the papers' formulas read: with boolean indexing, a loop over
samples and plain convolutions. Equal losses on both sides show that both train the same thing.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional

from space_clip_ros.data.dataset import Batch
from space_clip_ros.errors import ConfigError
from space_clip_ros.model import SpaceClip
from space_clip_ros.training.step import StepResult, to_input
from space_clip_ros.training_config import TrainingConfig

_FLOOR = 1e-7


class PlainLoop:
    """Takes the recipe's steps without any optimization for speed or memory."""

    def __init__(self, model: SpaceClip, config: TrainingConfig, device: torch.device) -> None:
        """Start from the model's weights.

        Args:
            model: on the device.
            config: loss weights, optimizer, limits of depth; its precision and memory layout are ignored.
            device: where to compute.

        Raises:
            ConfigError: the settings use the gradient loss, which is not part of the recipe.
        """
        if config.loss.gradient:
            raise ConfigError(
                "loss.gradient",
                f"the plain loop has only the recipe's losses, got {config.loss.gradient:g}",
                "set it to 0",
            )
        self._model, self._config, self._device = model.train(), config, device
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        settings = config.optimizer
        self._optimizer = torch.optim.AdamW(self._parameters, lr=settings.lr, weight_decay=settings.weight_decay)
        self._average = copy.deepcopy(model)

    def take(self, batch: Batch, lr: float) -> StepResult:
        """Take one step on a batch of the loader."""
        truth = batch.depth.to(self._device).nan_to_num(0.0)
        valid = (truth > self._config.model.min_depth) & (truth < self._config.model.max_depth)
        output = self._model(to_input(batch.images.to(self._device), self._config.model), truth.shape[2:])
        total = self._loss(output.depth, output.auxiliary, truth, valid)
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._config.optimizer.clip_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._update_average()
        return StepResult({"total": total.item()}, norm.item(), skipped=False)

    def _loss(self, depth: Tensor, auxiliary: tuple[Tensor, ...], truth: Tensor, valid: Tensor) -> Tensor:
        weights = self._config.loss
        total = weights.silog * _silog(depth, truth, valid) + weights.ssim * _ssim(depth, truth, valid)
        for weight, coarse in zip(weights.auxiliary, auxiliary, strict=False):
            total = total + weight * _silog(coarse, truth, valid)
        return total

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = self._config.optimizer.ema_decay
        live = self._model.state_dict()
        for name, average in self._average.state_dict().items():
            if average.is_floating_point():
                average.copy_(decay * average + (1 - decay) * live[name])
            else:
                average.copy_(live[name])


def _silog(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    prediction = functional.interpolate(prediction, truth.shape[2:], mode="bilinear", align_corners=True)
    prediction, truth = prediction[valid], truth[valid]
    difference = torch.log(prediction.clamp(min=_FLOOR)) - torch.log(truth.clamp(min=_FLOOR))
    value = difference.var(correction=0) + 0.15 * difference.mean() ** 2
    return 10.0 * torch.sqrt(value.clamp(min=_FLOOR))


def _ssim(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    scaled = []
    for index in range(len(truth)):
        known = truth[index][valid[index]]
        low, span = known.min(), known.max() - known.min()
        scaled.append([((maps[index] - low) / span).clamp(0, 1) for maps in (prediction, truth)])
    x, y = (torch.stack(maps) for maps in zip(*scaled, strict=True))
    taps = torch.exp(-((torch.arange(11, device=x.device) - 5.0) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()
    window = (taps[:, None] * taps[None, :])[None, None]

    def blur(maps: Tensor) -> Tensor:
        return functional.conv2d(maps, window, padding=5)

    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return 1 - similarity[valid].mean()
