"""Settings of training and of evaluation data.

The defaults are the recipe of SPACE-CLIP (arXiv:2601.17657) on KITTI.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from space_clip_ros.config import CROPS
from space_clip_ros.model_config import ModelConfig
from space_clip_ros.settings import find_problems, group, parse, setting

SOURCE_KINDS = ("kitti_raw", "kitti_list", "nyu_list", "frames", "cityscapes", "shards")
_ROW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PUBLISHED_LISTS = {
    "eigen_train": "kitti_list",
    "eigen_test": "kitti_list",
    "nyu_train": "nyu_list",
    "nyu_test": "nyu_list",
}
"""The published lists of frames that the package knows, and the kind of source that reads each."""
PROTOCOLS = ("reference", "standard")
GEOMETRIES = ("reference", "consistent")
TRAINED = ("all", "uncertainty", "language", "refinement", "coarse")
SCHEDULES = ("warmup_cosine", "cosine", "step")


@dataclass(frozen=True)
class SourceConfig:
    """One collection of frames with depth."""

    kind: str = setting(
        "kitti_raw",
        "layout: raw drives, a list of KITTI or NYU files, a folder of frames, Cityscapes (no depth), or shards",
        choices=SOURCE_KINDS,
    )
    path: str = setting(
        "",
        "drive, folder that holds drives or frames at any depth, root of a list's images, or folder or address of "
        "shards",
    )
    depth_path: str = setting("", "root of a list's depth files; empty for the same as path")
    file_list: str = setting(
        "",
        "text file with `image depth focal` lines, or a published list by name: eigen_train, eigen_test (also for "
        "kitti_raw), nyu_train, nyu_test",
    )
    split: str = setting("all", "Eigen split by its drives", choices=("all", "eigen_train", "eigen_test"))
    frames: tuple[int, ...] = setting(
        (), "first frame and the one after the last, of each drive, list or folder; empty for all"
    )
    step: int = setting(1, "take every n-th frame", minimum=1)
    truth: str = setting(
        "auto",
        "depth of raw drives: annotated PNGs, projected scans (scan), or annotated if there are any, else scans (auto)",
        choices=("auto", "annotated", "scan"),
    )
    unknown: str = setting(
        "ignore",
        "pixels without depth: ignore, or far (they are sky, beyond every depth limit, as in synthetic drives)",
        choices=("ignore", "far"),
    )
    scenes: tuple[str, ...] = setting((), "kind frames: scenes to take, * for any text; empty for all")
    without_scenes: tuple[str, ...] = setting((), "kind frames: scenes to leave out, * for any text")
    truths: tuple[str, ...] = setting((), "kind frames: origins of depth to take, such as lidar; empty for all")
    weight: float = setting(1.0, "how often an epoch uses each frame, on average", minimum=0.0)
    labels: tuple[str, ...] = setting(
        (),
        "classes of the label maps to read, in the order of model.language.vocabulary; name=a+b merges several. "
        "Kinds kitti_raw (space_clip synthesize --labels; empty for none) and cityscapes (empty for all 19)",
    )

    _READ: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "kitti_raw": ("depth_path", "file_list", "split", "frames", "step", "truth", "unknown", "labels"),
        "kitti_list": ("depth_path", "file_list", "frames", "step"),
        "nyu_list": ("depth_path", "file_list", "frames", "step"),
        "frames": ("frames", "step", "scenes", "without_scenes", "truths"),
        "cityscapes": ("frames", "step", "labels"),
        "shards": ("frames", "step"),
    }
    """What each kind reads, beside kind, path and weight."""

    @property
    def chosen(self) -> slice:
        """The frames to take of those that there are: ``frames`` and ``step``."""
        first, end = self.frames or (None, None)
        return slice(first, end, self.step)

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if not self.path:
            yield "path: must be given"
        if self.kind.endswith("_list") and not self.file_list:
            yield f"file_list: must name a text file or a published list for kind {self.kind}"
        yield from self._file_list_problems()
        if len(self.frames) not in (0, 2) or (self.frames and not 0 <= self.frames[0] < self.frames[1]):
            yield f"frames: must be empty or [first, one after the last], got {list(self.frames)}"
        for field in fields(self):
            kinds = [kind for kind, read in self._READ.items() if field.name in read]
            if kinds and self.kind not in kinds and getattr(self, field.name) != field.default:
                yield f"{field.name}: not for kind {self.kind}, only for {', '.join(kinds)}"

    def _file_list_problems(self) -> Iterator[str]:
        reader = PUBLISHED_LISTS.get(self.file_list, "")
        if self.kind.endswith("_list"):
            if reader and reader != self.kind:
                yield f"file_list: {self.file_list} is for kind {reader}, not {self.kind}"
        elif self.file_list and self.kind == "kitti_raw" and reader != "kitti_list":
            yield f"file_list: must be eigen_train or eigen_test for kind {self.kind}, got {self.file_list!r}"


@dataclass(frozen=True)
class DataConfig:
    """Where frames come from and how they are read."""

    train: tuple[dict[str, Any], ...] = setting((), "sources to train on, each a group of SourceConfig")
    validation: tuple[dict[str, Any], ...] = setting((), "sources to evaluate on")
    resolution: tuple[int, ...] = setting(
        (), "height and width frames are shrunk to as they are read; empty for their own", minimum=1
    )
    canonical: bool = setting(
        False,
        "divide training depth by the focal factor between a frame's camera and model.training_camera, so that frames "
        "from any lens look like the training camera's; focal_scaling multiplies by it again",
    )
    occlusion: float = setting(
        0.0,
        "drop sparse training depth that is farther than its nearest neighbours by more than this share: a scanner "
        "above the camera sees past the edges of near objects; 0 keeps everything",
        minimum=0.0,
    )
    cache: bool = setting(False, "keep decoded frames in memory (about 2.3 MB for a full KITTI frame)")
    workers: int = setting(4, "reading processes for each training process; 0 reads in the training process", minimum=0)
    skip_broken: bool = setting(False, "skip frames that cannot be read instead of stopping")
    scan: bool = setting(True, "check every file before training")

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        for name in ("train", "validation"):
            for index, values in enumerate(getattr(self, name)):
                yield from (f"{name}[{index}]: {problem}" for problem in find_problems(SourceConfig, values))
        if len(self.resolution) not in (0, 2):
            yield f"resolution: must be empty or [height, width], got {list(self.resolution)}"


@dataclass(frozen=True)
class AugmentationConfig:
    """How training frames are augmented. The first block is the recipe's; the rest is off by default."""

    geometry: str = setting(
        "reference",
        "part of a frame that the network sees: reference (the paper's: the crop, resized to the network's input, "
        "although inference resizes whole frames) or consistent (the whole frame, resized as at inference; crop then "
        "only sets the size that the loss is computed at)",
        choices=GEOMETRIES,
    )
    do_nyu_crop: bool = setting(
        False,
        "first cut the white border off NYU's 640 x 480 pictures, which leaves 563 x 431; they are then stretched to a "
        "larger crop",
    )
    rotation: float = setting(1.0, "largest rotation either way, degrees", minimum=0.0, maximum=45.0)
    crop: tuple[int, ...] = setting(
        (352, 704), "height and width of the random crop, pixels; empty for whole frames", minimum=1
    )
    flip: float = setting(0.5, "probability of a horizontal flip", minimum=0.0, maximum=1.0)
    color: float = setting(0.5, "probability of gamma, brightness and colour changes", minimum=0.0, maximum=1.0)
    gamma: tuple[float, float] = setting((0.9, 1.1), "range of gamma", minimum=0.1)
    brightness: tuple[float, float] = setting((0.9, 1.1), "range of the brightness factor", minimum=0.0)
    tint: tuple[float, float] = setting((0.9, 1.1), "range of each channel's own factor", minimum=0.0)

    zoom: float = setting(
        1.0, "largest magnification; depth is divided by it, as if the camera were nearer", minimum=1.0
    )
    narrow: float = setting(
        1.0,
        "largest factor by which a frame is cut narrower and stretched back to its width, as training for pictures of "
        "other shapes; half of the frames stay whole; depth is divided by the factor's square root, which is the focal "
        "factor between the cut and the whole frame",
        minimum=1.0,
    )
    contrast: tuple[float, float] = setting((1.0, 1.0), "range of the contrast factor", minimum=0.0)
    saturation: tuple[float, float] = setting((1.0, 1.0), "range of the saturation factor", minimum=0.0)
    blur: float = setting(0.0, "probability of a Gaussian blur (sigma 0.3 to 1.2 pixels)", minimum=0.0, maximum=1.0)
    noise: float = setting(0.0, "largest standard deviation of pixel noise, grey levels", minimum=0.0)
    erase: float = setting(0.0, "probability of painting a rectangle of the image grey", minimum=0.0, maximum=1.0)
    splice: float = setting(
        0.0,
        "probability of replacing the part on one side of a random column with another frame's",
        minimum=0.0,
        maximum=1.0,
    )
    spectrum: float = setting(
        0.0,
        "probability of taking the low frequencies' amplitudes from another frame, so that synthetic pictures get the "
        "colours and the haze of real ones",
        minimum=0.0,
        maximum=1.0,
    )
    truth_size: tuple[int, ...] = setting(
        (), "height and width that the loss is computed at; empty for the crop's", minimum=1
    )

    @property
    def view(self) -> tuple[int, ...]:
        """Height and width of the part of a frame that the network sees; empty for all of it."""
        return self.crop if self.geometry == "reference" else ()

    @property
    def loss_size(self) -> tuple[int, ...]:
        """Height and width that the loss is computed at; empty for the frame's own."""
        return self.truth_size or self.crop

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        for name in ("crop", "truth_size"):
            if len(getattr(self, name)) not in (0, 2):
                yield f"{name}: must be empty or [height, width], got {list(getattr(self, name))}"
        for name in ("gamma", "brightness", "tint", "contrast", "saturation"):
            low, high = getattr(self, name)
            if low > high:
                yield f"{name}: must be [lowest, highest], got {[low, high]}"


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms."""

    silog: float = setting(0.5, "scale-invariant log error", minimum=0.0)
    ssim: float = setting(0.5, "structural similarity", minimum=0.0)
    gradient: float = setting(0.0, "finite differences", minimum=0.0)
    log_l1: float = setting(0.0, "absolute log error, the mean of each frame's mean", minimum=0.0)
    bands: float = setting(
        0.0, "absolute log error, the mean over distance bands (5, 10, 20, 40 m) of each frame", minimum=0.0
    )
    classes: float = setting(
        0.0,
        "absolute log error, the mean over the classes of model.language.vocabulary in each frame with labels",
        minimum=0.0,
    )
    log_gradient: float = setting(0.0, "finite differences of log depth, each frame's mean", minimum=0.0)
    far: float = setting(
        0.0, "log error below max_depth where the truth lies beyond it, such as the sky (unknown: far)", minimum=0.0
    )
    auxiliary: tuple[float, ...] = setting(
        (0.1, 0.05, 0.0), "scale-invariant log error of each auxiliary head, shallow to deep", minimum=0.0
    )

    @property
    def trains_depth(self) -> bool:
        """Whether a term beside the auxiliary heads' has a weight above 0."""
        terms = (self.silog, self.ssim, self.gradient, self.log_l1, self.bands, self.classes, self.log_gradient)
        return any((*terms, self.far))

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if not self.trains_depth and not any(self.auxiliary):
            yield "silog: at least one loss term needs a weight above 0"


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, its schedule and the moving average of the weights."""

    batch_size: int = setting(64, "samples per step, over all processes together", minimum=1)
    epochs: int = setting(20, "passes over the training frames", minimum=1)
    lr: float = setting(1e-4, "peak learning rate", minimum=0.0)
    final_lr: float = setting(1e-6, "learning rate at the end of the cosine", minimum=0.0)
    weight_decay: float = setting(0.01, "decoupled weight decay", minimum=0.0)
    warmup: float = setting(0.05, "share of the steps with a rising learning rate", minimum=0.0, maximum=1.0)
    schedule: str = setting(
        "warmup_cosine",
        "learning rate over the run: warmup_cosine (the paper's), or one rate per epoch without warm-up: cosine (down "
        "to final_lr) or step (times step_factor every step_epochs)",
        choices=SCHEDULES,
    )
    step_epochs: int = setting(10, "schedule step: epochs between its steps", minimum=1)
    step_factor: float = setting(0.5, "schedule step: factor of each step", minimum=0.0, maximum=1.0)
    clip_norm: float = setting(1.0, "largest norm of the gradient", minimum=1e-6)
    ema_decay: float = setting(0.996, "decay of the moving average, per step", minimum=0.0, maximum=1.0)
    max_bad_steps: int = setting(10, "NaN or infinite steps in a row before training stops", minimum=1)


@dataclass(frozen=True)
class RuntimeConfig:
    """Device, precision and memory layout."""

    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    bf16: bool = setting(False, "run the network's matrix products in bfloat16; weights stay float32")
    channels_last: bool = setting(True, "channels-last memory layout, the fastest for convolutions")
    compile: bool = setting(False, "torch.compile the network")
    threads: int = setting(0, "CPU threads of each process; 0 for PyTorch's own choice", minimum=0, maximum=1024)


@dataclass(frozen=True)
class ValidationConfig:
    """How epochs are evaluated; the weights with the best abs_rel are kept."""

    protocol: str = setting("reference", "reference (the paper's) or standard (the field's)", choices=PROTOCOLS)
    crop: str = setting("eigen", "image region compared under the standard protocol", choices=CROPS)
    every: int = setting(1, "epochs between evaluations; the last epoch is always evaluated", minimum=1)
    batch_size: int = setting(16, "images evaluated at once", minimum=1)


@dataclass(frozen=True)
class RunConfig:
    """What a run writes, where and how often."""

    dir: str = setting("runs/train", "folder of this run: settings, checkpoints, tables, pictures")
    checkpoint_minutes: float = setting(10.0, "minutes between checkpoints within an epoch; 0 for none", minimum=0.0)
    checkpoint_steps: int = setting(0, "steps between checkpoints within an epoch; 0 for none", minimum=0)
    log_steps: int = setting(10, "steps between rows of steps.csv", minimum=1)
    tensorboard: bool = setting(True, "write TensorBoard files if the tensorboard package is installed")
    wandb: str = setting(
        "",
        "project of Weights & Biases that the run is also logged to; empty for none (the extra wandb installs it, and "
        "its variable WANDB_MODE=offline keeps the log in run.dir)",
    )
    pictures: int = setting(4, "validation frames drawn after each evaluation", minimum=0)


@dataclass(frozen=True)
class TrainingConfig:
    """All settings of one training run."""

    seed: int = setting(42, "seed of weights, order, augmentation and dropout", minimum=0)
    pretrained: str = setting(
        "",
        "weights of the vision tower: a file (from a checkpoint of this package, only the tower is used), a model's "
        "folder in Hugging Face's layout, or one of open_clip's names, such as openai; empty for random weights",
    )
    initial: str = setting("", "checkpoint whose weights the whole model starts from; empty for none")
    initial_partly: bool = setting(
        False,
        "take from the initial checkpoint what has the same names and shapes, as for a decoder of other channels; the "
        "rest starts from random weights",
    )
    initial_depth: float = setting(
        0.0,
        "depth that new heads predict at first and the unit of their output, metres; 0 for PyTorch's initialisation, "
        "as in the recipe",
        minimum=0.0,
    )
    train_only: str = setting(
        "all",
        "what is trained: all; the uncertainty, language or refinement head alone, on a finished checkpoint, given as "
        "initial; or coarse: the tower and the decoder's first two blocks, through the second auxiliary head, in half "
        "the time. Everything else is frozen, batch norm statistics included",
        choices=TRAINED,
    )
    model: ModelConfig = group(ModelConfig, "network")
    data: DataConfig = group(DataConfig, "frames")
    augmentation: AugmentationConfig = group(AugmentationConfig, "augmentation of training frames")
    loss: LossConfig = group(LossConfig, "loss terms")
    optimizer: OptimizerConfig = group(OptimizerConfig, "optimiser and schedule")
    runtime: RuntimeConfig = group(RuntimeConfig, "device and precision")
    validation: ValidationConfig = group(ValidationConfig, "evaluation after epochs")
    run: RunConfig = group(RunConfig, "what is written, and where")

    @property
    def auxiliary_weights(self) -> tuple[float, ...]:
        """Loss weights of the auxiliary heads that the model has, shallow to deep."""
        decoder = self.model.decoder
        return self.loss.auxiliary[: len(decoder.channels) - 1] if decoder.auxiliary_heads else ()

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        for head, given in (("uncertainty", self.model.uncertainty), ("refinement", self.model.refinement)):
            if self.train_only == head and not given:
                yield f"train_only: {head} needs model.{head}: true"
            if self.train_only == head and not self.initial:
                yield f"train_only: {head} needs initial, the finished checkpoint whose head it trains"
        yield from self._loss_problems()
        if self.initial_partly and not self.initial:
            yield "initial_partly: needs initial"
        vocabulary = self.model.language.vocabulary
        if self.train_only == "language" and not vocabulary:
            yield "train_only: language needs model.language.vocabulary"
        if self.loss.classes and not (vocabulary and any(values.get("labels") for values in self.data.train)):
            yield "loss.classes: needs model.language.vocabulary, and labels of a source of data.train"
        for index, values in enumerate(self.data.train):
            names = tuple(text.partition("=")[0] for text in values.get("labels", ()))
            if names and vocabulary and names != vocabulary:
                yield f"data.train[{index}].labels: must name model.language.vocabulary, in its order"

    def _loss_problems(self) -> Iterator[str]:
        """Yield why the loss would train nothing, although one of its weights is above 0."""
        if self.train_only in ("uncertainty", "language") or self.loss.trains_depth:
            return
        if self.train_only != "all" and any(self.loss.auxiliary):
            yield f"loss: train_only: {self.train_only} needs a weight above 0 for a term beside auxiliary"
        elif any(self.loss.auxiliary) and not any(self.auxiliary_weights):
            heads = len(self.model.decoder.channels) - 1 if self.model.decoder.auxiliary_heads else 0
            yield f"loss.auxiliary: all weights above 0 are for heads that the model lacks, as it has {heads}"


@dataclass(frozen=True)
class AblationRowConfig:
    """One row of an ablation: a run that differs from the base by a few settings."""

    name: str = setting("", "name of the row and of its run's folder: letters, digits, dots, dashes and underscores")
    label: str = setting("", "what the table calls the row; empty for its name")
    overrides: tuple[str, ...] = setting((), "settings that replace the base's, as key=value")

    def problems(self) -> Iterator[str]:
        """Yield what cannot be a folder's name."""
        if not _ROW_NAME.fullmatch(self.name):
            yield f"name: must be letters, digits, dots, dashes and underscores, got {self.name!r}"


@dataclass(frozen=True)
class AblationConfig:
    """A table of training runs that differ from one base by a few settings each."""

    base: str = setting(
        "", "YAML file of training settings that every row starts from, relative to the ablation's file"
    )
    dir: str = setting("runs/ablation", "folder for the runs, each in a folder of its row's name, and for the table")
    rows: tuple[dict[str, Any], ...] = setting(
        (), "the rows, each a group of AblationRowConfig; the others are compared with the first"
    )

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if not self.base:
            yield "base: must name a YAML file of training settings"
        if not self.rows:
            yield "rows: must name at least one"
        for index, values in enumerate(self.rows):
            yield from (f"rows[{index}]: {problem}" for problem in find_problems(AblationRowConfig, values))
        names = [values.get("name") for values in self.rows]
        yield from (f"rows: {name!r} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1)


def sources(values: Iterable[Mapping[str, Any]]) -> list[SourceConfig]:
    """Check a list of sources from YAML and return their settings.

    Raises:
        ConfigError: a source has a problem.
    """
    return [parse(SourceConfig, item, f"source {index}") for index, item in enumerate(values)]
