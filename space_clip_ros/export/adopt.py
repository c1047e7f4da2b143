"""Wraps a third-party ONNX depth model in this package's format, and compares the result with the original."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import onnx
import onnxruntime

from space_clip_ros import __version__
from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.adopt_cost import traced_cost
from space_clip_ros.export.adopt_proof import AdoptionProof, prove_adoption
from space_clip_ros.export.adopt_recipe import Recipe, check_recipe
from space_clip_ros.export.adopt_reference import (
    OriginalSession,
    median_output,
    network_input,
    profile,
    reference_depth,
)
from space_clip_ros.export.adopt_third_party import ThirdPartyModel, read_third_party
from space_clip_ros.export.adopt_wrap import map_layout, wrap
from space_clip_ros.export.constant_folding import fold_graph
from space_clip_ros.export.graph_file import LARGEST_FILE, write_graph
from space_clip_ros.export.trial_images import ANY_SIZES, fit, synthetic_images
from space_clip_ros.files import written_whole
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.integrity import graph_sha256
from space_clip_ros.inference.metadata import OnnxMetadata, StageCost
from space_clip_ros.inference.predictor import check_image
from space_clip_ros.model_config import AdoptedConfig

MEDIAN_M = 10.0
"""Median that relative depth is scaled to over the images, so that ``scale.mode`` begins near a factor of 1."""


class PrecisionFacts(NamedTuple):
    """The test results of a file of lower precision, as in :class:`~space_clip_ros.inference.metadata.OnnxMetadata`.

    Attributes:
        drive: name of the frames tested on; empty for none.
        abs_rel: before and after the conversion; None without frames.
        largest_fp16: largest magnitude of an fp16 tensor; None for int8.
    """

    drive: str
    abs_rel: tuple[float, float] | None
    largest_fp16: float | None


class PrecisionConverter(Protocol):
    """Converts the wrapped graph, as :class:`~space_clip_ros.export.adopt_precision.LowerPrecision` does with PyTorch.

    Attributes:
        precision: fp16 or int8.
    """

    precision: str

    def convert(self, graph: onnx.ModelProto, size: tuple[int, int] | None, batch: int | None) -> onnx.ModelProto:
        """Return the graph in this precision."""
        ...

    def judge(
        self,
        file: Path,
        graph: onnx.ModelProto,
        original: onnx.ModelProto,
        trials: Sequence[Rgb],
        expected: Sequence[Depth],
    ) -> PrecisionFacts:
        """Test a written file; raise an ExportError if it fails."""
        ...


@dataclass(frozen=True)
class AdoptionReport:
    """A finished adoption.

    Attributes:
        path: the file.
        bytes: its size.
        recipe: the recipe that was used.
        metadata: the file's metadata.
        proof: how much it differs from the original model.
        notes: decisions that the caller did not ask for.
    """

    path: Path
    bytes: int
    recipe: Recipe
    metadata: OnnxMetadata
    proof: AdoptionProof
    notes: tuple[str, ...]


def adopt(
    file: str | Path,
    path: str | Path,
    recipe: Recipe,
    height: int | None = None,
    width: int | None = None,
    batch: int | None = None,
    *,
    lower: PrecisionConverter | None = None,
    images: Sequence[Rgb] = (),
    keep_rule: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AdoptionReport:
    """Write a third-party ONNX depth model in this format: ``image`` uint8 (B, H, W, 3) in, ``depth`` metres out.

    The file appears only once its depth agrees, on synthetic images and on those given, with that of the original
    model, whose pre- and postprocessing is computed separately for this.

    Args:
        file: the model, of opset 11 to 21, fp32, fp16 or quantised; external weights lie beside it.
        path: the file to write; its folder must exist.
        recipe: what is known about the model.
        height: height of every image, pixels; with width the graph has static shapes, which TensorRT needs.
        width: width of every image, pixels.
        batch: images per run. Without it, as many as the model takes; 1 with height and width.
        lower: makes it fp16 or int8; None to keep the model's numbers.
        images: real (H, W, 3) uint8 RGB images to compare on as well, of any size.
        keep_rule: if the recipe keeps the images' shape, fail rather than squeeze them into the only size that a file
            takes.
        progress: called with (steps done, number of steps).

    Raises:
        ModelError: the file is missing, damaged, or ONNX Runtime cannot run it.
        InputError: the recipe lacks something, or does not fit the file.
        ExportError: the wrapped graph disagrees with the model (the error has the numbers) or would be over 2 GB, the
            opset is not supported, or the model's depth is useless as a test. Nothing is left behind.
    """
    file, path = Path(file), Path(path)
    if (height is None) != (width is None) or min(height or 1, width or 1, batch or 1) < 1:
        raise InputError("size", f"give height and width of at least 1, or neither; got {height} and {width}")
    if not path.parent.is_dir():
        raise ExportError(path, f"cannot be written (there is no folder {path.parent})", "check the folder")
    for image in images:
        check_image(image)
    size = None if height is None or width is None else (height, width)
    source = read_third_party(file, recipe)
    check_recipe(recipe, source.size)
    if lower is not None and source.precision != "fp32":
        raise InputError("--precision", f"{file} is in {source.precision} already", "leave it out")
    recipe, notes = _fitted(source, recipe, size, keep_rule)
    batch = _batch(source, size, batch)
    if batch is not None and batch > 1:
        notes += (f"takes {batch} images at once, which only space_clip benchmark runs; --batch 1 is for live use",)
    trials = _trials(images, size)
    steps = 2 * len(trials) + 2
    session = OriginalSession(source)
    pixels = network_input(source, recipe, trials[0])
    outputs = session.run(pixels)
    _check_outputs(source, recipe, outputs)
    recipe = _scaled(session, source, recipe, [fit(image, size) if size else image for image in images] or trials)
    progress(1, steps)
    expected = []
    for number, image in enumerate(trials):
        expected.append(reference_depth(session, source, recipe, image))
        progress(2 + number, steps)
    del session
    if size is None:  # the cost then depends on the image's shape; count it for the recipe's own
        pixels = network_input(source, recipe, synthetic_images(*recipe.network_size.nominal)[1])
    cost = traced_cost(profile(source, pixels), _weight_count(source))
    metadata = _metadata(source, recipe, size, batch, cost)
    graph = wrap(source, recipe, {name: array.shape for name, array in outputs.items()}, size, batch)
    if graph.ByteSize() > LARGEST_FILE:
        raise ExportError(path, "would be over 2 GB, which one ONNX file cannot hold", "take a smaller or fp16 file")
    if size is not None and source.precision == "fp32":
        # engines want plain numbers for every size; in other precisions folding would change types
        graph = fold_graph(graph)
    original = graph
    if lower is not None:
        graph = lower.convert(original, size, batch)
        metadata = replace(metadata, precision=lower.precision)
    metadata = replace(metadata, graph_sha256=graph_sha256(memoryview(graph.SerializeToString())))
    with written_whole(path, durable=True) as draft:
        write_graph(graph, metadata.to_properties(), draft)
        done = iter(range(2 + len(trials), steps + 1))
        proof = prove_adoption(draft, path, recipe, trials, expected, len(images), lambda: progress(next(done), steps))
        if lower is not None:
            facts = lower.judge(draft, graph, original, trials, [depth for depth, *_ in expected])
            metadata = replace(metadata, **facts._asdict())
        metadata = replace(
            metadata,
            max_difference=proof.relative,
            max_difference_m=proof.absolute,
            mean_difference=proof.mean,
            uncertainty_difference=proof.uncertainty,
        )
        write_graph(graph, metadata.to_properties(), draft)
    progress(steps, steps)
    return AdoptionReport(path, path.stat().st_size, recipe, metadata, proof, notes)


def _fitted(
    source: ThirdPartyModel, recipe: Recipe, size: tuple[int, int] | None, keep_rule: bool
) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe adapted to the sizes that the file takes, and notes on what was changed."""
    notes: list[str] = []
    if source.size is not None:
        if recipe.rule in ("lower_bound", "upper_bound"):
            kept = size is not None and recipe.size is not None and recipe.network_size.content(*size) == source.size
            if not kept and keep_rule:
                raise InputError(
                    "--resize",
                    f"{recipe.rule} gives images of different sizes, and {source.file} takes only "
                    f"{source.size[1]}x{source.size[0]}",
                    "give --resize straight or pad, or a file with dynamic axes",
                )
            if not kept:
                recipe = replace(recipe, rule="straight", multiple=1, size=source.size)
                notes.append(
                    f"the file takes only {source.size[1]}x{source.size[0]} pixels, so images are squeezed into it; "
                    "a file with dynamic axes would keep their shape"
                )
        elif recipe.size not in (None, source.size):
            notes.append(f"the file takes only {source.size[1]}x{source.size[0]} pixels, so that is the size")
            recipe = replace(recipe, size=source.size)
        else:
            recipe = replace(recipe, size=source.size)
    assert recipe.size is not None
    if recipe.relative and recipe.max_depth is None:
        recipe = replace(recipe, max_depth=8.0 * MEDIAN_M)
    return replace(recipe, name=recipe.name or source.file.stem), tuple(notes)


