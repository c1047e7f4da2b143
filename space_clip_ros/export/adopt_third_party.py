"""Reads a third-party ONNX file: which input takes the image and how, and what the outputs are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from space_clip_ros.errors import ExportError, InputError, ModelError, first_line
from space_clip_ros.export.adopt_recipe import Recipe
from space_clip_ros.export.graph_file import LARGEST_FILE
from space_clip_ros.files import file_sha256

OPSETS = range(11, 22)
_IMAGE_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8)
_QUANTISED = {"QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul"}
_OURS = "space_clip."


@dataclass(frozen=True)
class ThirdPartyModel:
    """A third-party network.

    Attributes:
        file: the file that it was read from.
        model: the graph, with its weights in it.
        image: name of the input that takes the image.
        element: element type of that input, one of onnx.TensorProto's.
        rank: number of its axes: 3 (no batch), 4, or 5 (batch and number of images).
        layout: ``NCHW`` or ``NHWC``.
        size: height and width of the only input it takes, pixels; None if it takes several.
        batch: images per run; None if it takes any number.
        constants: arrays for the inputs other than the image, by name.
        outputs: names of the outputs.
        precision: fp32, fp16 or int8, as most of its weights are.
        sha256: hash of the file and of its external weights.
    """

    file: Path
    model: onnx.ModelProto
    image: str
    element: int
    rank: int
    layout: str
    size: tuple[int, int] | None
    batch: int | None
    constants: Mapping[str, npt.NDArray[np.generic]]
    outputs: tuple[str, ...]
    precision: str
    sha256: str

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return opset_of(self.model)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators that a graph uses."""
    return max((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), default=0)


def read_third_party(file: Path, recipe: Recipe) -> ThirdPartyModel:
    """Read a file and find the input that takes the image.

    Raises:
        ModelError: no such file, or it is not a complete ONNX file.
        ExportError: it is over 2 GB with its weights, or of an opset outside 11 to 21.
        InputError: it is one of ours already, its inputs cannot be told apart, or none takes an image.
    """
    if not file.is_file():
        raise ModelError(file, "no such model file", "check the path")
    if not file.stat().st_size:
        raise ModelError(file, "is empty", "copy it again")
    model = _loaded(file)
    if any(entry.key.startswith(_OURS) for entry in model.metadata_props):
        raise InputError(file, "is already a model of this package", "use it as it is")
    if opset_of(model) not in OPSETS:
        raise ExportError(
            file, f"uses opset {opset_of(model)}; 11 to 21 are supported", "export it again, for example in opset 17"
        )
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST_FILE:
        raise ExportError(file, "holds over 2 GB of weights, which one ONNX file cannot", "take a smaller or fp16 file")
    image, others = _inputs(file, model, recipe)
    dims = [dim.dim_value for dim in image.type.tensor_type.shape.dim]
    element = image.type.tensor_type.elem_type
    if len(dims) not in (3, 4, 5) or element not in _IMAGE_TYPES:
        raise InputError(
            file, f"its input {image.name!r} {_shape(image)} takes no image", "it must have 3 to 5 axes, float or uint8"
        )
    layout = "NHWC" if dims[-1] == 3 and dims[-3] != 3 else "NCHW"
    if dims[-1 if layout == "NHWC" else -3] not in (0, 3):
        raise InputError(file, f"its input {image.name!r} {_shape(image)} has no axis of 3 channels")
    if len(dims) == 5 and dims[1] not in (0, 1):
        raise InputError(file, f"its input {image.name!r} {_shape(image)} takes several views", "export it for one")
    height, width = dims[-3:-1] if layout == "NHWC" else dims[-2:]
    return ThirdPartyModel(
        file,
        model,
        image.name,
        element,
        len(dims),
        layout,
        (height, width) if height and width else None,
        1 if len(dims) == 3 else dims[0] or None,
        others,
        tuple(output.name for output in model.graph.output),
        _precision(model),
        _sha256(file),
    )


def _loaded(file: Path) -> onnx.ModelProto:
    try:
        return onnx.load(file)
    except (DecodeError, ValueError, OSError, onnx.checker.ValidationError) as error:
        if missing := [name for name in external_files(file) if not (file.parent / name).is_file()]:
            raise ModelError(
                file, f"its weights lie in {', '.join(missing)}, which is missing", "copy it to the same folder"
            ) from error
        raise ModelError(file, f"cannot be read as ONNX ({first_line(error)})", "copy or export it again") from error


def _inputs(
    file: Path, model: onnx.ModelProto, recipe: Recipe
) -> tuple[onnx.ValueInfoProto, dict[str, npt.NDArray[np.generic]]]:
    """Return the input that takes the image, and the values of the others."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in weights}
    if unknown := sorted(set(recipe.constants) - set(inputs)):
        raise InputError("--set", f"{file} has no input {', '.join(unknown)}", f"its inputs: {_listed(inputs)}")
    images = [value for name, value in inputs.items() if name not in recipe.constants]
    if len(images) > 1:
        others = [value for value in images if len(value.type.tensor_type.shape.dim) not in (3, 4, 5)]
        raise InputError(
            file,
            f"has {len(images)} inputs: {_listed(inputs)}",
            "give the values of all but the image's with --set NAME=VALUE, "
            f"such as {', '.join(f'--set {value.name}=VALUE' for value in others or images[1:])}",
        )
    if not images:
        raise InputError(file, "has no input left for the image", f"its inputs: {_listed(inputs)}")
    return images[0], {name: _constant(file, inputs[name], values) for name, values in recipe.constants.items()}


def _constant(file: Path, value: onnx.ValueInfoProto, numbers: tuple[float, ...]) -> npt.NDArray[np.generic]:
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
    if int(np.prod(shape)) != len(numbers):
        raise InputError(f"--set {value.name}", f"{file} takes {_shape(value)} numbers there, got {len(numbers)}")
    return np.asarray(numbers, np.float64).astype(dtype).reshape(shape)


def _listed(inputs: Mapping[str, onnx.ValueInfoProto]) -> str:
    return ", ".join(f"{name} {_shape(value)}" for name, value in inputs.items())


def _shape(value: onnx.ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    return f"({', '.join(str(dim.dim_value or dim.dim_param or '?') for dim in dims)})"


def _precision(model: onnx.ModelProto) -> str:
    if any(node.op_type in _QUANTISED for node in model.graph.node):
        return "int8"
    counts: dict[int, int] = {TensorProto.FLOAT: 0, TensorProto.FLOAT16: 0}
    for kind, count in _weights(model):
        if kind in counts:
            counts[kind] += count
    return "fp16" if counts[TensorProto.FLOAT16] > counts[TensorProto.FLOAT] else "fp32"


def _weights(model: onnx.ModelProto) -> Iterator[tuple[int, int]]:
    """Yield element type and number of elements of each weight, those in Constant nodes included."""
    for tensor in model.graph.initializer:
        yield tensor.data_type, int(np.prod(tensor.dims))
    for node in model.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    yield attribute.t.data_type, numpy_helper.to_array(attribute.t).size


def external_files(file: Path) -> list[str]:
    """Return the names of the files beside an ONNX file that hold its weights; none if it cannot be read."""
    try:
        header = onnx.load(file, load_external_data=False)
    except DecodeError:
        return []
    tensors = [tensor for tensor in header.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    return sorted({entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"})


def _sha256(file: Path) -> str:
    """Return the hash of a file; with external weights, that of the hashes of all."""
    names = external_files(file)
    if not names:
        return file_sha256(file)
    hashes = [file_sha256(file), *(file_sha256(file.parent / name) for name in names)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
