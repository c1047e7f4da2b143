"""Exports a model as one file with metadata, an ONNX graph or a package, and compares it with PyTorch."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime
import torch

from space_clip_ros import __version__
from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.cost import network_cost
from space_clip_ros.export.graph_file import LARGEST_FILE, write_graph
from space_clip_ros.export.language_proof import Vectors, query_vectors
from space_clip_ros.export.precision import DriveFrames, Proof, check_evidence, convert, proof_steps, prove
from space_clip_ros.export.simplify import simplify, with_merged_adapters
from space_clip_ros.export.torch_package import PackageBuild, check_package
from space_clip_ros.export.trace import OPSET, trace
from space_clip_ros.export.trial_images import ANY_SIZES, fit, synthetic_images
from space_clip_ros.files import written_whole
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.inference.integrity import graph_sha256
from space_clip_ros.inference.metadata import (
    BATCH_NAME,
    HEIGHT_NAME,
    INPUT_NAME,
    WIDTH_NAME,
    OnnxMetadata,
)
from space_clip_ros.inference.model_files import is_package
from space_clip_ros.inference.predictor import check_image
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.image_to_depth import RESIZE_BANDS, ImageToEstimate
from space_clip_ros.model.joint_space import with_outputs
from space_clip_ros.model.space_clip import name_tower
from space_clip_ros.model_config import LanguageConfig

"""The most bytes that protobuf, and so one ONNX file, can hold."""
_EXAMPLE_SIZE = (375, 1242)


@dataclass(frozen=True)
class ExportReport:
    """A finished export.

    Attributes:
        path: the file.
        bytes: its size.
        proof: how much it differs from PyTorch, and from ground truth if a drive was given.
        metadata: the file's metadata.
        target: what a package was compiled for, in words; empty for a graph.
    """

    path: Path
    bytes: int
    proof: Proof
    metadata: OnnxMetadata
    target: str = ""


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
    evidence: DriveFrames | None = None,
    source_sha256: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
    outputs: Sequence[str] | None = None,
    queries: QuerySet | None = None,
) -> ExportReport:
    """Write a model as an ONNX file: ``image`` uint8 (B, H, W, 3) RGB in, ``depth`` float32 (B, H, W) metres out.

    A path that ends in .pt2 gets a package instead (:mod:`space_clip_ros.inference.torch_package`), compiled for the
    GPU that PyTorch uses, else for this processor.

    A model with uncertainty has a second output, ``uncertainty`` float32 (B, h, w): one standard deviation as a share
    of depth, at a quarter of the network's input size. One with language features has ``embedding`` float32 (B, D)
    and ``dense`` float32 (B, rows, columns, D).

    The file appears only after ONNX Runtime, or the package, has reproduced PyTorch's depth on synthetic images and on
    those given; int8 is compared only on those given, because its scales fit real images only.

    Args:
        model: not changed; exported in evaluation mode.
        path: the file to write; its folder must exist.
        height: height of every image to come, pixels. Height and width make a graph of static shapes, which TensorRT
            and packages need; without both it takes any size.
        width: width of every image to come, pixels.
        batch: images per run. Without it a graph of static shapes takes one, and any other graph any number.
        precision: one of :data:`space_clip_ros.export.precision.EXPORT_PRECISIONS`.
        symmetric: make int8 symmetric, for TensorRT; on a CPU that is slower.
        images: real (H, W, 3) uint8 RGB images to compare on as well, of any size.
        evidence: frames of a drive: int8 is calibrated on some, and any precision is judged by its abs_rel on others.
        source_sha256: hash of the checkpoint file, kept in the metadata.
        progress: called with (steps done, number of steps).
        outputs: which of ``depth``, ``embedding`` and ``dense`` the file gives; None for all that the model has. Depth
            is always given, and with it its uncertainty if the model has it.
        queries: what language features are judged with, besides their cosines: what each patch is labelled. None
            takes some of the patches' own features.

    Raises:
        InputError: outputs that the model does not have; queries for another model; sizes, a precision or images that
            do not fit; int8 without evidence; symmetric, but not int8.
        ExportError: the file does not compute what the model does, with the numbers; or a graph would be over 2 GB,
            PyTorch cannot compile a package, or the folder does not exist. Nothing is left behind, and a file that was
            there before stays.
        DataError: the file cannot be written; likewise.
    """
    path = Path(path)
    size = _checked_size(height, width, batch)
    if is_package(path):
        check_package(size, batch, precision)
    check_evidence(precision, evidence, symmetric)
    for image in images:
        check_image(image)
    if not is_package(path) and sum(parameter.nbytes for parameter in model.parameters()) > LARGEST_FILE:
        raise ExportError(path, "would be over 2 GB, which one ONNX file cannot hold", "use a smaller model")
    if not path.parent.is_dir():
        raise ExportError(path, f"cannot be written (there is no folder {path.parent})", "check the folder")
    model = with_outputs(copy.deepcopy(model).cpu().eval(), outputs)
    if not model.config.language.tower:
        name_tower(model)
    if queries is not None:
        queries.check(model.config.language)
    batch = 1 if batch is None and size is not None else batch
    metadata = OnnxMetadata(
        model.config,
        precision,
        size,
        batch,
        source_sha256,
        created_with=_created_with(),
        cost=network_cost(model.config),
    )
    trials = _trials(images, size, precision, evidence)
    vectors = _query_vectors(model.config.language, queries)
    with ExitStack() as stack:
        built: PackageBuild | _GraphBuild
        with _named(path):
            if is_package(path):
                folder = stack.enter_context(TemporaryDirectory(prefix="space_clip_export_"))
                built = PackageBuild(model, metadata, Path(folder, "compiled.pt2"))
            else:
                built = _GraphBuild(model, metadata, evidence, symmetric)
        steps = proof_steps(trials, evidence, built.rounds) + 1
        progress(1, steps)
        done = iter(range(2, steps + 1))
        draft = stack.enter_context(written_whole(path, durable=True))
        built.write(draft, built.metadata)
        with _named(path):
            proof = built.prove(draft, model, trials, evidence, lambda: progress(next(done), steps), vectors)
        metadata = _with_proof(built.metadata, proof, evidence)
        built.write(draft, metadata)
    return ExportReport(path, path.stat().st_size, proof, metadata, built.target)


class _GraphBuild:
    """A model as an ONNX graph.

    Attributes:
        metadata: of the file.
        rounds: how often each trial image is compared.
        target: empty: a graph is not compiled for one machine.
    """

    target = ""

    def __init__(self, model: SpaceClip, metadata: OnnxMetadata, evidence: DriveFrames | None, symmetric: bool) -> None:
        precision, size, batch = metadata.precision, metadata.size, metadata.batch
        # simplifications save operations on a CPU, but mean more and smaller kernels on an accelerator
        accelerated = precision == "fp16" or symmetric
        network = with_merged_adapters(model) if accelerated else simplify(model, quantised=precision == "int8")
        bands = 1 if accelerated else RESIZE_BANDS
        traced = _traced(network, size, batch, bands, half_resize=precision == "fp16")
        self._graph = convert(traced, precision, evidence, size, batch, symmetric)
        sha256 = graph_sha256(memoryview(self._graph.SerializeToString()))
        self.metadata = dataclasses.replace(metadata, graph_sha256=sha256)
        self.rounds = 2 if precision == "fp16" else 1

    def write(self, file: Path, metadata: OnnxMetadata) -> None:
        write_graph(self._graph, metadata.to_properties(), file)

    def prove(
        self,
        file: Path,
        model: SpaceClip,
        trials: Sequence[Rgb],
        evidence: DriveFrames | None,
        advance: Callable[[], None],
        queries: Vectors | None,
    ) -> Proof:
        return prove(file, self._graph, model, trials, evidence, advance, queries)


def _with_proof(metadata: OnnxMetadata, proof: Proof, evidence: DriveFrames | None) -> OnnxMetadata:
    return dataclasses.replace(
        metadata,
        max_difference=proof.difference.relative,
        max_difference_m=proof.difference.absolute,
        mean_difference=proof.difference.mean,
        drive="" if evidence is None else evidence.source,
        abs_rel=proof.abs_rel,
        largest_fp16=proof.largest_fp16,
        uncertainty_difference=None if proof.uncertainty is None else proof.uncertainty.mean,
        language_cosine=None if proof.language is None else proof.language.mean_cosine,
        label_agreement=None if proof.language is None else proof.language.agreement,
    )


def _query_vectors(language: LanguageConfig, queries: QuerySet | None) -> Vectors | None:
    """Return the vectors that language features are judged with; None for some of the features themselves."""
    return query_vectors(language) if queries is None else queries.vectors


def _checked_size(height: int | None, width: int | None, batch: int | None) -> tuple[int, int] | None:
    if batch is not None and batch < 1:
        raise InputError("batch", f"must be at least 1, got {batch}")
    if height is None and width is None:
        return None
    if height is None or width is None:
        raise InputError("size", f"give both height and width or neither, got height {height} and width {width}")
    if min(height, width) < 1:
        raise InputError("size", f"must be at least 1 x 1 pixel, got height {height} and width {width}")
    return height, width


def _trials(
    images: Sequence[Rgb], size: tuple[int, int] | None, precision: str, evidence: DriveFrames | None
) -> list[Rgb]:
    held_out = [] if evidence is None else evidence.held_out
    real = [image if size is None else fit(image, size) for image in (*images, *held_out)]
    if precision == "int8":
        return real  # synthetic images are outside the range that its scales are calibrated for
    return [image for trial in (ANY_SIZES if size is None else (size,)) for image in synthetic_images(*trial)] + real


def _traced(
    network: SpaceClip,
    size: tuple[int, int] | None,
    batch: int | None,
    bands: int = RESIZE_BANDS,
    half_resize: bool = False,
) -> onnx.ModelProto:
    names = {0: None if batch else BATCH_NAME, 1: None if size else HEIGHT_NAME, 2: None if size else WIDTH_NAME}
    symbolic = {axis: name for axis, name in names.items() if name is not None}
    # 2, if it takes any number: tracing would treat a size of 1 as one that broadcasts
    example = torch.zeros((batch or 2, *(size or _EXAMPLE_SIZE), 3), dtype=torch.uint8)
    pipeline = ImageToEstimate(network, size, bands, half_resize).eval()
    return trace(pipeline, example, INPUT_NAME, network.config.outputs, symbolic)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the file's path to an export error in the block."""
    try:
        yield
    except ExportError as error:
        raise ExportError(path, f"not written, as {error.problem}", error.remedy) from error


def _created_with() -> str:
    libraries = f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}"
    return f"space_clip_ros {__version__}, {libraries}, opset {OPSET}"