def _batch(source: ThirdPartyModel, size: tuple[int, int] | None, batch: int | None) -> int | None:
    """Return the images per run of the wrapped graph."""
    if batch is not None and source.batch not in (None, batch):
        raise InputError("--batch", f"{source.file} takes {source.batch} images at once, not {batch}")
    return batch or source.batch or (1 if size is not None else None)


def _trials(images: Sequence[Rgb], size: tuple[int, int] | None) -> list[Rgb]:
    """Return the images to compare on: a synthetic one for each size, and the caller's."""
    synthetic = [synthetic_images(*shape)[1] for shape in (ANY_SIZES if size is None else (size,))]
    return [*synthetic, *(image if size is None else fit(image, size) for image in images)]


def _check_outputs(source: ThirdPartyModel, recipe: Recipe, outputs: dict[str, Depth]) -> None:
    """Reject outputs that hold no map, before anything is built."""
    names = [recipe.depth_output or source.outputs[0], *filter(None, [recipe.uncertainty_output])]
    if not recipe.depth_output and len(source.outputs) > 1:
        raise InputError(
            source.file, f"has several outputs: {', '.join(source.outputs)}", "say which is depth: --depth-output"
        )
    for name in names:
        if name not in outputs:
            raise InputError(name, f"is not an output of {source.file}", f"its outputs: {', '.join(source.outputs)}")
    for name, channel in zip(names, (recipe.channel, None), strict=False):
        map_layout(source, name, outputs[name].shape, channel)


