"""One optimiser step; a step whose loss or gradient is not finite is skipped."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.data.dataset import Batch
from space_clip_ros.errors import SpaceClipError
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.blocks import resize_bilinear
from space_clip_ros.model.space_clip import HEADS_BESIDE_DEPTH
from space_clip_ros.model_config import UNLABELLED, ModelConfig
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.losses import depth_loss, language_loss, uncertainty_loss, valid_mask
from space_clip_ros.training.processes import Processes
from space_clip_ros.training_config import TrainingConfig


class StepResult(NamedTuple):
    """The result of one step.

    Attributes:
        losses: each loss term and ``total``, by name.
        grad_norm: norm of the gradient before clipping. Heads other than depth are clipped separately and not counted,
            unless such a head is all that is trained.
        skipped: whether the step was skipped because its loss or gradient was not finite.
        has_truth: whether this process's samples have a pixel with depth in range; if only the language head is
            trained, one with a label.
    """

    losses: dict[str, float]
    grad_norm: float
    skipped: bool
    has_truth: bool = True


def to_input(images: Tensor, config: ModelConfig) -> Tensor:
    """Return the network's input for images of any size.

    Args:
        images: (B, H, W, 3) uint8 RGB.
        config: input size, mean and standard deviation.

    Returns:
        (B, 3, h, w) float32: resized with Pillow's antialiased bicubic kernel, scaled to [0, 1], normalised.
    """
    planes = images.permute(0, 3, 1, 2).float()
    if planes.shape[2:] != config.input_size:
        planes = functional.interpolate(planes, config.input_size, mode="bicubic", antialias=True)
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (config.mean, config.std))
    return (planes.clamp(0.0, 255.0) / 255.0 - mean) / std


def build_optimizer(model: SpaceClip, config: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW over the trained parameters, after freezing what the settings do not train.

    Raises:
        ConfigError: only one head is to be trained, and the model has no such head.
    """
    if config.train_only != "all":
        model.freeze_all_but(config.train_only)
    else:
        for index, head in enumerate(model.auxiliary_heads):
            if index >= len(config.loss.auxiliary) or not config.loss.auxiliary[index]:
                head.requires_grad_(False)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = parameters[0].device.type == "cuda"
    return torch.optim.AdamW(
        parameters, lr=config.optimizer.lr, weight_decay=config.optimizer.weight_decay, fused=fused
    )


