"""Wraps a third-party network in a graph of ours: uint8 RGB at the camera's size in, depth at that size out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.compose import add_prefix

from space_clip_ros import __version__
from space_clip_ros.errors import InputError
from space_clip_ros.export.adopt_recipe import Recipe
from space_clip_ros.export.adopt_third_party import ThirdPartyModel
from space_clip_ros.export.graph_builder import Dim, GraphBuilder
from space_clip_ros.export.resize_matrix import resize_node
from space_clip_ros.inference.metadata import (
    BATCH_NAME,
    HEIGHT_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    UNCERTAINTY_NAME,
    WIDTH_NAME,
)

NETWORK_PREFIX = "/network/"
"""Prefix of the names of the adopted network's nodes and tensors."""
BEFORE_PREFIX, AFTER_PREFIX = "/before_", "/after_"
"""Prefix of the names of the nodes that follow the network."""
_SMALLEST = 1e-6

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class MapLayout:
    """Where a map lies in an output.

    Attributes:
        squeezed: axes of length 1 that are dropped first.
        channel_axis: axis of the channels after that, negative; None if there is none.
        batched: whether the first axis is then the batch.
        size: height and width that a run on the recipe's size gave, pixels.
    """

    squeezed: tuple[int, ...]
    channel_axis: int | None
    batched: bool
    size: tuple[int, int]


def map_layout(source: ThirdPartyModel, name: str, shape: Sequence[int], channel: int | None) -> MapLayout:
    """Find the map of one value a pixel in an output.

    Args:
        source: the network.
        name: name of the output.
        shape: shape of the output in a run on one image (or the file's number of images).
        channel: which of several channels; None for the only one.

    Raises:
        InputError: the output holds no such map.
    """
    batched = source.rank > 3 and len(shape) > 2
    kept = list(range(1 if batched else 0, len(shape)))
    channel_axis = None
    if channel is not None:
        candidates = [axis for axis in (kept[-1], kept[-3] if len(kept) > 2 else -1) if axis >= 0]
        fitting = [axis for axis in candidates if channel < shape[axis] <= 4]
        if not fitting:
            raise InputError("--channel", f"output {name} has shape {tuple(shape)}, and no axis with channel {channel}")
        channel_axis = fitting[0]
        kept.remove(channel_axis)
    squeezed = tuple(axis for axis in kept if shape[axis] == 1)[: max(len(kept) - 2, 0)]
    kept = [axis for axis in kept if axis not in squeezed]
    if len(kept) != 2:
        raise InputError(
            f"output {name}",
            f"has shape {tuple(shape)}, which is not a map of one value per pixel",
            f"give --channel, or another output with --depth-output; outputs: {', '.join(source.outputs)}",
        )
    from_end = None if channel_axis is None else channel_axis - len(shape)
    return MapLayout(squeezed, from_end, batched, (shape[kept[0]], shape[kept[1]]))


def wrap(
    source: ThirdPartyModel,
    recipe: Recipe,
    shapes: Shapes,
    size: tuple[int, int] | None = None,
    batch: int | None = None,
) -> onnx.ModelProto:
    """Return the wrapped graph. The source model's graph becomes part of it; do not use it afterwards.

    Args:
        source: the network; its graph is changed.
        recipe: a checked one.
        shapes: shapes of its outputs in one run, by name.
        size: height and width of every image, pixels; None for any.
        batch: images per run; None for any.

    Raises:
        InputError: an output holds no map.
    """
    model = source.model
    _named(model)
    add_prefix(model, NETWORK_PREFIX, rename_functions=False, inplace=True)
    before, after = GraphBuilder(BEFORE_PREFIX, source.opset), GraphBuilder(AFTER_PREFIX, source.opset)
    height, width = size or (before.length(INPUT_NAME, 1), before.length(INPUT_NAME, 2))
    rows, columns = _content(before, recipe, height, width)
    _preprocess(before, source, recipe, (height, width), (rows, columns))
    for name, values in source.constants.items():
        model.graph.initializer.append(numpy_helper.from_array(values, f"{NETWORK_PREFIX}{name}"))
    outputs = [_value(OUTPUT_NAME, TensorProto.FLOAT, _dims(batch, size))]
    raw = _map(after, source, recipe, recipe.depth_output, shapes, (rows, columns))
    _to_metres(after, recipe, raw, (height, width), size, OUTPUT_NAME)
    if recipe.uncertainty_output:
        share = _map(after, source, recipe, recipe.uncertainty_output, shapes, (rows, columns))
        _to_share(after, recipe, share, raw)
        grid = ("uncertainty_height", "uncertainty_width")
        outputs.append(_value(UNCERTAINTY_NAME, TensorProto.FLOAT, [batch or BATCH_NAME, *grid]))
    _assemble(model, before, after, [_value(INPUT_NAME, TensorProto.UINT8, [*_dims(batch, size), 3])], outputs)
    return model


