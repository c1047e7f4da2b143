"""What a run on a GPU is made of, without a GPU: fake tensors carry device, type and layout, but no numbers."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from space_clip_ros.export.torch_package import _Joined
from space_clip_ros.inference.torch_backend import gpu_graph, joined, prepare_for_gpu
from space_clip_ros.model import build, load_checkpoint
from space_clip_ros.model.image_to_depth import ImageToEstimate
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig

CUDA = torch.device("cuda", 0)
SIZE = (375, 1242)
ATTENTION = torch.ops.aten.scaled_dot_product_attention.default
CONVOLUTION = torch.ops.aten.convolution.default
FUSED = torch.ops.aten.cudnn_convolution_relu.default
FUSED_SUM = torch.ops.aten.cudnn_convolution_add_relu.default
NO_KERNEL = {"aten::_unsafe_view", "aten::empty", "aten::empty_like", "aten::empty_strided"}
# Reading a number of a tensor waits for the GPU, and its result cannot be recorded in a CUDA graph.
WAITING = {"_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique"}


class Recorder(TorchDispatchMode):
    """Notes every operator that launches a kernel, and its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, list[torch.Tensor]]] = []
        self.biases = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function._schema.name
        returned = [one.alias_info for one in function._schema.returns]
        is_view = bool(returned) and all(one is not None and not one.is_write for one in returned)
        if name.startswith("aten::") and name not in NO_KERNEL and not is_view:
            tensors = tree_leaves((args, kwargs, result))
            self.calls.append((function, [one for one in tensors if isinstance(one, torch.Tensor)]))
            # cuDNN's plain convolutions have no bias: PyTorch adds it with a kernel of its own.
            self.biases += function is CONVOLUTION and args[2] is not None
        return result

    @property
    def kernels(self) -> int:
        return len(self.calls) + self.biases

    def kinds(self) -> Counter[str]:
        return Counter(function._schema.name.removeprefix("aten::") for function, _ in self.calls)


class Libraries(TorchFunctionMode):
    """Takes attention and cuDNN's fused convolutions for the one kernel that each is on a GPU."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is functional.scaled_dot_product_attention:
            return self._attention(*args)
        if function is torch.cudnn_convolution_relu:
            features, weight, bias, *layout = args
            return self._convolution(FUSED, [features, weight], bias, layout)
        if function is torch.cudnn_convolution_add_relu:
            features, weight, shortcut, scale, bias, *layout = args
            assert scale == 1.0
            return self._convolution(FUSED_SUM, [features, weight, shortcut], bias, layout)
        return function(*args, **(kwargs or {}))

    def _attention(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        batch, heads, length, width = query.shape
        self._recorder.calls.append((ATTENTION, [query, key, value]))
        # in the layout of the flash kernels, whose heads lie side by side
        attended = on_gpu(torch.empty((batch, length, heads, width), dtype=query.dtype, device=query.device))
        return attended.transpose(1, 2)

    def _convolution(
        self, operator: Any, tensors: list[torch.Tensor], bias: torch.Tensor, layout: list[Any]
    ) -> torch.Tensor:
        features, weight = tensors[:2]
        assert {one.dtype for one in (*tensors, bias)} == {torch.float16} and bias.shape == weight.shape[:1]
        sides = [
            (size + 2 * padding - kernel) // stride + 1
            for size, kernel, stride, padding in zip(features.shape[2:], weight.shape[2:], *layout[:2], strict=True)
        ]
        shape = (len(features), len(weight), *sides)
        assert all(one.shape == shape for one in tensors[2:])
        self._recorder.calls.append((operator, tensors))
        return torch.empty(shape, dtype=torch.float16, device=CUDA, memory_format=torch.channels_last)


def on_gpu(tensor: torch.Tensor) -> torch.Tensor:
    """Return a fake tensor of the same shape, type and layout on a GPU."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=CUDA)


def moved(module: torch.nn.Module) -> None:
    """Replace every parameter and buffer by a fake one on a GPU."""
    for one in module.modules():
        for name, value in one._parameters.items():
            if value is not None:
                one._parameters[name] = torch.nn.Parameter(on_gpu(value), requires_grad=False)
        for name, value in one._buffers.items():
            if value is not None:
                one._buffers[name] = on_gpu(value)


def small(kind: str = "clip", grid: tuple[int, int] = (4, 4)) -> ModelConfig:
    """Return settings with as many layers as ViT-B/16, which set the number of kernels, but narrow ones."""
    activation = "quick_gelu" if kind == "clip" else "gelu_tanh"
    encoder = EncoderConfig(kind=kind, width=32, heads=2, image_size=64, activation=activation)
    # 16 channels are the fewest that the GPU's resize kernels keep channels-last
    size = (16 * grid[0], 16 * grid[1])
    return ModelConfig(encoder=encoder, decoder=DecoderConfig(channels=(32, 32, 16, 16)), input_size=size)


@contextmanager
def fake_gpu(config: ModelConfig, half: bool) -> Iterator[tuple[ImageToEstimate, torch.Tensor]]:
    """Yield the network that a checkpoint becomes on a GPU, and an image, all of fake tensors."""
    torch.manual_seed(0)
    model = build(config).eval()
    prepare_for_gpu(model, half)
    pipeline = gpu_graph(model, SIZE)
    with FakeTensorMode(), torch.inference_mode(False), torch.no_grad():
        moved(pipeline)
        if pipeline._fixed is not None:
            axes = [[band._replace(weights=on_gpu(band.weights)) for band in axis] for axis in pipeline._fixed]
            pipeline._fixed = type(pipeline._fixed)(*axes)
        yield pipeline, torch.empty((1, *SIZE, 3), dtype=torch.uint8, device=CUDA)