class Stepper:
    """Takes optimiser steps.

    Args:
        model: on its device, in training mode.
        optimizer: see :func:`build_optimizer`.
        average: updated after every step taken.
        processes: gradients and batch statistics are averaged over them.
        config: loss, clipping, precision, limits.
    """

    def __init__(
        self,
        model: SpaceClip,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage,
        processes: Processes,
        config: TrainingConfig,
    ) -> None:
        """Wrap the model for distributed training and, if asked for, compile it."""
        self._optimizer = optimizer
        self._average = average
        self._processes = processes
        self._config = config
        self._clipped = _clipped_together(model)
        self._buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self._backup = [buffer.clone() for buffer in self._buffers]
        self._layout = torch.channels_last if config.runtime.channels_last else torch.contiguous_format
        network = processes.wrap(model)
        self._network: nn.Module = torch.compile(network) if config.runtime.compile else network  # type: ignore[assignment]
        self.bad_in_a_row = 0

    def take(self, batch: Batch, lr: float) -> StepResult:
        """Move a batch of the loader to the device, make the network's input, and :meth:`take_prepared`."""
        device = self._processes.device
        depth = batch.depth.to(device, non_blocking=True)
        labels = None if batch.labels is None else batch.labels.to(device, non_blocking=True)
        inputs = to_input(batch.images.to(device, non_blocking=True), self._config.model)
        return self.take_prepared(inputs, depth, lr, labels)

    def take_prepared(self, inputs: Tensor, depth: Tensor, lr: float, labels: Tensor | None = None) -> StepResult:
        """Take one step, or skip it if the loss or the gradient of any process is not finite.

        Args:
            inputs: (B, 3, h, w) normalised, on the device, of the weights' dtype (float32 in a run).
            depth: (B, 1, H, W) metres, NaN or 0 where unknown, on the device, of the same dtype.
            lr: learning rate of this step.
            labels: (B, H, W) uint8 classes, on the device; None if no frame has any.

        Raises:
            SpaceClipError: ``max_bad_steps`` steps in a row were not finite.
        """
        torch._foreach_copy_(self._backup, self._buffers)
        losses = self._losses(inputs, depth, labels)
        self._optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        # Gradients are means over the processes, so one bad loss spoils the norm on all of them: all skip together.
        norms = [nn.utils.clip_grad_norm_(group, self._config.optimizer.clip_norm) for group in self._clipped]
        truth = self._has_truth(depth, labels).to(depth.dtype)
        *values, seen = torch.stack([*norms, *losses.values(), truth]).tolist()
        found, terms = values[: len(norms)], values[len(norms) :]
        finite = all(map(math.isfinite, found))
        result = StepResult(dict(zip(losses, terms, strict=True)), found[0], not finite, bool(seen))
        if result.skipped:
            self._skip(result)
        else:
            self._advance(lr)
        return result

    def _losses(self, inputs: Tensor, depth: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        config, only = self._config, self._config.train_only
        inputs = inputs.contiguous(memory_format=self._layout)
        with torch.autocast(self._processes.device.type, torch.bfloat16, enabled=config.runtime.bf16):
            output = self._network(inputs, depth.shape[2:], auxiliary=only == "all")
        near, far = config.model.min_depth, config.model.max_depth
        losses: dict[str, Tensor] = {"total": depth.new_zeros(())}
        vocabulary = config.model.language.vocabulary
        if vocabulary and labels is None:  # losses of zero: every process must give every parameter a gradient
            labels = torch.full_like(depth[:, 0], UNLABELLED, dtype=torch.uint8)
        if only in ("all", "refinement", "coarse"):
            classes = len(vocabulary)
            losses = depth_loss(output.depth, output.auxiliary, depth, config.loss, near, far, labels, classes)
        if output.laplace_scale is not None and only in ("all", "uncertainty"):
            scale = resize_bilinear(output.laplace_scale, depth.shape[2:])
            losses["uncertainty"] = uncertainty_loss(output.depth, scale, depth, valid_mask(depth, near, far))
            losses["total"] = losses["total"] + losses["uncertainty"]
        if vocabulary and labels is not None and only in ("all", "language"):
            losses["language"] = language_loss(output.dense, labels, config.model.language.logit_scale)
            losses["total"] = losses["total"] + losses["language"]
        return losses

    def _has_truth(self, depth: Tensor, labels: Tensor | None) -> Tensor:
        model = self._config.model
        if self._config.train_only != "language":
            return valid_mask(depth, model.min_depth, model.max_depth).any()
        return depth.new_zeros(()) if labels is None else (labels < len(model.language.vocabulary)).any()

    def _advance(self, lr: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._processes.average(self._buffers)
        self._average.update()
        self.bad_in_a_row = 0

    def _skip(self, result: StepResult) -> None:
        # The forward pass has already changed the running statistics.
        torch._foreach_copy_(self._buffers, self._backup)
        self.bad_in_a_row += 1
        if self.bad_in_a_row >= self._config.optimizer.max_bad_steps:
            terms = ", ".join(f"{name} {value:g}" for name, value in result.losses.items())
            raise SpaceClipError(
                "training stopped",
                f"{self.bad_in_a_row} steps in a row were not finite ({terms}, gradient norm {result.grad_norm:g})",
                "lower optimizer.lr or look at the data",
            )


def _clipped_together(model: SpaceClip) -> list[list[nn.Parameter]]:
    """Group the trained parameters by joint clipping norm, so that no other head shortens the gradient of depth."""
    groups: dict[str, list[nn.Parameter]] = {"": [], **{head: [] for head in HEADS_BESIDE_DEPTH}}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[next((head for head in HEADS_BESIDE_DEPTH if name.startswith(head)), "")].append(parameter)
    return [group for group in groups.values() if group]
