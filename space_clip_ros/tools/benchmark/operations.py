"""What a model has to compute and to read, counted from its configuration: the basis of the floor.

Counted is what the method itself asks for, whatever a runtime makes of it: two operations a multiply-add of every
linear layer, convolution and attention product, and the two resizes. Norms, activations and gates are left out; they
are under one percent. Bytes are the compulsory ones: every weight once, the image in, the depth out, as if all that
lies between stayed in the caches.
"""

from __future__ import annotations

from dataclasses import dataclass

from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig

STAGES = ("preprocess", "encoder", "decoder", "postprocess")
_KERNEL_TAPS = 4
"""Reach of Pillow's bicubic kernel, in output pixels where it shrinks and in input pixels where it does not."""
_BILINEAR_OPERATIONS = 7
_FLOAT_BYTES = 4
_BYTES_A_WEIGHT = {"fp32": 4, "fp16": 2, "int8": 1}


@dataclass(frozen=True)
class Work:
    """The work of one stage.

    Attributes:
        operations: two a multiply-add.
        weights: trained numbers read.
    """

    operations: float
    weights: int = 0

    def __add__(self, other: Work) -> Work:
        """Return both together."""
        return Work(self.operations + other.operations, self.weights + other.weights)

    def times(self, count: int) -> Work:
        """Return the work of ``count`` images, which share their weights."""
        return Work(self.operations * count, self.weights)


@dataclass(frozen=True)
class Floor:
    """The least time a run can take on a machine.

    Attributes:
        operations: two a multiply-add.
        bytes: compulsory traffic.
        compute_ms: operations over the matrix peak.
        memory_ms: bytes over the bandwidth.
        stages_ms: the same for each stage, the larger of both.
    """

    operations: float
    bytes: int
    compute_ms: float
    memory_ms: float
    stages_ms: dict[str, float]

    @property
    def ms(self) -> float:
        """The larger of both: reading and computing can go on at once."""
        return max(self.compute_ms, self.memory_ms)


def count_work(config: ModelConfig, height: int, width: int, batch: int = 1) -> dict[str, Work]:
    """Return the work of every stage of :data:`STAGES`.

    Args:
        config: the model.
        height: of the images, pixels.
        width: of the images, pixels.
        batch: images a run.
    """
    work = {
        "preprocess": _resize_in(height, width, config.input_size),
        "encoder": _encoder(config.encoder, config.input_size),
        "decoder": _decoder(config),
        "postprocess": Work(_BILINEAR_OPERATIONS * height * width),
    }
    return {stage: one.times(batch) for stage, one in work.items()}


def floor(
    work: dict[str, Work], height: int, width: int, batch: int, precision: str, gflops: float, gbytes: float
) -> Floor:
    """Return the least time of a run.

    Args:
        work: of :func:`count_work`.
        height: of the images, pixels.
        width: of the images, pixels.
        batch: images a run.
        precision: fp32, fp16 or int8, which decides how large a weight is.
        gflops: matrix peak, 10^9 operations a second.
        gbytes: bandwidth, 10^9 bytes read or written a second.
    """
    image, depth = batch * height * width * 3, batch * height * width * _FLOAT_BYTES
    moved = {stage: one.weights * _BYTES_A_WEIGHT[precision] for stage, one in work.items()}
    moved["preprocess"] += image
    moved["postprocess"] += depth
    operations = sum(one.operations for one in work.values())
    return Floor(
        operations=operations,
        bytes=sum(moved.values()),
        compute_ms=operations / gflops / 1e6,
        memory_ms=sum(moved.values()) / gbytes / 1e6,
        stages_ms={stage: max(one.operations / gflops, moved[stage] / gbytes) / 1e6 for stage, one in work.items()},
    )


def _linear(inputs: int, outputs: int, rows: int, bias: bool = True) -> Work:
    """A linear layer, or a 1x1 convolution, over so many rows or pixels."""
    return Work(2.0 * rows * inputs * outputs, inputs * outputs + (outputs if bias else 0))


def _convolution(inputs: int, outputs: int, pixels: int, side: int = 3) -> Work:
    """A convolution with one bias a channel: its own, or its batch norm's once folded."""
    return Work(2.0 * pixels * inputs * outputs * side * side, inputs * outputs * side * side + outputs)