def recorded(config: ModelConfig, half: bool = True) -> Recorder:
    """Run one image through the network that a checkpoint becomes on a GPU."""
    with fake_gpu(config, half) as (pipeline, image):
        recorder = Recorder()
        with Libraries(recorder), recorder:
            joined_maps = joined(pipeline(image))
    assert isinstance(joined_maps, FakeTensor)
    numbers = sum(math.prod(shape or SIZE) for shape in config.outputs.values())
    assert (joined_maps.device, joined_maps.dtype, tuple(joined_maps.shape)) == (CUDA, torch.float32, (1, numbers))
    return recorder


@pytest.fixture(scope="module")
def clip() -> Recorder:
    return recorded(small())


def names(calls: Iterable[tuple[Any, Any]]) -> list[str]:
    return [function._schema.name for function, _ in calls]


def test_every_operator_stays_on_the_gpu(clip: Recorder) -> None:
    assert not names(call for call in clip.calls if any(one.device != CUDA for one in call[1]))


def test_nothing_waits_for_the_gpu(clip: Recorder) -> None:
    assert not WAITING & set(clip.kinds())


def test_convolutions_read_channels_last(clip: Recorder) -> None:
    convolutions = [tensors for function, tensors in clip.calls if function in (CONVOLUTION, FUSED, FUSED_SUM)]
    # seven transposed ones, the one that gives metres, and those whose ReLU is part of them
    assert len(convolutions) == 7 + 1 + 3 * 2 + 4 * 4 + 1
    for image, weight, *_ in convolutions:
        assert weight.is_contiguous(memory_format=torch.channels_last), tuple(weight.shape)
        assert image.is_contiguous(memory_format=torch.channels_last), tuple(image.shape)


def test_products_are_in_half_precision(clip: Recorder) -> None:
    products = ("convolution", "addmm", "mm", "bmm", "scaled_dot_product_attention")
    wide = [
        function._schema.name
        for function, tensors in clip.calls
        if function._schema.name.removeprefix("aten::") in products and tensors[0].dtype == torch.float32
    ]
    # one for each layer of the FiLM perceptrons, and the convolution that gives metres
    assert len(wide) == 2 + 1


def test_the_number_of_kernels_is_within_budget(clip: Recorder) -> None:
    """Each launch costs some microseconds, more than the work of many of them; see docs/benchmarks.md."""
    assert clip.kernels <= 243, clip.kinds().most_common()


def test_in_float32_kernels_are_few_too() -> None:
    assert recorded(small(), half=False).kernels <= 269


def test_every_output_shares_the_run_and_its_one_download() -> None:
    file = Path(__file__).resolve().parents[2] / "models" / "road_tiny.safetensors"
    recorder = recorded(load_checkpoint(file).config)
    assert not names(call for call in recorder.calls if any(one.device != CUDA for one in call[1]))
    assert not WAITING & set(recorder.kinds())
    assert recorder.kernels <= 321, recorder.kinds().most_common()


def test_clips_features_for_patches_cost_few_kernels(clip: Recorder) -> None:
    language = LanguageConfig(outputs=("embedding", "dense"), embed_dim=16)
    recorder = recorded(dataclasses.replace(small(), language=language))
    assert not WAITING & set(recorder.kinds())
    assert recorder.kernels - clip.kernels <= 14, recorder.kinds().most_common()


def test_an_interpolated_position_embedding_costs_nothing_in_a_run(clip: Recorder) -> None:
    other = recorded(small(grid=(4, 12)))
    assert "upsample_bicubic2d" not in other.kinds()
    assert other.kernels == clip.kernels


def test_siglip_stays_on_the_gpu_too() -> None:
    recorder = recorded(small("siglip"))
    assert not names(call for call in recorder.calls if any(one.device != CUDA for one in call[1]))
    assert not WAITING & set(recorder.kinds())
    assert recorder.kernels <= 250, recorder.kinds().most_common()


@pytest.mark.parametrize("half", [True, False], ids=["fp16", "fp32"])
def test_a_package_is_compiled_of_what_a_compiler_can_merge(half: bool) -> None:
    """A compiler has no kernels of cuDNN's that join steps, and loses the order in memory of what is written to."""
    language = LanguageConfig(outputs=("embedding", "dense"), embed_dim=16)
    config = dataclasses.replace(small(), language=language, uncertainty=True)
    with fake_gpu(config, half) as (pipeline, image):
        program = torch.export.export(_Joined(pipeline), (image,)).run_decompositions()
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    names = Counter(str(node.target) for node in calls)
    assert not [name for name in names if "cudnn" in name or name.endswith("out")]
    assert names["aten.convolution.default"] == 7 + 2 + 3 * 2 + 4 * 4 + 2
    tensors = [one for node in calls for one in tree_leaves(node.meta.get("val")) if isinstance(one, torch.Tensor)]
    assert {one.device for one in tensors} == {CUDA}
    products = [node.meta["val"].dtype for node in calls if node.target is torch.ops.aten.addmm.default]
    assert (torch.float16 in products) == half
