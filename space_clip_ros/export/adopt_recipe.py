"""How to use a third-party depth network: what its input expects and what its output means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.network_size import NetworkSize
from space_clip_ros.model_config import RESIZE_RULES

INTERPOLATIONS = ("bilinear", "bicubic")
OUTPUTS = ("depth", "inverse", "relative", "relative_depth")
"""What an output is after scale and shift: metres; one over metres; inverse depth without a unit, larger is nearer (as
MiDaS and Depth Anything V2 give it); depth without a unit."""
UNCERTAINTIES = ("share", "metres", "confidence", "reciprocal")
"""What a second output is: one standard deviation as a share of depth, or in metres; a confidence from 0 to 1, taken
as a share of 1 - c; a confidence without an upper limit, taken as a share of 1 / c. All are multiplied by a factor."""
NORMALISATIONS: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "zero_to_one": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "minus_one_to_one": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "bytes": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
"""Mean and standard deviation of RGB in [0, 1], by name; ``bytes`` leaves 0 to 255 unchanged."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Recipe:
    """What must be known to run a network on a camera's images; None stands for what is not known yet.

    Attributes:
        name: name of the model.
        source: where the model comes from.
        licence: licence of its weights.
        size: height and width for ``rule``, pixels; taken from the file if it takes only one size.
        rule: one of :data:`space_clip_ros.model_config.RESIZE_RULES`.
        multiple: the sides of the network's input are multiples of this.
        interpolation: one of :data:`INTERPOLATIONS`, as OpenCV and PyTorch do it.
        antialias: widen the kernel when shrinking, as Pillow does.
        mean: of RGB in [0, 1].
        std: of RGB in [0, 1].
        channels: order of the input's channels, rgb or bgr.
        border: RGB of the border that the rule ``pad`` fills, 0 to 255.
        output: one of :data:`OUTPUTS`.
        depth_output: name of the output; empty for the only one.
        channel: of an output with several, such as z of points; None for those with one.
        scale: factor on the output; None for 1, or for relative depth what makes its median 10.
        shift: added to the scaled output.
        align_corners: the output is resized so that the centres of the corner pixels stay corners.
        uncertainty_output: name of a second output; empty for none.
        uncertainty: one of :data:`UNCERTAINTIES`.
        uncertainty_scale: factor on it.
        min_depth: smallest valid depth, metres.
        max_depth: largest valid depth, metres.
        training_camera: width, height, fx, fy of the camera trained on, pixels; empty where unknown.
        canonical_focal: focal length that its depth assumes, in pixels of the network's input; 0 for none.
        constants: values of the inputs other than the image, by name.
    """

    name: str = ""
    source: str = ""
    licence: str = ""
    size: tuple[int, int] | None = None
    rule: str = "straight"
    multiple: int = 1
    interpolation: str = "bilinear"
    antialias: bool = False
    mean: Triple | None = None
    std: Triple | None = None
    channels: str = "rgb"
    border: Triple = (0.0, 0.0, 0.0)
    output: str | None = None
    depth_output: str = ""
    channel: int | None = None
    scale: float | None = None
    shift: float = 0.0
    align_corners: bool = False
    uncertainty_output: str = ""
    uncertainty: str = "share"
    uncertainty_scale: float = 1.0
    min_depth: float = 0.001
    max_depth: float | None = None
    training_camera: tuple[float, ...] = ()
    canonical_focal: float = 0.0
    constants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def relative(self) -> bool:
        """Whether depth has no unit."""
        return self.output in ("relative", "relative_depth")

    @property
    def inverse(self) -> bool:
        """Whether the output is one over depth."""
        return self.output in ("inverse", "relative")

    @property
    def network_size(self) -> NetworkSize:
        """The size that the network takes images at."""
        assert self.size is not None
        return NetworkSize(*self.size, self.rule, self.multiple)

    def camera(self) -> tuple[float, ...]:
        """Return the training camera to record.

        A network with a canonical focal length f gives depth for a camera of f pixels at its own input size. Recorded
        as the training camera, it is what ``focal_scaling`` compares each camera with: depth * f_camera / f.
        """
        if not self.canonical_focal or self.size is None:
            return self.training_camera
        height, width = self.size
        return (float(width), float(height), self.canonical_focal, self.canonical_focal)

    def describe(self) -> str:
        """Return how input and output are read, in one line."""
        height, width = self.size or (0, 0)
        parts = [
            f"{width}x{height} {self.rule}",
            f"multiple of {self.multiple}" if self.multiple > 1 else "",
            f"{'antialiased ' if self.antialias else ''}{self.interpolation}",
            self.channels,
            f"mean {_numbers(self.mean)} std {_numbers(self.std)}",
            f"{self.depth_output or 'output'}{'' if self.channel is None else f'[{self.channel}]'} is {self.output}",
            "" if (self.scale, self.shift) in ((None, 0.0), (1.0, 0.0)) else f"x {self.scale:g} + {self.shift:g}",
            f"canonical focal length {self.canonical_focal:g}" if self.canonical_focal else "",
            f"{self.uncertainty_output} is {self.uncertainty}" if self.uncertainty_output else "",
        ]
        return ", ".join(part for part in parts if part)


