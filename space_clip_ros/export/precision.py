"""Converts an export to fp16 or int8, and checks each file before it appears."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import onnx
import torch

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.fp16 import to_fp16
from space_clip_ros.export.fp16_emulation import EmulatedSession
from space_clip_ros.export.int8 import to_int8
from space_clip_ros.export.language_proof import LanguageDifference, Vectors, check_language
from space_clip_ros.export.proof import Difference, Differences, Run, compare
from space_clip_ros.export.trial_images import fit
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.metadata import OUTPUT_NAME, OnnxMetadata
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.image_to_depth import ImageToDepth

EXPORT_PRECISIONS = ("fp32", "fp16", "int8")
"""What :func:`space_clip_ros.export.onnx.export` can write."""
ABS_REL_TOLERANCE = 0.01
"""Largest relative change of abs_rel against ground truth that a file judged on a drive may cause."""

Predict = Callable[[Rgb], Depth]


class _Tolerance(NamedTuple):
    """Largest relative differences from PyTorch: of an image's mean, and of a single pixel."""

    mean: float
    pixel: float


DEPTH_TOLERANCES = {
    "fp32": _Tolerance(1e-3, 1e-3),
    "fp16": _Tolerance(1e-2, 2e-1),
    "int8": _Tolerance(5e-2, float("inf")),
}
"""For int8, single pixels at object edges say little; abs_rel counts instead."""
UNCERTAINTY_TOLERANCES = {
    "fp32": _Tolerance(1e-3, 1e-2),
    "fp16": _Tolerance(2e-2, 5e-1),
    "int8": _Tolerance(1e-1, float("inf")),
}
"""The same for uncertainty, whose own error is far larger: it is an exponential of what the head computes."""


@dataclass(frozen=True)
class DriveFrames:
    """Real frames that calibrate and judge an export of lower precision.

    Attributes:
        source: where they come from; kept in the file.
        calibration: (H, W, 3) uint8 RGB images that set the scales of int8.
        held_out: images that the export is judged on, none of them in ``calibration``.
        abs_rel: takes a function from image to depth and returns its mean abs_rel on the held-out images.
    """

    source: str
    calibration: Sequence[Rgb]
    held_out: Sequence[Rgb]
    abs_rel: Callable[[Predict], float]

    def judge(self, original: Predict, converted: Predict) -> tuple[float, float]:
        """Return abs_rel on the held-out images before and after a conversion.

        Raises:
            ExportError: they differ by more than :data:`ABS_REL_TOLERANCE`, with the numbers.
        """
        before, after = self.abs_rel(original), self.abs_rel(converted)
        if abs(after - before) > ABS_REL_TOLERANCE * before:
            raise ExportError(
                f"abs_rel on {len(self.held_out)} frames of {self.source} goes from {before:.4f} to {after:.4f}, "
                f"by {(after - before) / before:+.2%}, and {ABS_REL_TOLERANCE:.0%} is allowed",
                "",
                "take another precision, or calibrate on frames more like those the model will see",
            )
        return before, after


class Proof(NamedTuple):
    """How much a file differs from its model.

    Attributes:
        difference: from PyTorch; in fp16 with its rounding.
        abs_rel: of PyTorch and of the file on the held-out frames; None without a drive.
        largest_fp16: largest magnitude of an fp16 tensor; None in other precisions.
        uncertainty: as ``difference``, of the uncertainty; None if the model has none.
        language: as ``difference``, of language features; None if the file has none.
    """

    difference: Difference
    abs_rel: tuple[float, float] | None = None
    largest_fp16: float | None = None
    uncertainty: Difference | None = None
    language: LanguageDifference | None = None


def check_evidence(precision: str, evidence: DriveFrames | None, symmetric: bool = False) -> None:
    """Reject a precision that cannot be exported or checked with what is given.

    Raises:
        InputError: an unknown precision; int8 without a drive; symmetric, but not int8.
    """
    if precision not in EXPORT_PRECISIONS:
        raise InputError("precision", f"{precision!r} cannot be exported", f"available: {', '.join(EXPORT_PRECISIONS)}")
    if precision == "int8" and evidence is None:
        raise InputError(
            "int8 is calibrated on the frames of a drive and judged by its depth",
            "",
            "give one with --drive, a KITTI raw drive or one of 'space_clip synthesize'",
        )
    if symmetric and precision != "int8":
        raise InputError(
            f"symmetric is a kind of int8, and precision is {precision}", "", "take --precision int8 with it"
        )