def _resize_in(height: int, width: int, size: tuple[int, int]) -> Work:
    """Pillow's separable resize, width first, three channels, then one multiply-add a value."""
    rows, columns = size
    across = height * columns * _taps(width, columns)
    down = rows * columns * _taps(height, rows)
    return Work(2.0 * 3 * (across + down + rows * columns))


def _taps(size_in: int, size_out: int) -> float:
    return min(float(size_in), _KERNEL_TAPS * max(size_in / size_out, 1.0))


def _encoder(config: EncoderConfig, size: tuple[int, int]) -> Work:
    patch, width = config.patch_size, config.width
    patches = (size[0] // patch) * (size[1] // patch)
    clip = config.kind == "clip"
    tokens = patches + (1 if clip else 0)
    position = Work(0.0, ((config.image_size // patch) ** 2 + (1 if clip else 0)) * width)
    total = _convolution(3, width, patches, patch) + position
    for _ in range(config.layers):
        total += _block(tokens, width, config.mlp_ratio)
    return total if clip else total + _attention_pool(tokens, width, config.mlp_ratio)


def _block(tokens: int, width: int, mlp_ratio: float) -> Work:
    hidden = int(width * mlp_ratio)
    attention = Work(2 * 2.0 * tokens * tokens * width)
    projections = _linear(width, 3 * width, tokens) + _linear(width, width, tokens)
    return attention + projections + _linear(width, hidden, tokens) + _linear(hidden, width, tokens)


def _attention_pool(tokens: int, width: int, mlp_ratio: float) -> Work:
    """SigLIP's head: one learned query over all tokens, and an MLP of its own."""
    hidden = int(width * mlp_ratio)
    attention = Work(2 * 2.0 * tokens * width)
    projections = _linear(width, width, 1) + _linear(width, 2 * width, tokens) + _linear(width, width, 1)
    return attention + projections + _linear(width, hidden, 1) + _linear(hidden, width, 1)


def _decoder(config: ModelConfig) -> Work:
    patch, width, decoder = config.encoder.patch_size, config.encoder.width, config.decoder
    patches = (config.input_size[0] // patch) * (config.input_size[1] // patch)
    total = Work(0.0)
    for count in decoder.channels:
        total += _film(patches, width, decoder) + _linear(width, count, patches)
    for count in decoder.channels[:-1]:
        total += _linear(width, count, patches)
    if decoder.fusion == "cross_attention":
        for count in decoder.channels[:-1]:
            total += _cross_attention(patches, count)
    return total + _structural_blocks(patches, width, decoder) + _semantic_blocks(patches, decoder)


def _cross_attention(patches: int, channels: int) -> Work:
    products = Work(2 * 2.0 * patches * patches * channels)
    query_and_output = _linear(channels, channels, patches) + _linear(channels, channels, patches)
    return products + query_and_output + _linear(channels, 2 * channels, patches)


def _film(patches: int, width: int, config: DecoderConfig) -> Work:
    modulation = Work(2.0 * patches * width)
    return modulation + _linear(width, config.film_hidden, 1) + _linear(config.film_hidden, 2 * width, 1)


def _structural_blocks(patches: int, width: int, config: DecoderConfig) -> Work:
    total, low = Work(0.0), width
    for level, count in enumerate(config.channels[:-1]):
        pixels = patches * 4 ** (level + 1)
        total += _upsample(low, count, pixels) + _convolution(2 * count, count, pixels)
        low = count
    return total


def _semantic_blocks(patches: int, config: DecoderConfig) -> Work:
    channels = config.channels
    total, low = Work(0.0), channels[0]
    for level, (count, structural) in enumerate(zip(channels, (*channels[:-1], 0), strict=True)):
        pixels = patches * 4 ** (level + 1)
        gates = _linear(count, count, pixels)
        if structural:
            gates += _linear(count, structural, pixels)
        residual = _convolution(count, count, pixels) + _convolution(count, count, pixels)
        total += _upsample(low, count, pixels) + gates + _convolution(2 * count + structural, count, pixels) + residual
        low = count
    hidden = low // 2
    return total + _convolution(low, hidden, pixels) + _convolution(hidden, 1, pixels)


def _upsample(inputs: int, outputs: int, pixels: int) -> Work:
    """A 2x2 transposed convolution of stride 2 (each output pixel reads one input pixel), then a 3x3 convolution."""
    transposed = Work(2.0 * pixels * inputs * outputs, 4 * inputs * outputs + outputs)
    return transposed + _convolution(outputs, outputs, pixels)