def _named(model: onnx.ModelProto) -> None:
    """Give every node a name, because profiles and quantisation identify nodes by name."""
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type.lower()}_{index}"


def _dims(batch: int | None, size: tuple[int, int] | None) -> list[int | str]:
    return [batch or BATCH_NAME, *(size or (HEIGHT_NAME, WIDTH_NAME))]


def _value(name: str, kind: int, dims: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(dims))


def _content(b: GraphBuilder, recipe: Recipe, height: Dim, width: Dim) -> tuple[Dim, Dim]:
    """Return the size that the image is resized to; :meth:`NetworkSize.content` as nodes where it is not constant."""
    network = recipe.network_size
    if isinstance(height, int) and isinstance(width, int):
        return network.content(height, width)
    if network.rule == "straight":
        return network.height, network.width
    ratios = [
        b.add("Div", b.constant(bound, np.float64), b.double(side))
        for bound, side in ((network.height, height), (network.width, width))
    ]
    ratio = b.add("Max" if network.rule == "lower_bound" else "Min", *ratios)
    sides = [b.add("Mul", b.double(side), ratio) for side in (height, width)]
    if network.rule == "pad":
        rounded = [b.add("Floor", b.add("Add", side, b.constant(1e-6, np.float64))) for side in sides]
    else:
        rounded = [
            _rounded(b, side, bound, network.multiple, network.rule)
            for side, bound in zip(sides, (network.height, network.width), strict=True)
        ]
    first, second = (b.cast(b.add("Max", side, b.constant(1.0, np.float64)), TensorProto.INT64) for side in rounded)
    return first, second


def _rounded(b: GraphBuilder, side: str, bound: int, multiple: int, rule: str) -> str:
    one, step = b.constant(1.0, np.float64), b.constant(float(multiple), np.float64)
    limit = b.constant(float(bound), np.float64)
    multiples = b.add("Max", b.add("Round", b.add("Div", side, step)), one)
    pixels = b.add("Mul", multiples, step)
    if rule == "lower_bound":
        changed = b.add("Where", b.add("Less", pixels, limit), b.add("Add", multiples, one), multiples)
    else:
        less = b.add("Max", b.add("Sub", multiples, one), one)
        changed = b.add("Where", b.add("Greater", pixels, limit), less, multiples)
    return b.add("Mul", changed, step)