def convert(
    graph: onnx.ModelProto,
    precision: str,
    evidence: DriveFrames | None,
    size: tuple[int, int] | None,
    batch: int | None,
    symmetric: bool = False,
) -> onnx.ModelProto:
    """Return a float32 graph in ``precision``.

    Args:
        graph: as traced.
        precision: one of :data:`EXPORT_PRECISIONS`.
        evidence: the frames for int8.
        size: height and width of the graph's images, pixels; None if it takes any size.
        batch: images per run of the graph; None if it takes any number.
        symmetric: int8 as TensorRT needs it.

    Raises:
        ExportError: a weight does not fit fp16.
    """
    if precision == "fp16":
        return to_fp16(graph)
    if precision == "int8" and evidence is not None:
        return to_int8(graph, evidence.calibration, size, batch, symmetric)
    return graph


def proof_steps(trials: Sequence[Rgb], evidence: DriveFrames | None, rounds: int) -> int:
    """Return how often ``advance`` is called by a proof that compares each trial ``rounds`` times."""
    return rounds * len(trials) + (2 * len(evidence.held_out) if evidence else 0)


def prove(
    file: Path,
    graph: onnx.ModelProto,
    model: SpaceClip,
    trials: Sequence[Rgb],
    evidence: DriveFrames | None,
    advance: Callable[[], None] = lambda: None,
    queries: Vectors | None = None,
) -> Proof:
    """Compare a written file with the model, and judge it by ground truth if there is any.

    Args:
        file: the file, with its metadata.
        graph: the graph in it.
        model: the model it was made from, in evaluation mode, on the CPU.
        trials: (H, W, 3) uint8 RGB images, of the file's size if it has one.
        evidence: a drive's frames.
        advance: called after each image.
        queries: (N, D) vectors that language features are judged with; None takes some of those features.

    Raises:
        ExportError: it is beyond a tolerance, with the numbers; or the model's depth proves nothing.
    """
    sessions = OnnxSessions(file)
    metadata = sessions.metadata
    differences = compare(sessions.estimate, metadata.batch, model, trials, advance, queries)
    check_differences(differences, metadata.precision, "ONNX Runtime")
    largest = None
    if metadata.precision == "fp16":
        emulated = EmulatedSession(graph)
        differences = compare(emulated.estimate, metadata.batch, model, trials, advance, queries)
        emulated.check_range("export in fp32")
        largest = emulated.largest
        check_differences(differences, metadata.precision, "fp16")
    abs_rel = None if evidence is None else judged(sessions.estimate, metadata, model, evidence, advance)
    sessions.close()
    return Proof(differences.depth, abs_rel, largest, differences.uncertainty, differences.language)


def check_differences(differences: Differences, precision: str, runtime: str) -> None:
    """Reject a file that differs too much from its model.

    Args:
        differences: as :func:`~space_clip_ros.export.proof.compare` returns them.
        precision: the file's.
        runtime: what ran it, for the error.

    Raises:
        ExportError: it does, with the numbers.
    """
    depth, uncertainty, language = differences
    _check_difference(depth, DEPTH_TOLERANCES[precision], runtime, f" ({depth.absolute:.2g} m)")
    if uncertainty is not None:
        _check_difference(uncertainty, UNCERTAINTY_TOLERANCES[precision], f"the uncertainty of {runtime}")
    if language is not None:
        check_language(language, precision)


def _check_difference(difference: Difference, tolerance: _Tolerance, runtime: str, metres: str = "") -> None:
    if difference.relative > tolerance.pixel:
        raise ExportError(
            f"{runtime} differs from PyTorch by {difference.relative:.2g} relative{metres}, more than "
            f"{tolerance.pixel:g}"
        )
    if difference.mean > tolerance.mean:
        raise ExportError(
            f"{runtime} differs from PyTorch by {difference.mean:.2g} relative on average, more than {tolerance.mean:g}"
        )


def judged(
    run: Run, metadata: OnnxMetadata, model: SpaceClip, evidence: DriveFrames, advance: Callable[[], None]
) -> tuple[float, float]:
    """Compare the abs_rel of a file and of its model, on frames with ground truth.

    Args:
        run: runs the file.
        metadata: the file's.
        model: the model it was made from, in evaluation mode, on the CPU.
        evidence: a drive's frames.
        advance: called twice for each of those held out.

    Returns:
        abs_rel of the model and of the file.

    Raises:
        ExportError: they differ by more than :data:`ABS_REL_TOLERANCE`, with the numbers.
    """

    def fitted(image: Rgb) -> Rgb:
        advance()
        return image if metadata.size is None else fit(image, metadata.size)

    def original(image: Rgb) -> Depth:
        image = fitted(image)
        with torch.inference_mode():
            depth = ImageToDepth(model, (image.shape[0], image.shape[1]))(torch.from_numpy(image)[None])
        return cast(Depth, depth[0].numpy())

    def exported(image: Rgb) -> Depth:
        depths = run(np.repeat(fitted(image)[None], metadata.batch or 1, axis=0))[OUTPUT_NAME]
        return np.asarray(depths[0], np.float32)

    return evidence.judge(original, exported)