def check_recipe(recipe: Recipe, fixed_size: tuple[int, int] | None) -> None:
    """Reject a recipe that is incomplete or contradicts itself; the error names everything that is missing.

    Args:
        recipe: to check.
        fixed_size: height and width of the only input that the file takes; None if it takes several.

    Raises:
        InputError: with the options that give what is missing, and their choices.
    """
    missing = []
    if recipe.size is None and fixed_size is None:
        missing.append("--size HEIGHT WIDTH (the file takes any)")
    if recipe.mean is None or recipe.std is None:
        missing.append(f"--normalise {'|'.join(NORMALISATIONS)}, or --mean R G B and --std R G B")
    if recipe.output is None:
        missing.append(f"--output {'|'.join(OUTPUTS)}")
    if recipe.max_depth is None and not recipe.relative:
        missing.append("--max-depth METRES")
    if missing:
        raise InputError("the recipe", f"lacks {'; '.join(missing)}", "give them, or --preset")
    for name, value, choices in _choices(recipe):
        if value not in choices:
            raise InputError(f"--{name}", f"must be one of {', '.join(choices)}, got {value!r}")
    for name, values in _values(recipe):
        if not all(map(math.isfinite, values)):
            raise InputError(f"--{name}", f"needs finite numbers, got {_numbers(values)}")
    for name, values in (("std", recipe.std or ()), ("uncertainty-scale", (recipe.uncertainty_scale,))):
        if min(values, default=1.0) <= 0.0:
            raise InputError(f"--{name}", f"must be above 0, got {_numbers(values)}")
    if recipe.canonical_focal < 0 or recipe.multiple < 1 or recipe.scale == 0.0:
        raise InputError("the recipe", "needs a canonical focal length of at least 0, a multiple of at least 1 and a "
                         "scale other than 0")  # fmt: skip
    if recipe.canonical_focal and recipe.training_camera:
        raise InputError("--canonical-focal", "is itself the training camera", "leave --training-camera out")


def _choices(recipe: Recipe) -> list[tuple[str, Any, tuple[str, ...]]]:
    return [
        ("resize", recipe.rule, RESIZE_RULES),
        ("interpolation", recipe.interpolation, INTERPOLATIONS),
        ("channels", recipe.channels, ("rgb", "bgr")),
        ("output", recipe.output, OUTPUTS),
        ("uncertainty-kind", recipe.uncertainty, UNCERTAINTIES),
    ]


def _values(recipe: Recipe) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield every number of a recipe that an option gives, by that option."""
    for name in ("mean", "std", "border", "training_camera"):
        yield name.replace("_", "-"), getattr(recipe, name) or ()
    for name in ("scale", "shift", "min_depth", "max_depth", "canonical_focal", "uncertainty_scale"):
        yield name.replace("_", "-"), (getattr(recipe, name) or 0.0,)
    for name, values in recipe.constants.items():
        yield f"set {name}", values


def _numbers(values: Sequence[float] | None) -> str:
    return "unknown" if values is None else "/".join(f"{value:.4g}" for value in values)
