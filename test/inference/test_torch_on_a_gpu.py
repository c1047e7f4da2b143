"""What a run on a GPU is made of, without a GPU: fake tensors carry device, type and layout, but no numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.inference.torch_backend import prepare_for_gpu
from space_clip_ros.model import build
from space_clip_ros.model.image_to_depth import ImageToDepth

CUDA = torch.device("cuda", 0)
SIZE = (375, 1242)
ATTENTION = torch.ops.aten.scaled_dot_product_attention.default
CONVOLUTION = torch.ops.aten.convolution.default
NO_KERNEL = {"aten::_unsafe_view", "aten::empty", "aten::empty_strided"}
# Reading a number of a tensor waits for the GPU, and its result cannot be recorded in a CUDA graph.
WAITING = {"_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique"}


class Recorder(TorchDispatchMode):
    """Notes every operator that launches a kernel, and its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, list[torch.Tensor]]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function._schema.name
        returned = [one.alias_info for one in function._schema.returns]
        is_view = bool(returned) and all(one is not None and not one.is_write for one in returned)
        if name.startswith("aten::") and name not in NO_KERNEL and not is_view:
            tensors = tree_leaves((args, kwargs, result))
            self.calls.append((function, [one for one in tensors if isinstance(one, torch.Tensor)]))
        return result

    def kinds(self) -> Counter[str]:
        return Counter(function._schema.name.removeprefix("aten::") for function, _ in self.calls)


class Attention(TorchFunctionMode):
    """Takes attention for the one kernel that it is on a GPU; without one, PyTorch would take it apart."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not functional.scaled_dot_product_attention:
            return function(*args, **(kwargs or {}))
        query, key, value = args
        batch, heads, length, width = query.shape
        self._recorder.calls.append((ATTENTION, [query, key, value]))
        # in the layout of the flash kernels, whose heads lie side by side
        attended = on_gpu(torch.empty((batch, length, heads, width), dtype=query.dtype, device=query.device))
        return attended.transpose(1, 2)


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


def recorded(kind: str = "clip", half: bool = True, grid: tuple[int, int] = (4, 4)) -> Recorder:
    """Run one image through the network that a checkpoint becomes on a GPU."""
    torch.manual_seed(0)
    encoder = EncoderConfig(kind=kind, width=32, heads=2, image_size=64)
    # 16 channels are the fewest that the GPU's resize kernels keep channels-last
    size = (16 * grid[0], 16 * grid[1])
    model = build(
        ModelConfig(encoder=encoder, decoder=DecoderConfig(channels=(32, 32, 16, 16)), input_size=size)
    ).eval()
    prepare_for_gpu(model, half)
    pipeline = ImageToDepth(model, SIZE, bands=1).eval()
    with FakeTensorMode(), torch.inference_mode(False), torch.no_grad():
        moved(pipeline)
        assert pipeline._fixed is not None
        pipeline._fixed = type(pipeline._fixed)(
            *([band._replace(weights=on_gpu(band.weights)) for band in axis] for axis in pipeline._fixed)
        )
        image = torch.empty((1, *SIZE, 3), dtype=torch.uint8, device=CUDA)
        recorder = Recorder()
        with Attention(recorder), recorder:
            depth = pipeline(image)
    assert isinstance(depth, FakeTensor)
    assert (depth.device, depth.dtype, tuple(depth.shape)) == (CUDA, torch.float32, (1, *SIZE))
    return recorder


@pytest.fixture(scope="module")
def clip() -> Recorder:
    return recorded()


def names(calls: Iterable[tuple[Any, Any]]) -> list[str]:
    return [function._schema.name for function, _ in calls]


def test_every_operator_stays_on_the_gpu(clip: Recorder) -> None:
    assert not names(call for call in clip.calls if any(one.device != CUDA for one in call[1]))


def test_nothing_waits_for_the_gpu(clip: Recorder) -> None:
    assert not WAITING & set(clip.kinds())


def test_convolutions_read_channels_last(clip: Recorder) -> None:
    convolutions = [tensors for function, tensors in clip.calls if function is CONVOLUTION]
    assert len(convolutions) > 40
    for image, weight, *_ in convolutions:
        if weight.shape[1] > 3:  # not the first, whose input are the planes of the image
            assert weight.is_contiguous(memory_format=torch.channels_last), tuple(weight.shape)
            assert image.is_contiguous(memory_format=torch.channels_last), tuple(image.shape)


def test_products_are_in_half_precision(clip: Recorder) -> None:
    products = ("convolution", "addmm", "mm", "bmm", "scaled_dot_product_attention")
    wide = [
        function._schema.name
        for function, tensors in clip.calls
        if function._schema.name.removeprefix("aten::") in products and tensors[0].dtype == torch.float32
    ]
    # two of the image's resize, two in each of four FiLM perceptrons, and the convolution that gives metres
    assert len(wide) == 2 + 4 * 2 + 1


def test_the_number_of_kernels_is_within_budget(clip: Recorder) -> None:
    """Each launch costs some microseconds, more than the work of many of them; see docs/tensorrt.md."""
    assert len(clip.calls) <= 301, clip.kinds().most_common()


def test_an_interpolated_position_embedding_costs_nothing_in_a_run(clip: Recorder) -> None:
    other = recorded(grid=(4, 12))
    assert "upsample_bicubic2d" not in other.kinds()
    assert len(other.calls) == len(clip.calls)


def test_siglip_stays_on_the_gpu_too() -> None:
    recorder = recorded("siglip")
    assert not names(call for call in recorder.calls if any(one.device != CUDA for one in call[1]))
    assert not WAITING & set(recorder.kinds())
    assert len(recorder.calls) <= 333, recorder.kinds().most_common()