def _scaled(session: OriginalSession, source: ThirdPartyModel, recipe: Recipe, images: Sequence[Rgb]) -> Recipe:
    """Return the recipe with a scale: 1, or for relative depth the one that makes its median :data:`MEDIAN_M`."""
    if recipe.scale is not None or not recipe.relative:
        return replace(recipe, scale=1.0 if recipe.scale is None else recipe.scale)
    median = median_output(session, source, recipe, list(images))
    if not median > 0.0:
        raise ExportError(
            source.file, f"its median output is {median:.3g}, which cannot be relative depth", "give --scale"
        )
    return replace(recipe, scale=1.0 / (median * MEDIAN_M) if recipe.inverse else MEDIAN_M / median)


def _weight_count(source: ThirdPartyModel) -> int:
    return sum(math.prod(tensor.dims) for tensor in source.model.graph.initializer)


def _metadata(
    source: ThirdPartyModel,
    recipe: Recipe,
    size: tuple[int, int] | None,
    batch: int | None,
    cost: dict[str, StageCost],
) -> OnnxMetadata:
    assert recipe.size is not None and recipe.mean is not None and recipe.std is not None
    config = AdoptedConfig(
        name=recipe.name,
        source=recipe.source,
        licence=recipe.licence,
        metric=not recipe.relative,
        input_size=recipe.size,
        resize_rule=recipe.rule,
        multiple=recipe.multiple,
        mean=recipe.mean,
        std=recipe.std,
        min_depth=recipe.min_depth,
        max_depth=recipe.max_depth or 8.0 * MEDIAN_M,
        uncertainty=bool(recipe.uncertainty_output),
        training_camera=recipe.camera(),
        recipe=recipe.describe(),
    )
    if problems := list(config.problems()):
        raise InputError("the recipe", "; ".join(problems))
    created = f"space_clip_ros {__version__}, onnxruntime {onnxruntime.__version__}, opset {source.opset}"
    batch = 1 if batch is None and size is not None else batch
    return OnnxMetadata(config, source.precision, size, batch, source.sha256, created_with=created, cost=cost)
