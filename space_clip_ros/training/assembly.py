"""Builds what a run needs (frames, model, optimiser, averages) from settings or from a checkpoint."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.dataset import AugmentedFrames, StepSampler, training_loader
from space_clip_ros.data.file_check import check_files
from space_clip_ros.errors import ConfigError, ModelError, listed
from space_clip_ros.geometry.focal_factor import TrainingCamera
from space_clip_ros.model import SpaceClip, build, load_checkpoint
from space_clip_ros.model.joint_features import PROJECTION
from space_clip_ros.model.language_head import LANGUAGE_HEAD
from space_clip_ros.model.refinement_head import REFINEMENT_HEAD
from space_clip_ros.model.space_clip import HEADS_BESIDE_DEPTH
from space_clip_ros.training.console import Console
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.processes import Processes
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training.step import Stepper, build_optimizer
from space_clip_ros.training.validation import Validator
from space_clip_ros.training.wandb_log import check_wandb
from space_clip_ros.training_config import TrainingConfig, sources


class Progress(NamedTuple):
    """Where a run stands.

    Attributes:
        step: steps taken.
        best_score: smallest criterion of the evaluations, see
            :func:`~space_clip_ros.training.validation.best_criterion`; infinite if there is none.
        skipped: steps that were skipped.
        evaluated: whether the evaluation that is due after this step is done, or none is due.
    """

    step: int = 0
    best_score: float = math.inf
    skipped: int = 0
    evaluated: bool = True


class TrainingSetup(NamedTuple):
    """The objects that a session of a run works with, and where the run stands.

    Attributes:
        model: on its device, in training mode.
        optimizer: over the model's trained parameters.
        average: moving average of the model's weights.
        stepper: takes the optimiser steps.
        sampler: draws the frames of each step.
        loader: reads the batches that the sampler draws.
        validator: None if the settings name no validation frames.
        progress: of earlier sessions of the run.
    """

    model: SpaceClip
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    stepper: Stepper
    sampler: StepSampler
    loader: DataLoader[Any]
    validator: Validator | None
    progress: Progress

    def state(self, progress: Progress) -> dict[str, Any]:
        """Return everything that :func:`assemble` needs to resume the run, except the raw weights."""
        return {
            **progress._asdict(),
            "bad_in_a_row": self.stepper.bad_in_a_row,
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
        }


def assemble(
    config: TrainingConfig, processes: Processes, folder: RunFolder, console: Console, resume: bool, over: bool = False
) -> TrainingSetup:
    """Build everything a session needs, for a new run or from the newest checkpoint of ``folder``.

    The first process locks the folder; the caller closes it.

    Args:
        config: the settings.
        processes: this process among the others.
        folder: the run's folder.
        console: shows messages and progress.
        resume: whether to continue the run of the folder.
        over: whether a new run may replace one that saved no weights yet.

    Raises:
        ConfigError: there is nothing to train on, or the settings do not fit the data or the run to resume.
        DataError: frames are missing or broken.
        ModelError: a checkpoint cannot be read or does not fit.
    """
    # Quick checks come first: reading every frame once may take minutes.
    if resume:
        folder.check_same(config)
        if processes.first:
            folder.lock()
    elif processes.first:
        folder.check_new(over)
    if processes.first:
        check_wandb(config.run.wandb)
    frames = open_frames("train", config)
    validation = open_frames("validation", config) if config.data.validation else None
    model, state = folder.load() if resume else (_new_model(config, console), Progress()._asdict())

    frames = _read_frames(frames, "train", config, console)
    sampler = StepSampler(frames.weights, config.optimizer.batch_size, config.seed, processes.rank, processes.count)
    if validation is not None:
        validation = _read_frames(validation, "validation", config, console)
    if not resume and processes.first:
        folder.start(config, over)
    optimizer, average, stepper = build_stepper(model, config, processes)
    if resume:
        optimizer.load_state_dict(state["optimizer"])
        average.load_state_dict(state["average"])
        stepper.bad_in_a_row = state["bad_in_a_row"]
    dataset = AugmentedFrames(frames, config.augmentation, config.seed, config.model.input_size)
    return TrainingSetup(
        model,
        optimizer,
        average,
        stepper,
        sampler,
        loader=training_loader(dataset, sampler, config.data.workers, pin_memory=processes.device.type == "cuda"),
        validator=Validator(model, average, validation, processes, config) if validation is not None else None,
        progress=Progress(**{name: state[name] for name in Progress._fields}),
    )


def build_stepper(
    model: SpaceClip, config: TrainingConfig, processes: Processes
) -> tuple[torch.optim.Optimizer, WeightAverage, Stepper]:
    """Move a model to its device and memory layout, and return its optimiser, moving average and stepper."""
    layout = torch.channels_last if config.runtime.channels_last else torch.contiguous_format
    model.to(device=processes.device).to(memory_format=layout).train()  # type: ignore[call-overload]
    optimizer = build_optimizer(model, config)
    average = WeightAverage(model, config.optimizer.ema_decay)
    return optimizer, average, Stepper(model, optimizer, average, processes, config)


def open_frames(what: str, config: TrainingConfig) -> FrameCollection:
    """Open the frames of ``data.train`` or ``data.validation`` as a run reads them.

    Args:
        what: ``train`` or ``validation``.
        config: the settings.

    Raises:
        ConfigError: there is no source, the training camera is missing, or the labels do not fit the settings.
        DataError: a folder or list is missing or empty, or two sources number their classes differently.
    """
    data, training = config.data, what == "train"
    values = data.train if training else data.validation
    if not values:
        raise ConfigError(f"data.{what}", "names no source", "add at least one with its path")
    frames = FrameCollection(
        open_sources(sources(values)),
        data.resolution if training else (),
        data.skip_broken,
        data.occlusion if training else 0.0,
        _training_camera(config) if training and data.canonical else None,
    )
    if config.model.language.vocabulary:
        _check_labels(frames.classes, what, config)
    return frames


def _check_labels(classes: Sequence[str], what: str, config: TrainingConfig) -> None:
    """Check that the frames' labels are the vocabulary's, and that there are some if only the names are trained."""
    vocabulary = config.model.language.vocabulary
    if classes and classes != vocabulary:
        raise ConfigError(
            f"data.{what}",
            f"has labels of {listed(classes)}, but model.language.vocabulary is {listed(vocabulary)}",
            "name the vocabulary in its order as the labels of each source",
        )
    if not classes and config.train_only == "language":
        raise ConfigError(f"data.{what}", "has no labels, which train_only: language needs", "add a source with labels")


def _read_frames(frames: FrameCollection, what: str, config: TrainingConfig, console: Console) -> FrameCollection:
    """Check every file and keep the training frames in memory, if the settings say so."""
    if config.data.scan:
        with console.bar(len(frames), f"checking {what} files") as bar:
            frames = check_files(frames, config.data.skip_broken, lambda: bar.advance(), console.say)
    if config.data.cache and what == "train":
        with console.bar(len(frames), f"reading {what} frames") as bar:
            frames.keep_in_memory(lambda: bar.advance())
    console.say(f"{what}: {len(frames)} frames")
    return frames


def _training_camera(config: TrainingConfig) -> TrainingCamera:
    if not config.model.training_camera:
        raise ConfigError("data.canonical", "needs model.training_camera", "give its width, height, fx and fy")
    width, height, fx, fy = config.model.training_camera
    return width, height, fx, fy


def _new_model(config: TrainingConfig, console: Console) -> SpaceClip:
    torch.manual_seed(config.seed)
    model = build(config.model, config.pretrained or None)
    if config.initial_depth:
        _set_initial_depth(model, config.initial_depth)
    if config.initial_partly:
        console.say(_load_what_fits(model, config.initial))
    elif config.initial:
        _load_initial_weights(
            model, config.initial, (*HEADS_BESIDE_DEPTH, *([f"encoder.{PROJECTION}"] if config.pretrained else []))
        )
    return model


@torch.no_grad()
def _set_initial_depth(model: SpaceClip, depth: float) -> None:
    """Make every linear head predict ``depth * (1 + x)`` instead of x, and every logarithmic one add the log of depth.

    New heads end in a ReLU over values around zero, so half of their pixels would start without a gradient, and Adam's
    steps are far smaller than metres.
    """
    for head in (model.depth_head, *model.auxiliary_heads):
        if head.kind == "log":
            head.depth.bias.fill_(math.log(depth))
            continue
        head.scale(depth)
        head.depth.bias.add_(depth)


def _load_initial_weights(model: SpaceClip, path: str, optional: Sequence[str]) -> None:
    """Load a checkpoint's weights; optional parts that one of the two lacks are left as they are, or left out.

    A new refinement head starts from the checkpoint's head of names, if there is one.
    """
    finished = load_checkpoint(path)
    weights, wanted = finished.state_dict(), model.state_dict()
    if finished.uncertainty_head is not None and model.uncertainty_head is not None:
        model.config = dataclasses.replace(model.config, uncertainty_factor=finished.config.uncertainty_factor)
    for part in optional:
        if any(name.startswith(part) for name in weights) != any(name.startswith(part) for name in wanted):
            weights = {name: tensor for name, tensor in weights.items() if not name.startswith(part)}
            weights |= {name: tensor for name, tensor in wanted.items() if name.startswith(part)}
    if finished.refinement_head is None and model.refinement_head is not None:
        weights |= {name: tensor for name, tensor in wanted.items() if name.startswith(REFINEMENT_HEAD)}
        named = {name.replace(LANGUAGE_HEAD, REFINEMENT_HEAD): tensor for name, tensor in finished.state_dict().items()}
        weights |= {name: named[name] for name in wanted if name.startswith(REFINEMENT_HEAD) and name in named}
    differing = [name for name in wanted.keys() | weights.keys() if _shape(wanted, name) != _shape(weights, name)]
    if differing:
        raise ModelError(
            "initial",
            f"{path} holds another model than {model.config.name} in the settings; "
            f"differing tensors: {listed(sorted(differing))}",
            "give the settings that it was trained with, or another checkpoint",
        )
    model.load_state_dict(weights)


def _load_what_fits(model: SpaceClip, path: str) -> str:
    """Load the weights whose names and shapes the model has too; return which parts start from random weights.

    Raises:
        ModelError: nothing fits, or the checkpoint cannot be read.
    """
    weights, wanted = load_checkpoint(path).state_dict(), model.state_dict()
    fitting = {name: tensor for name, tensor in weights.items() if _shape(weights, name) == _shape(wanted, name)}
    if not fitting:
        raise ModelError("initial", f"no tensor of {path} has the name and shape of one in {model.config.name}")
    model.load_state_dict(fitting, strict=False)
    left = sorted({".".join(name.split(".")[:3]) for name in wanted.keys() - fitting.keys()})
    return (
        f"initial: {len(fitting)} of {len(wanted)} tensors taken; from random weights: {', '.join(left) or 'nothing'}"
    )


def _shape(tensors: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
