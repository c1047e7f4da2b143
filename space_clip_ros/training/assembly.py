"""Puts a run together: frames, model, optimiser, averages, from settings or from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.dataset import AugmentedFrames, StepSampler, training_loader
from space_clip_ros.data.file_check import check_files
from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.model import SpaceClip, build, load_checkpoint
from space_clip_ros.training.console import Console
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.processes import Processes
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training.step import Stepper, build_optimizer
from space_clip_ros.training.validation import Validator
from space_clip_ros.training_config import TrainingConfig, sources


class Parts(NamedTuple):
    """What a session of a run works with; ``state`` is where it goes on from."""

    model: SpaceClip
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    stepper: Stepper
    sampler: StepSampler
    loader: DataLoader[Any]
    validator: Validator | None
    state: Mapping[str, Any]


def assemble(config: TrainingConfig, processes: Processes, folder: RunFolder, console: Console, resume: bool) -> Parts:
    """Put a run together.

    Raises:
        ConfigError: there is nothing to train on, or settings and data or run do not fit.
        DataError: frames are missing or broken.
        ModelError: a checkpoint cannot be read or does not fit.
    """
    if resume:
        folder.check_same(config)
    frames = _frames(config.data.train, "train", config, console)
    sampler = StepSampler(frames.weights, config.optimizer.batch_size, config.seed, processes.rank, processes.count)
    validation = _frames(config.data.validation, "validation", config, console) if config.data.validation else None
    if not resume and processes.first:
        folder.start(config)

    model, state = _start(config, folder, resume)
    optimizer, average, stepper = build_stepper(model, config, processes)
    if resume:
        optimizer.load_state_dict(state["optimizer"])
        average.load_state_dict(state["average"])
        stepper.bad_in_a_row = state["bad_in_a_row"]
    dataset = AugmentedFrames(frames, config.augmentation, config.seed, config.model.input_size)
    loader = training_loader(dataset, sampler, config.data.workers, pin_memory=processes.device.type == "cuda")
    validator = Validator(model, average, validation, processes, config) if validation is not None else None
    return Parts(model, optimizer, average, stepper, sampler, loader, validator, state)


def build_stepper(
    model: SpaceClip, config: TrainingConfig, processes: Processes
) -> tuple[torch.optim.Optimizer, WeightAverage, Stepper]:
    """Move a model to its device and memory layout, and return what trains it."""
    layout = torch.channels_last if config.runtime.channels_last else torch.contiguous_format
    model.to(device=processes.device).to(memory_format=layout).train()  # type: ignore[call-overload]
    optimizer = build_optimizer(model, config)
    average = WeightAverage(model, config.optimizer.ema_decay)
    return optimizer, average, Stepper(model, optimizer, average, processes, config)


def _frames(
    values: Sequence[Mapping[str, Any]], what: str, config: TrainingConfig, console: Console
) -> FrameCollection:
    if not values:
        raise ConfigError(f"data.{what}: names no source; add at least one with its path")
    training = what == "train"
    frames = FrameCollection(
        open_sources(sources(values)), config.data.resolution if training else (), config.data.skip_broken
    )
    if config.data.scan:
        with console.bar(len(frames), f"checking {what} files") as bar:
            frames = check_files(frames, config.data.skip_broken, lambda: bar.advance(), console.say)
    if config.data.cache and training:
        with console.bar(len(frames), f"reading {what} frames") as bar:
            frames.keep_in_memory(lambda: bar.advance())
    console.say(f"{what}: {len(frames)} frames")
    return frames


def _start(config: TrainingConfig, folder: RunFolder, resume: bool) -> tuple[SpaceClip, Mapping[str, Any]]:
    if resume:
        return folder.load()
    torch.manual_seed(config.seed)
    model = build(config.model, config.pretrained or None)
    if config.initial:
        _take_over(model, config.initial)
    elif config.initial_depth:
        _begin_at(model, config.initial_depth)
    return model, {"step": 0, "best_abs_rel": float("inf")}


@torch.no_grad()
def _begin_at(model: SpaceClip, depth: float) -> None:
    """Let every head say ``depth * (1 + x)`` where it would say x.

    New heads end in a ReLU over numbers around zero, so half of their pixels begin without a gradient, and Adam's steps
    are far smaller than metres.
    """
    for head in (model.depth_head, *model.auxiliary_heads):
        head.depth.weight.mul_(depth)
        head.depth.bias.mul_(depth).add_(depth)


def _take_over(model: SpaceClip, path: str) -> None:
    weights = load_checkpoint(path).state_dict()
    wanted = model.state_dict()
    differing = [name for name in wanted.keys() | weights.keys() if _shape(wanted, name) != _shape(weights, name)]
    if differing:
        raise ModelError(
            f"initial: {path} is of another model than the settings' {model.config.name}; "
            f"differing tensors: {', '.join(sorted(differing)[:8])}"
        )
    model.load_state_dict(weights)


def _shape(tensors: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