def _preprocess(
    b: GraphBuilder, source: ThirdPartyModel, recipe: Recipe, image: tuple[Dim, Dim], content: tuple[Dim, Dim]
) -> None:
    """Resize, fill the border, normalise, and lay out as the network wants it."""
    planes = b.add("Transpose", b.cast(INPUT_NAME, TensorProto.FLOAT), perm=[0, 3, 1, 2])
    across = resize_node(b, image[1], content[1], recipe.interpolation, recipe.antialias)
    down = resize_node(b, image[0], content[0], recipe.interpolation, recipe.antialias)
    # Width first: shrinking the longer axis first costs less.
    planes = b.add("MatMul", planes, b.add("Transpose", across, perm=[1, 0]))
    planes = _clipped(b, planes, recipe)
    planes = _clipped(b, b.add("MatMul", down, planes), recipe)
    offset = np.zeros((1, 3, 1, 1))
    if recipe.rule == "pad":
        offset = np.asarray(recipe.border, np.float64).reshape(1, 3, 1, 1)
        planes = b.add("Sub", planes, b.constant(offset))
        top, left, bottom, right = _border(b, recipe, content)
        planes = b.add("Pad", planes, b.shape([0, 0, top, left, 0, 0, bottom, right]))
    gain = 1.0 / (255.0 * np.asarray(recipe.std, np.float64).reshape(1, 3, 1, 1))
    shift = offset * gain - np.asarray(recipe.mean, np.float64).reshape(1, 3, 1, 1) * (gain * 255.0)
    if source.element == TensorProto.UINT8:
        gain, shift = np.ones((1, 3, 1, 1)), offset
    planes = b.add("Add", b.add("Mul", planes, b.constant(gain)), b.constant(shift))
    if recipe.channels == "bgr":
        planes = b.add("Gather", planes, b.constant([2, 1, 0], np.int64), axis=1)
    if source.element == TensorProto.UINT8:
        planes = b.add("Max", b.add("Min", b.add("Round", planes), b.constant(255.0)), b.constant(0.0))
    if source.element != TensorProto.FLOAT:
        planes = b.cast(planes, source.element)
    if source.layout == "NHWC":
        planes = b.add("Transpose", planes, perm=[0, 2, 3, 1])
    if source.rank == 3:
        planes = b.axes("Squeeze", planes, [0])
    if source.rank == 5:
        planes = b.axes("Unsqueeze", planes, [1])
    b.add("Identity", planes, output=f"{NETWORK_PREFIX}{source.image}")


def _clipped(b: GraphBuilder, planes: str, recipe: Recipe) -> str:
    """Clip as Pillow does, whose pixels are bytes; OpenCV's floating point overshoots at edges."""
    if not recipe.antialias:
        return planes
    return b.add("Max", b.add("Min", planes, b.constant(255.0)), b.constant(0.0))


