"""A model as one self-contained ONNX file that carries its facts and has been compared with PyTorch."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
import torch

from space_clip_ros import __version__
from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.precision import Evidence, Proof, check_evidence, lower, proof_steps, prove
from space_clip_ros.export.proof import ANY_SIZES, fit, made_up_images
from space_clip_ros.export.simplify import plain, simplify
from space_clip_ros.export.trace import OPSET, trace
from space_clip_ros.inference.backend import Rgb
from space_clip_ros.inference.integrity import graph_sha256
from space_clip_ros.inference.metadata import (
    BATCH_NAME,
    HEIGHT_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    WIDTH_NAME,
    OnnxMetadata,
)
from space_clip_ros.inference.predictor import check_image
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.image_to_depth import RESIZE_BANDS, ImageToDepth

_LARGEST_FILE = 2**31 - 1
"""Bytes that protobuf, and so one ONNX file, can hold."""
_EXAMPLE_SIZE = (375, 1242)


@dataclass(frozen=True)
class ExportReport:
    """A finished export.

    Attributes:
        path: the file.
        bytes: its size.
        nodes: operators in the graph.
        proof: how far it is from PyTorch, and from the truth where a drive was given.
        metadata: what the file says about itself.
    """

    path: Path
    bytes: int
    nodes: int
    proof: Proof
    metadata: OnnxMetadata


def export(
    model: SpaceClip,
    path: str | Path,
    height: int | None = None,
    width: int | None = None,
    batch: int | None = None,
    precision: str = "fp32",
    *,
    symmetric: bool = False,
    images: Sequence[Rgb] = (),
    evidence: Evidence | None = None,
    source_sha256: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write a model as an ONNX file: ``image`` uint8 (B, H, W, 3) RGB in, ``depth`` float32 (B, H, W) metres out.

    The file appears only after ONNX Runtime has given PyTorch's depth on made-up images and on those given; int8, whose
    scales fit real images, on those given.

    Args:
        model: not changed; exported in evaluation mode.
        path: the file to write; its folder must exist.
        height: height of every image to come, pixels. Height and width given make a graph of static shapes (TensorRT
            wants that); without both it takes any size.
        width: and its width.
        batch: images a run. Without it a graph of static shapes takes one, any other any number.
        precision: one of :data:`space_clip_ros.export.precision.EXPORT_PRECISIONS`.
        symmetric: make int8 for TensorRT: around zero, which costs a CPU time.
        images: real (H, W, 3) uint8 RGB images to compare on as well, of any size.
        evidence: frames of a drive: int8 is calibrated on some, and any precision is judged by its abs_rel on others.
        source_sha256: hash of the checkpoint file, kept in the metadata.
        progress: called with (steps done, steps in all).

    Raises:
        InputError: sizes, a precision or images that do not fit; int8 without evidence; symmetric, but not int8.
        ExportError: the file does not compute what the model does, with the numbers; or it would be over 2 GB, or
            cannot be written. Nothing is left behind, and a file that was there before stays.
    """
    path = Path(path)
    size = _checked_size(height, width, batch)
    check_evidence(precision, evidence, symmetric)
    for image in images:
        check_image(image)
    if sum(parameter.nbytes for parameter in model.parameters()) > _LARGEST_FILE:
        raise ExportError(f"{path}: would be over 2 GB, which one ONNX file cannot hold; use a smaller model")
    model = copy.deepcopy(model).cpu().eval()
    batch = 1 if batch is None and size is not None else batch
    metadata = OnnxMetadata(model.config, precision, size, batch, source_sha256, created_with=_created_with())
    trials = _trials(images, size, precision, evidence)
    steps = proof_steps(precision, trials, evidence) + 1
    # what spares a CPU operations only means more and smaller calls to an accelerator
    accelerated = precision == "fp16" or symmetric
    network = plain(model) if accelerated else simplify(model, quantised=precision == "int8")
    traced = _traced(network, size, batch, bands=1 if accelerated else RESIZE_BANDS)
    with _refusing(path):
        graph = lower(traced, precision, evidence, size, batch, symmetric)
    metadata = dataclasses.replace(metadata, graph_sha256=graph_sha256(memoryview(graph.SerializeToString())))
    progress(1, steps)
    done = iter(range(2, steps + 1))
    with _appearing(path) as temporary:
        _write(graph, metadata, temporary, path)
        with _refusing(path):
            proof = prove(temporary, graph, model, trials, evidence, lambda: progress(next(done), steps))
        metadata = _proved(metadata, proof, evidence)
        _write(graph, metadata, temporary, path)
    return ExportReport(path, path.stat().st_size, len(graph.graph.node), proof, metadata)


def _proved(metadata: OnnxMetadata, proof: Proof, evidence: Evidence | None) -> OnnxMetadata:
    return dataclasses.replace(
        metadata,
        max_difference=proof.difference.relative,
        max_difference_m=proof.difference.absolute,
        mean_difference=proof.difference.mean,
        drive="" if evidence is None else evidence.source,
        abs_rel=proof.abs_rel,
        largest_fp16=proof.largest_fp16,
    )


def _checked_size(height: int | None, width: int | None, batch: int | None) -> tuple[int, int] | None:
    if batch is not None and batch < 1:
        raise InputError(f"batch: must be at least 1, got {batch}")
    if height is None and width is None:
        return None
    if height is None or width is None:
        raise InputError(f"size: give both height and width or neither, got height {height} and width {width}")
    if min(height, width) < 1:
        raise InputError(f"size: must be at least 1 x 1 pixel, got height {height} and width {width}")
    return height, width


def _trials(
    images: Sequence[Rgb], size: tuple[int, int] | None, precision: str, evidence: Evidence | None
) -> list[Rgb]:
    held_out = [] if evidence is None else evidence.held_out
    real = [image if size is None else fit(image, size) for image in (*images, *held_out)]
    if precision == "int8":
        return real  # made-up images lie outside what its scales are made for
    return [made_up for trial in (ANY_SIZES if size is None else (size,)) for made_up in made_up_images(*trial)] + real


def _traced(
    network: SpaceClip, size: tuple[int, int] | None, batch: int | None, bands: int = RESIZE_BANDS
) -> onnx.ModelProto:
    names = {0: None if batch else BATCH_NAME, 1: None if size else HEIGHT_NAME, 2: None if size else WIDTH_NAME}
    symbolic = {axis: name for axis, name in names.items() if name is not None}
    # not 1 where any number will do: tracing would take a size of 1 for one that broadcasts
    example = torch.zeros((batch or 2, *(size or _EXAMPLE_SIZE), 3), dtype=torch.uint8)
    return trace(ImageToDepth(network, size, bands=bands).eval(), example, INPUT_NAME, OUTPUT_NAME, symbolic)


def _write(graph: onnx.ModelProto, metadata: OnnxMetadata, temporary: Path, path: Path) -> None:
    onnx.helper.set_model_props(graph, metadata.to_properties())
    try:
        temporary.write_bytes(graph.SerializeToString())
    except OSError as error:
        reason = error.strerror
        raise ExportError(f"{path}: cannot be written ({reason}); check the folder and the space left") from error


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Say of which file a failure in the block is."""
    try:
        yield
    except ExportError as error:
        raise ExportError(f"{path}: not written, as {error}") from error


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` that takes its place if the block ends well and vanishes if not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _created_with() -> str:
    libraries = f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}"
    return f"space_clip_ros {__version__}, {libraries}, opset {OPSET}"
