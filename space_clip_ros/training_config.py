"""Settings of training and evaluation data: with ``config.py``, the only defaults of the project.

The defaults are the recipe of SPACE-CLIP (arXiv:2601.17657) on KITTI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from space_clip_ros.config import ModelConfig
from space_clip_ros.settings import find_problems, group, parse, setting

SOURCE_KINDS = ("kitti_raw", "kitti_list", "nyu_list")
PROTOCOLS = ("reference", "standard")
CROPS = ("none", "garg", "eigen")
GEOMETRIES = ("reference", "consistent")


@dataclass(frozen=True)
class SourceConfig:
    """One collection of frames with depth."""

    kind: str = setting("kitti_raw", "layout: raw drives, or a list of KITTI or NYU files", choices=SOURCE_KINDS)
    path: str = setting("", "drive folder, folder that holds drives at any depth, or root of a list's images")
    depth_path: str = setting("", "root of a list's depth files; empty for the same as path")
    file_list: str = setting("", "text file with `image depth focal` lines; only for the list kinds")
    split: str = setting("all", "Eigen split by its drives", choices=("all", "eigen_train", "eigen_test"))
    frames: tuple[int, ...] = setting((), "first frame and the one after the last, of each drive; empty for all")
    step: int = setting(1, "take every n-th frame", minimum=1)
    truth: str = setting(
        "auto",
        "depth of raw drives: annotated PNGs, projected scans, or annotated where there are any",
        choices=("auto", "annotated", "scan"),
    )
    weight: float = setting(1.0, "how often an epoch shows each frame, on average", minimum=0.0)

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if not self.path:
            yield "path: must be given"
        if self.kind.endswith("_list") and not self.file_list:
            yield f"file_list: must name a text file for kind {self.kind}"
        if len(self.frames) not in (0, 2) or (self.frames and not 0 <= self.frames[0] < self.frames[1]):
            yield f"frames: must be empty or [first, one after the last], got {list(self.frames)}"


@dataclass(frozen=True)
class DataConfig:
    """Where frames come from and how they are read."""

    train: tuple[dict[str, Any], ...] = setting((), "sources to train on, each a group of SourceConfig")
    validation: tuple[dict[str, Any], ...] = setting((), "sources to evaluate on")
    resolution: tuple[int, ...] = setting(
        (), "height and width frames are shrunk to as they are read; empty for their own", minimum=1
    )
    cache: bool = setting(False, "keep decoded frames in memory (about 2.3 MB for a full KITTI frame)")
    workers: int = setting(4, "reading processes for each training process; 0 reads in the training process", minimum=0)
    skip_broken: bool = setting(False, "leave out frames that cannot be read instead of stopping")
    scan: bool = setting(True, "look at every file before training")

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        for name in ("train", "validation"):
            for index, values in enumerate(getattr(self, name)):
                yield from (f"{name}[{index}]: {problem}" for problem in find_problems(SourceConfig, values))
        if len(self.resolution) not in (0, 2):
            yield f"resolution: must be empty or [height, width], got {list(self.resolution)}"


@dataclass(frozen=True)
class AugmentationConfig:
    """How a training frame is varied. The first block is the recipe's; the rest is off by default."""

    geometry: str = setting(
        "reference",
        "what a training view shows: reference (the paper's: the crop, squeezed to the network's input, although whole "
        "frames are squeezed at inference) or consistent (the whole frame, resized as at inference; crop is then only "
        "the size that the loss is taken at)",
        choices=GEOMETRIES,
    )
    rotation: float = setting(1.0, "largest rotation either way, degrees", minimum=0.0, maximum=45.0)
    crop: tuple[int, ...] = setting(
        (352, 704), "height and width of the random crop; empty for whole frames", minimum=1
    )
    flip: float = setting(0.5, "probability of a horizontal flip", minimum=0.0, maximum=1.0)
    color: float = setting(0.5, "probability of gamma, brightness and colour changes", minimum=0.0, maximum=1.0)
    gamma: tuple[float, float] = setting((0.9, 1.1), "range of gamma", minimum=0.1)
    brightness: tuple[float, float] = setting((0.9, 1.1), "range of the brightness factor", minimum=0.0)
    tint: tuple[float, float] = setting((0.9, 1.1), "range of each channel's own factor", minimum=0.0)

    zoom: float = setting(
        1.0, "largest magnification; depth is divided by it, as the unzoomed camera would see it", minimum=1.0
    )
    contrast: tuple[float, float] = setting((1.0, 1.0), "range of the contrast factor", minimum=0.0)
    saturation: tuple[float, float] = setting((1.0, 1.0), "range of the saturation factor", minimum=0.0)
    blur: float = setting(0.0, "probability of a Gaussian blur (sigma 0.3 to 1.2 pixels)", minimum=0.0, maximum=1.0)
    noise: float = setting(0.0, "largest standard deviation of pixel noise, grey levels", minimum=0.0)
    erase: float = setting(0.0, "probability of greying a rectangle of the image", minimum=0.0, maximum=1.0)
    truth_size: tuple[int, ...] = setting(
        (), "height and width of the depth that the loss is taken at; empty for the crop's", minimum=1
    )

    @property
    def view(self) -> tuple[int, ...]:
        """Height and width of the part of a frame that is shown; empty for all of it."""
        return self.crop if self.geometry == "reference" else ()

    @property
    def loss_size(self) -> tuple[int, ...]:
        """Height and width of the depth that the loss is taken at; empty for the frame's own."""
        return self.truth_size or self.crop

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
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
    auxiliary: tuple[float, ...] = setting(
        (0.1, 0.05, 0.0), "scale-invariant log error of each auxiliary head, shallow to deep", minimum=0.0
    )

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if not any((self.silog, self.ssim, self.gradient, *self.auxiliary)):
            yield "silog: at least one loss term needs a weight above 0"


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, its schedule and the moving average of the weights."""

    batch_size: int = setting(64, "samples a step, over all processes together", minimum=1)
    epochs: int = setting(20, "passes over the training frames", minimum=1)
    lr: float = setting(1e-4, "peak learning rate", minimum=0.0)
    final_lr: float = setting(1e-6, "learning rate at the end of the cosine", minimum=0.0)
    weight_decay: float = setting(0.01, "decoupled weight decay", minimum=0.0)
    warmup: float = setting(0.05, "share of the steps with a rising learning rate", minimum=0.0, maximum=1.0)
    clip_norm: float = setting(1.0, "largest norm of the gradient", minimum=1e-6)
    ema_decay: float = setting(0.996, "decay of the moving average, per step", minimum=0.0, maximum=1.0)
    max_bad_steps: int = setting(10, "NaN or infinite steps in a row before training stops", minimum=1)


@dataclass(frozen=True)
class RuntimeConfig:
    """How the arithmetic is done."""

    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    bf16: bool = setting(False, "run the network's matrix products in bfloat16; weights stay float32")
    channels_last: bool = setting(True, "memory layout that convolutions like best")
    compile: bool = setting(False, "torch.compile the network")
    threads: int = setting(0, "CPU threads of each process; 0 for PyTorch's own choice", minimum=0, maximum=1024)


@dataclass(frozen=True)
class ValidationConfig:
    """What is measured after an epoch; the best abs_rel is kept."""

    protocol: str = setting("reference", "reference (the paper's) or standard (the field's)", choices=PROTOCOLS)
    crop: str = setting("eigen", "image region compared under the standard protocol", choices=CROPS)
    every: int = setting(1, "epochs between evaluations; the last epoch is always evaluated", minimum=1)
    batch_size: int = setting(16, "images evaluated at once", minimum=1)


@dataclass(frozen=True)
class RunConfig:
    """What a run writes, and where."""

    dir: str = setting("runs/train", "folder of this run: settings, checkpoints, tables, pictures")
    checkpoint_minutes: float = setting(10.0, "minutes between checkpoints inside an epoch", minimum=0.0)
    checkpoint_steps: int = setting(0, "steps between checkpoints inside an epoch; 0 for none by count", minimum=0)
    log_steps: int = setting(10, "steps between lines of the table of steps", minimum=1)
    tensorboard: bool = setting(True, "write TensorBoard files where the tensorboard package is installed")
    pictures: int = setting(4, "validation frames drawn after each evaluation", minimum=0)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything of one training run."""

    seed: int = setting(42, "seed of weights, order, augmentation and dropout", minimum=0)
    pretrained: str = setting(
        "",
        "weights of the vision tower: a file (a checkpoint of this package too, of which only the tower is taken), or "
        "open_clip's name such as openai; empty for random ones",
    )
    initial: str = setting("", "checkpoint file whose weights the whole model starts from; empty for none")
    initial_depth: float = setting(
        0.0,
        "depth that new heads begin with, and their unit, metres; 0 for PyTorch's own start, as the recipe",
        minimum=0.0,
    )
    model: ModelConfig = group(ModelConfig, "network")
    data: DataConfig = group(DataConfig, "frames")
    augmentation: AugmentationConfig = group(AugmentationConfig, "variation of training frames")
    loss: LossConfig = group(LossConfig, "loss terms")
    optimizer: OptimizerConfig = group(OptimizerConfig, "optimiser and schedule")
    runtime: RuntimeConfig = group(RuntimeConfig, "arithmetic")
    validation: ValidationConfig = group(ValidationConfig, "measurement after each epoch")
    run: RunConfig = group(RunConfig, "what is written")


def sources(values: Iterable[Mapping[str, Any]]) -> list[SourceConfig]:
    """Check a list of sources from YAML and return their settings.

    Raises:
        ConfigError: a source has a problem.
    """
    return [parse(SourceConfig, item, f"source {index}") for index, item in enumerate(values)]