def _border(b: GraphBuilder, recipe: Recipe, content: tuple[Dim, Dim]) -> tuple[Dim, Dim, Dim, Dim]:
    """Return the rows above, columns to the left, rows below and columns to the right of the resized image."""
    network = recipe.network_size
    begins: list[Dim] = []
    ends: list[Dim] = []
    for whole, inner in zip((network.height, network.width), content, strict=True):
        if isinstance(inner, int):
            begins.append((whole - inner) // 2)
            ends.append(whole - inner - (whole - inner) // 2)
        else:
            free = b.add("Sub", b.whole(whole), inner)
            begin = b.add("Div", free, b.whole(2))
            begins.append(begin)
            ends.append(b.add("Sub", free, begin))
    return begins[0], begins[1], ends[0], ends[1]


def _map(
    b: GraphBuilder, source: ThirdPartyModel, recipe: Recipe, output: str, shapes: Shapes, content: tuple[Dim, Dim]
) -> str:
    """Return an output as (B, 1, h, w) float32, without the border."""
    name = output or source.outputs[0]
    channel = recipe.channel if name == (recipe.depth_output or source.outputs[0]) else None
    layout = map_layout(source, name, shapes[name], channel)
    planes = layout.batched and layout.channel_axis is None and layout.squeezed == (1,)  # (B, 1, h, w) as it is
    tensor = f"{NETWORK_PREFIX}{name}" if planes else b.axes("Squeeze", f"{NETWORK_PREFIX}{name}", layout.squeezed)
    if layout.channel_axis is not None:
        # the squeezed axes lie before or after the channels
        rank = len(shapes[name]) - len(layout.squeezed)
        behind = sum(axis > layout.channel_axis + len(shapes[name]) for axis in layout.squeezed)
        axis = rank + layout.channel_axis + behind
        tensor = b.add("Gather", tensor, b.constant(recipe.channel or 0, np.int64), axis=axis)
    tensor = tensor if planes else b.axes("Unsqueeze", tensor, [1] if layout.batched else [0, 1])
    tensor = b.cast(tensor, TensorProto.FLOAT)
    if recipe.rule != "pad":
        return tensor
    network = recipe.network_size
    if layout.size != (network.height, network.width):
        tensor = _resized(b, tensor, (network.height, network.width), recipe.align_corners)
    top, left, _, _ = _border(b, recipe, content)
    ends = [
        begin + length
        if isinstance(begin, int) and isinstance(length, int)
        else b.add("Add", b.whole(begin), b.whole(length))
        for begin, length in zip((top, left), content, strict=True)
    ]
    return b.add("Slice", tensor, b.shape([top, left]), b.shape(ends), b.constant([2, 3], np.int64))


def _resized(b: GraphBuilder, tensor: str, size: tuple[Dim, Dim], align_corners: bool) -> str:
    lengths = b.add("Concat", b.add("Slice", b.add("Shape", tensor), b.shape([0]), b.shape([2])), b.shape(size), axis=0)
    empty = b.constant(np.zeros(0))
    mode = "align_corners" if align_corners else "half_pixel"
    return b.add(
        "Resize",
        tensor,
        empty,
        empty,
        lengths,
        mode="linear",
        coordinate_transformation_mode=mode,
        nearest_mode="floor",
    )


def _to_metres(
    b: GraphBuilder,
    recipe: Recipe,
    raw: str,
    image: tuple[Dim, Dim],
    size: tuple[int, int] | None,
    output: str,
) -> None:
    """Resize the map to the image, and turn it into metres."""
    resized = _resized(b, raw, image, recipe.align_corners)
    b.add("Reshape", _metres(b, recipe, resized), b.shape([0, *(size or image)]), output=output)


def _metres(b: GraphBuilder, recipe: Recipe, raw: str) -> str:
    scaled = b.add("Mul", raw, b.constant(1.0 if recipe.scale is None else recipe.scale))
    scaled = b.add("Add", scaled, b.constant(recipe.shift))
    if recipe.inverse:
        furthest = recipe.max_depth or 0.0
        return b.add("Reciprocal", b.add("Max", scaled, b.constant(1.0 / furthest)))
    return b.add("Max", scaled, b.constant(0.0))


def _to_share(b: GraphBuilder, recipe: Recipe, tensor: str, raw: str) -> None:
    """Turn a second output into one standard deviation as a share of depth."""
    factor = b.constant(recipe.uncertainty_scale)
    if recipe.uncertainty == "metres":
        share = b.add("Div", tensor, b.add("Max", _metres(b, recipe, raw), b.constant(_SMALLEST)))
    elif recipe.uncertainty == "confidence":
        share = b.add("Sub", b.constant(1.0), tensor)
    elif recipe.uncertainty == "reciprocal":
        share = b.add("Reciprocal", b.add("Max", tensor, b.constant(_SMALLEST)))
    else:
        share = tensor
    share = b.add("Max", b.add("Mul", share, factor), b.constant(0.0))
    b.nodes.append(_without_channel(b, share))


def _without_channel(b: GraphBuilder, share: str) -> onnx.NodeProto:
    squeezed = b.axes("Squeeze", share, [1])
    return helper.make_node("Identity", [squeezed], [UNCERTAINTY_NAME], name=f"{AFTER_PREFIX}uncertainty")


def _assemble(
    model: onnx.ModelProto,
    before: GraphBuilder,
    after: GraphBuilder,
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
) -> None:
    graph = model.graph
    nodes = [*before.nodes, *graph.node, *after.nodes]
    weights = [*graph.initializer, *before.initializers, *after.initializers]
    for values, content in (
        (graph.node, nodes),
        (graph.initializer, weights),
        (graph.input, inputs),
        (graph.output, outputs),
        (graph.value_info, ()),
    ):
        del values[:]
        values.extend(content)
    del model.metadata_props[:]
    graph.name = "adopted"
    model.producer_name, model.producer_version = "space_clip_ros", __version__
    onnx.checker.check_model(model)
