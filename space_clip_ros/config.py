"""Every default of the project, declared once; YAML files and ROS parameters are derived from or tested against it."""

from __future__ import annotations

import math
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from space_clip_ros.settings import group, setting

ENCODER_KINDS = ("clip", "siglip")
STEMS = ("patch", "convolutional")
HEADS = ("linear", "log")
_BACKENDS_FOLDER = Path(__file__).parent / "inference" / "backends"
# One file per backend, so that adding one changes nothing here. Listed, not imported: everything imports this module.
BACKENDS = ("auto", *sorted(module.name for module in pkgutil.iter_modules([str(_BACKENDS_FOLDER)])))
PRECISIONS = ("auto", "fp32", "fp16", "int8")
HEIGHT_LIMIT = 10_000.0
COLORMAPS = ("turbo", "inferno", "magma", "viridis", "jet")
SCALE_MODES = ("none", "auto", "camera_height", "ranges")
ADAPTED = ("query", "key", "value", "output", "mlp_in", "mlp_out")
OUTPUTS = ("depth", "uncertainty", "embedding", "dense")
"""Names of a model's outputs, in their order."""
_LEAST_BLOCKS = 3
LANGUAGE_OUTPUTS = OUTPUTS[2:]
UNLABELLED = 255
"""Value of unlabelled pixels in label maps."""
IMAGENET = "imagenet"
TEMPLATE_SETS = (IMAGENET, "none")
"""Prompt templates for names: the 80 sentences that CLIP was evaluated with on ImageNet, or the name alone."""
FUSIONS = ("gates", "cross_attention")
RESIZE_RULES = ("straight", "lower_bound", "upper_bound", "pad")
"""How an image is fitted to a network's size: ``straight`` squeezes it into the size; ``lower_bound`` keeps its shape,
with neither side shorter than the size's; ``upper_bound`` keeps its shape, with neither side longer; ``pad`` keeps its
shape and fills the rest of the size with a border."""
RUNNING = ("backend", "device", "precision", "threads", "thread_spinning")
"""Settings of :class:`NodeConfig` that say how a model runs; ``load_predictor`` takes arguments of the same names."""
_PAPER_LAYERS = 12
_CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class AdapterConfig:
    """Low-rank adapters (LoRA, arXiv:2106.09685) in every block of the frozen encoder; exports merge them."""

    rank: int = setting(0, "rank of the adapters; 0 for none", minimum=0)
    alpha: float = setting(16.0, "adapters are scaled by alpha over rank", minimum=1e-6)
    targets: tuple[str, ...] = setting(("query", "value"), "projections that get an adapter", choices=ADAPTED)

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if not self.targets or len(set(self.targets)) < len(self.targets):
            yield f"targets: must name projections, each once, got {list(self.targets)}"


@dataclass(frozen=True)
class EncoderConfig:
    """The vision transformer; the defaults are those of CLIP ViT-B/16."""

    kind: str = setting("clip", "family of the vision transformer", choices=ENCODER_KINDS)
    width: int = setting(768, "token width", minimum=1)
    layers: int = setting(12, "transformer blocks", minimum=1)
    heads: int = setting(12, "attention heads", minimum=1)
    mlp_ratio: float = setting(4.0, "hidden width of the MLP over the token width", minimum=0.1)
    patch_size: int = setting(16, "side of a patch, pixels", minimum=1)
    image_size: int = setting(224, "side of the images that the position embedding was trained for, pixels", minimum=1)
    activation: str = setting("quick_gelu", "MLP activation", choices=("quick_gelu", "gelu", "gelu_tanh"))
    stem: str = setting(
        "patch",
        "how an image becomes patches: patch (one product each, as in CLIP) or convolutional (strided convolutions "
        "added to it, for small trainable towers)",
        choices=STEMS,
    )
    layer_norm_eps: float = setting(1e-5, "epsilon of every layer norm", minimum=0.0)
    trainable: bool = setting(False, "train the encoder too (only for small encoders without pretrained weights)")
    adapters: AdapterConfig = group(AdapterConfig, "low-rank adapters")
    tower: str = setting(
        "",
        "name of a model in open_clip, such as ViT-L-14-quickgelu, which gives the settings left out above and the "
        "model's input_size, mean and std; empty for none",
    )

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.tower:
            return  # what it stands for is filled in later
        if self.adapters.rank > self.width:
            yield f"adapters.rank: must be at most width {self.width}, got {self.adapters.rank}"
        if self.adapters.rank and self.trainable:
            yield "adapters.rank: adapters are for a frozen tower; set trainable to false or rank to 0"
        if self.stem == "convolutional" and not (self.trainable and self.kind == "clip"):
            yield "stem: convolutional is for a trainable tower of kind clip"
        if self.stem == "convolutional" and (self.patch_size < 2 or self.patch_size & (self.patch_size - 1)):
            yield f"patch_size: must be a power of two for the convolutional stem, got {self.patch_size}"
        if self.width % self.heads:
            yield f"heads: must divide width {self.width}, got {self.heads}"
        if self.image_size % self.patch_size:
            yield f"image_size: must be a multiple of patch_size {self.patch_size}, got {self.image_size}"


@dataclass(frozen=True)
class DecoderConfig:
    """The dual-pathway decoder."""

    channels: tuple[int, ...] = setting(
        (256, 128, 64, 32), "channels of the semantic blocks, one block for each semantic state", minimum=2
    )
    film_hidden: int = setting(256, "hidden width of the FiLM perceptrons", minimum=1)
    dropout: float = setting(0.1, "dropout inside the residual blocks, training only", minimum=0.0, maximum=0.9)
    head: str = setting(
        "linear",
        "what the depth heads predict: linear (metres, the paper's) or log (their logarithm)",
        choices=HEADS,
    )
    auxiliary_heads: bool = setting(True, "carry the auxiliary depth heads used in training")
    fusion: str = setting(
        "gates",
        "how the pathways are fused: gates (the paper's), or cross_attention, which adds to the gates an attention of "
        "semantic maps to structural ones on the patch grid",
        choices=FUSIONS,
    )
    attention_heads: int = setting(4, "heads of cross_attention", minimum=1)
    use_film: bool = setting(True, "modulate the semantic states by the context vector")
    use_structural_pathway: bool = setting(True, "carry the structural pathway")
    semantic_states: tuple[int, ...] = setting(
        (),
        "the tower's states that the semantic blocks read, deep to shallow; empty to spread them evenly over its "
        "layers (of 12: 12, 9, 6, 3)",
        minimum=0,
    )
    structural_states: tuple[int, ...] = setting(
        (),
        "the tower's states that the structural pathway reads, for the first semantic blocks; empty for one fewer than "
        "semantic states, as far apart as the paper's (of 12: 2, 1, 0)",
        minimum=0,
    )

    def states(self, layers: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the states of a tower of ``layers`` layers that the semantic and the structural pathway read."""
        blocks = len(self.channels)
        semantic = self.semantic_states or tuple(_nearest(layers * (blocks - block), blocks) for block in range(blocks))
        if not self.use_structural_pathway:
            return semantic, ()
        shallow = range(max(blocks - 1, 1) - 1, -1, -1)
        spread = (min(_nearest(layers * state, _PAPER_LAYERS), layers) for state in shallow)
        return semantic, self.structural_states or tuple(spread)

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        blocks = len(self.channels)
        if not blocks:
            yield "channels: must name at least one block"
        if len(self.semantic_states) not in (0, blocks):
            yield f"semantic_states: must be empty or {blocks}, one for each of channels {list(self.channels)}"
        if len(self.structural_states) > blocks:
            yield f"structural_states: must be at most {blocks}, as many as channels {list(self.channels)}"
        if self.structural_states and not self.use_structural_pathway:
            yield "structural_states: must be empty without use_structural_pathway"
        if self.fusion != "cross_attention":
            return
        if not self.use_structural_pathway:
            yield "fusion: cross_attention needs use_structural_pathway"
        attending = self.channels[: len(self.states(_PAPER_LAYERS)[1])]
        if any(count % self.attention_heads for count in attending):
            yield (
                f"attention_heads: must divide the first {len(attending)} of channels {list(self.channels)}, "
                f"got {self.attention_heads}"
            )


def _nearest(numerator: int, denominator: int) -> int:
    """Return a quotient rounded to the nearest whole number, halves up."""
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass(frozen=True)
class LanguageConfig:
    """A model's language features: vectors in a space that it shares with words."""

    outputs: tuple[str, ...] = setting(
        (), "embedding (one vector for the image), dense (one for each patch), or both; empty for depth alone"
    )
    embed_dim: int = setting(0, "length of the vectors", minimum=0)
    vocabulary: tuple[str, ...] = setting(
        (),
        "closed list of names: the i-th axis of a vector stands for the i-th name. Empty for CLIP's joint space, where "
        "any text has a vector",
    )
    tower: str = setting("", "hash of the vision tower and its projection, for which texts must be encoded")
    logit_scale: float = setting(40.0, "cosines are multiplied by this before the softmax over queries", minimum=0.1)
    sigma: float = setting(5.0, "NACLIP's Gaussian over the patches' distance, in patches", minimum=0.1)

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if unknown := sorted({*self.outputs} - {*LANGUAGE_OUTPUTS}):
            yield f"outputs: may be {' and '.join(LANGUAGE_OUTPUTS)}, got {', '.join(unknown)}"
        if bool(self.outputs) != bool(self.embed_dim):
            yield f"embed_dim: outputs {list(self.outputs)} and embed_dim {self.embed_dim} do not fit together"
        if self.vocabulary and len(self.vocabulary) != self.embed_dim:
            yield f"vocabulary: must name {self.embed_dim} classes, got {len(self.vocabulary)}"


@dataclass(frozen=True)
class ModelConfig:
    """A whole model: encoder, decoder, input size, normalisation and depth range."""

    name: str = setting("clip_vit_b16", "name shown in files and diagnostics")
    encoder: EncoderConfig = group(EncoderConfig, "vision transformer")
    decoder: DecoderConfig = group(DecoderConfig, "decoder")
    input_size: tuple[int, int] = setting((224, 224), "height and width the image is resized to, pixels", minimum=1)
    mean: tuple[float, float, float] = setting((0.48145466, 0.4578275, 0.40821073), "RGB mean of inputs in [0, 1]")
    std: tuple[float, float, float] = setting(
        (0.26862954, 0.26130258, 0.27577711), "RGB standard deviation of inputs in [0, 1]", minimum=1e-6
    )
    min_depth: float = setting(0.001, "smallest depth trained for, metres", minimum=0.0)
    max_depth: float = setting(80.0, "largest depth trained for, metres", minimum=0.0)
    refinement: bool = setting(
        False, "add a head that corrects depth where details are finer than the decoder resolves"
    )
    uncertainty: bool = setting(
        False, "also predict how far off depth may be: the scale of a Laplace distribution over log depth"
    )
    uncertainty_factor: float = setting(
        1.0,
        "factor on the predicted uncertainty, fitted on held-out frames by the evaluations of training",
        minimum=1e-3,
    )
    training_camera: tuple[float, ...] = setting(
        (), "width, height, fx, fy of the camera trained on, pixels; empty where unknown", minimum=0.0
    )
    language: LanguageConfig = group(LanguageConfig, "language features")

    @property
    def states(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The tower's states that the semantic and the structural pathway read."""
        return self.decoder.states(self.encoder.layers)

    @property
    def metric(self) -> bool:
        """Whether depth is in metres."""
        return True

    @property
    def uncertainty_grid(self) -> tuple[int, int]:
        """Rows and columns of the uncertainty that the network makes: a quarter of those of :attr:`decoder_grid`."""
        rows, columns = self.decoder_grid
        return rows // 4, columns // 4

    @property
    def decoder_grid(self) -> tuple[int, int]:
        """Rows and columns of the decoder's last block: each block doubles the patch grid."""
        return self._grid(1 << len(self.decoder.channels))

    @property
    def depth_grid(self) -> tuple[int, int]:
        """Rows and columns of the network's depth: :attr:`decoder_grid`, or what a refinement makes if that is more."""
        return max(self.decoder_grid, self._grid(16 if self.refinement else 1))

    @property
    def dense_grid(self) -> tuple[int, int]:
        """Rows and columns of the dense language features.

        They are those of the patches; for a closed list those of the decoder's third block, which has doubled the
        patch grid three times.
        """
        return self._grid(8 if self.language.vocabulary else 1)

    @property
    def outputs(self) -> dict[str, tuple[int, ...] | None]:
        """The model's outputs for each image: names, in order, and shapes; None for depth, which has the image's."""
        length = self.language.embed_dim
        shapes = (None, self.uncertainty_grid, (length,), (*self.dense_grid, length))
        given = (OUTPUTS[0], *OUTPUTS[1:2] * self.uncertainty, *self.language.outputs)
        return {name: shape for name, shape in zip(OUTPUTS, shapes, strict=True) if name in given}

    def _grid(self, scale: int) -> tuple[int, int]:
        rows, columns = (size // self.encoder.patch_size for size in self.input_size)
        return rows * scale, columns * scale

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if not self.encoder.tower:
            yield from self._against_the_encoder()
        if self.uncertainty and len(self.decoder.channels) < 2:
            yield "uncertainty: needs a decoder of at least two blocks"
        if self.min_depth >= self.max_depth:
            yield f"min_depth: must be below max_depth {self.max_depth:g}, got {self.min_depth:g}"
        if len(self.training_camera) not in (0, 4) or not all(self.training_camera):
            yield f"training_camera: must be empty or width, height, fx, fy above 0, got {list(self.training_camera)}"
        for setting_name, wanted in (
            ("language.vocabulary", self.language.vocabulary),
            ("refinement", self.refinement),
        ):
            if wanted and len(self.decoder.channels) < _LEAST_BLOCKS:
                yield f"{setting_name}: needs {_LEAST_BLOCKS} decoder blocks, got {len(self.decoder.channels)}"
        if self.language.outputs and not self.language.vocabulary and (reason := self._left_joint_space()):
            yield f"language.outputs: {reason}, so its features are in no space that text shares; leave it empty"

    def _left_joint_space(self) -> str:
        """Return why the tower's features are not in CLIP's joint space; empty if they are."""
        encoder = self.encoder
        if encoder.kind != "clip":
            return f"encoder.kind is {encoder.kind}, which has no projection from patches to its text's space"
        if encoder.trainable:
            return "encoder.trainable is true and training moves the tower away from CLIP's"
        return "encoder.adapters change CLIP's features" if encoder.adapters.rank else ""

    def _against_the_encoder(self) -> Iterator[str]:
        if any(size % self.encoder.patch_size for size in self.input_size):
            yield f"input_size: must be multiples of patch_size {self.encoder.patch_size}, got {list(self.input_size)}"
        for name in ("semantic_states", "structural_states"):
            states = getattr(self.decoder, name)
            if any(state > self.encoder.layers for state in states):
                yield f"decoder.{name}: a tower of {self.encoder.layers} layers has no such state, got {list(states)}"


@dataclass(frozen=True)
class AdoptedConfig:
    """A third-party network, wrapped by ``space_clip adopt``: what is known about it, and how it takes images."""

    name: str = setting("adopted", "name shown in files and diagnostics")
    source: str = setting("", "where the network comes from, and who made it")
    licence: str = setting("", "licence of its weights, as its authors state it")
    metric: bool = setting(True, "depth is in metres; if not, it is right up to a factor that scale.mode must find")
    input_size: tuple[int, int] = setting((518, 518), "height and width for the resize rule", minimum=1)
    resize_rule: str = setting("straight", "how an image is fitted to that size", choices=RESIZE_RULES)
    multiple: int = setting(1, "both sides of the resized image are multiples of this, pixels", minimum=1)
    mean: tuple[float, float, float] = setting((0.0, 0.0, 0.0), "RGB mean of inputs in [0, 1]")
    std: tuple[float, float, float] = setting((1.0, 1.0, 1.0), "RGB standard deviation of inputs", minimum=1e-6)
    min_depth: float = setting(0.001, "smallest depth trained for, metres", minimum=0.0)
    max_depth: float = setting(80.0, "largest depth trained for, metres", minimum=0.0)
    uncertainty: bool = setting(False, "whether an output is uncertainty")
    training_camera: tuple[float, ...] = setting(
        (), "width, height, fx, fy of the camera trained on, pixels; empty where unknown", minimum=0.0
    )
    recipe: str = setting("", "how inputs and outputs are read, in one line")

    @property
    def depth_grid(self) -> None:
        """None: depth has the rows and columns of the resized image."""
        return

    @property
    def outputs(self) -> dict[str, tuple[int, ...] | None]:
        """The outputs, as in :attr:`ModelConfig.outputs`; no shape is known before a run."""
        return dict.fromkeys(OUTPUTS[: 1 + self.uncertainty])

    @property
    def language(self) -> LanguageConfig:
        """No language features."""
        return LanguageConfig()

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.min_depth >= self.max_depth:
            yield f"min_depth: must be below max_depth {self.max_depth:g}, got {self.min_depth:g}"
        if len(self.training_camera) not in (0, 4) or not all(self.training_camera):
            yield f"training_camera: must be empty or width, height, fx, fy above 0, got {list(self.training_camera)}"


@dataclass(frozen=True)
class PointsConfig:
    """What ``depth/points`` holds."""

    stride: int = setting(2, "take every n-th pixel in both directions", minimum=1, maximum=64)
    color: bool = setting(True, "add the packed rgb field")
    max_range: float = setting(
        60.0, "points farther along z become NaN, metres; 0 for no limit", minimum=0.0, maximum=1e4
    )
    clearing: bool = setting(
        False, "put points beyond max_range at max_range instead of NaN, so that costmaps clear along their rays"
    )
    min_height: float = setting(
        -HEIGHT_LIMIT,
        "points lower than this become NaN, metres above the camera along its -y axis, so negative below it",
        minimum=-HEIGHT_LIMIT,
        maximum=HEIGHT_LIMIT,
    )
    max_height: float = setting(
        HEIGHT_LIMIT,
        "points higher than this become NaN, metres above the camera along its -y axis",
        minimum=-HEIGHT_LIMIT,
        maximum=HEIGHT_LIMIT,
    )
    max_jump: float = setting(
        0.0,
        "remove points at edges where depth jumps by more than this fraction between neighbouring pixels; 0 keeps "
        "them, 0.1 removes points that float between two objects",
        minimum=0.0,
        maximum=100.0,
    )
    max_uncertainty: float = setting(
        0.0,
        "remove points whose standard deviation of depth exceeds this share of depth; 0 keeps all. Ignored with models "
        "that give no uncertainty",
        minimum=0.0,
        maximum=100.0,
    )
    dense: bool = setting(
        False, "leave out invalid points: an unorganized cloud with is_dense set instead of a grid with NaN"
    )

    @property
    def heights(self) -> tuple[float, float] | None:
        """The heights to keep, metres, or None to keep all."""
        everything = (-HEIGHT_LIMIT, HEIGHT_LIMIT)
        return None if (self.min_height, self.max_height) == everything else (self.min_height, self.max_height)


@dataclass(frozen=True)
class ObstaclesConfig:
    """What counts as an obstacle, for ``depth/obstacles`` and ``depth/scan``."""

    min_height: float = setting(
        0.2,
        "lowest obstacle, metres above the ground; the noise of the ground's depth is added",
        minimum=0.01,
        maximum=100.0,
    )
    max_height: float = setting(
        2.0,
        "highest obstacle, metres above the ground; the robot passes below anything higher",
        minimum=0.02,
        maximum=100.0,
    )
    max_range: float = setting(
        30.0, "furthest obstacle, metres from the camera along the ground", minimum=0.1, maximum=1e4
    )
    max_slope: float = setting(
        0.1,
        "steepest ground, metres of rise per metre; anything steeper is an obstacle once it is min_height high",
        minimum=0.0,
        maximum=0.5,
    )
    max_uncertainty: float = setting(
        0.0,
        "leave out pixels whose standard deviation of depth exceeds this share of depth; 0 keeps all. Ignored with "
        "models that give no uncertainty",
        minimum=0.0,
        maximum=100.0,
    )
    ground_max_age: float = setting(
        2.0, "keep the last ground for this long while images show none, seconds", minimum=0.0, maximum=3600.0
    )


@dataclass(frozen=True)
class ScanConfig:
    """Frame and resolution of ``depth/scan``."""

    frame_id: str = setting(
        "",
        "frame of the scan, in TF, z up; empty for the camera's level one, its frame_id with _level appended: at the "
        "camera, x forward, z away from the ground",
    )
    angle_increment: float = setting(
        0.0087,
        "angle from one bearing to the next, radians; at least that of the pixels that are looked at",
        minimum=0.0005,
        maximum=0.5,
    )


@dataclass(frozen=True)
class ColorConfig:
    """What ``depth/color`` looks like; the colours always span min_depth to max_depth."""

    colormap: str = setting("turbo", "colour map, near to far", choices=COLORMAPS)


@dataclass(frozen=True)
class ScaleConfig:
    """How the scale of depth is corrected while the node runs."""

    mode: str = setting(
        "none",
        "evidence for the scale: the ground in view and the camera's known height, ranges (scale/points and "
        "scale/range), or auto (whatever there is)",
        choices=SCALE_MODES,
    )
    camera_height: float = setting(
        0.0, "the camera's height above the ground, metres; 0 to take it from TF", minimum=0.0, maximum=100.0
    )
    camera_pitch: float = setting(
        0.0,
        "pitch of the camera, positive looks down, radians; used with camera_height",
        minimum=-1.5,
        maximum=1.5,
    )
    camera_roll: float = setting(
        0.0,
        "roll of the camera, positive is clockwise seen from behind it, radians; used with camera_height",
        minimum=-3.2,
        maximum=3.2,
    )
    ground_frame: str = setting(
        "base_footprint", "TF frame whose x y plane is the ground, used if camera_height is 0; empty for no TF"
    )
    extrinsics: tuple[float, ...] = setting(
        (),
        "pose of the range sensor in the camera's optical frame: x y z (metres) roll pitch yaw (radians); empty to "
        "take it from TF",
    )
    max_rate: float = setting(
        0.2, "largest change of the factor within a second, as a share of it", minimum=0.001, maximum=100.0
    )

    @property
    def wants_height(self) -> bool:
        """Whether the ground is used as evidence."""
        return self.mode in ("auto", "camera_height")

    @property
    def wants_ranges(self) -> bool:
        """Whether measured ranges are used as evidence."""
        return self.mode in ("auto", "ranges")

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.extrinsics and not (len(self.extrinsics) == 6 and all(map(math.isfinite, self.extrinsics))):
            yield f"extrinsics: must be empty or x y z roll pitch yaw, got {list(self.extrinsics)}"
        if self.mode == "camera_height" and not self.camera_height and not self.ground_frame:
            yield "camera_height: mode camera_height needs it, or ground_frame"


@dataclass(frozen=True)
class SemanticConfig:
    """Queries by name, for models with language features."""

    queries: tuple[str, ...] = setting(
        (),
        "names to look for, e.g. [car, person]; semantic/query changes them at run time. Empty for all that query_file "
        "holds; a text tower then waits for semantic/query",
    )
    query_file: str = setting(
        "",
        "file of queries written by space_clip text, or a text tower (.onnx) that encodes any query; models with a "
        "closed list of names need none",
    )
    background: tuple[str, ...] = setting(
        (),
        "competing names, never reported; a queried one does not compete with itself. Empty for query_file's and "
        "its other names; of a closed list, always the others",
    )
    threshold: float = setting(
        0.5,
        "least probability of a label, in the softmax over queries and background",
        minimum=0.0,
        maximum=1.0,
    )
    temperature: float = setting(
        1.0,
        "divides the model's logit_scale, which multiplies the cosines: above 1 the probabilities are closer to each "
        "other, below 1 further apart",
        minimum=0.01,
        maximum=100.0,
    )
    min_patches: float = setting(
        1.0,
        "smallest detection, by its area in patches of the model; fractions are allowed",
        minimum=0.0,
        maximum=1e4,
    )


@dataclass(frozen=True)
class DiagnosticsConfig:
    """How often ``/diagnostics`` is published, and when it warns."""

    period: float = setting(1.0, "seconds between reports", minimum=0.1, maximum=60.0)
    min_rate: float = setting(0.0, "warn below this many published frames per second; 0 for never", minimum=0.0)
    max_age: float = setting(
        0.0, "warn when the 95th percentile of the age at publishing is above this, seconds; 0 for never", minimum=0.0
    )
    max_dropped: float = setting(
        1.0,
        "warn when more than this fraction of the received images is dropped; 1 for never",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class NodeConfig:
    """Parameters of ``depth_node``."""

    model: str = setting(
        "road_tiny", "bundled model's name, or path of an .onnx, .pt2 or checkpoint file", read_only=True
    )
    backend: str = setting("auto", "library that runs the model", choices=BACKENDS, read_only=True)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N", read_only=True)
    precision: str = setting(
        "auto",
        "number format of the model; by name, int8 takes NAME_int8 if there is one, and so does auto on a CPU with "
        "VNNI if its error is within 1 % of NAME's",
        choices=PRECISIONS,
        read_only=True,
    )
    threads: int = setting(0, "CPU threads of the model; 0 for one per core", minimum=0, maximum=256, read_only=True)
    thread_spinning: bool = setting(
        False,
        "ONNX Runtime's CPU threads spin instead of sleeping within an image: lower median latency on idle cores, "
        "higher p99 when other processes compete for them",
        read_only=True,
    )
    engine_retries: int = setting(
        5,
        "attempts, with growing pauses, to reload a model that keeps failing before it is reported as failed; the "
        "node stays up and tries again every 30 s",
        minimum=0,
        maximum=1000,
    )
    cameras: tuple[str, ...] = setting(
        ("",),
        "names of several cameras that share the model, e.g. [front, rear]; their topics are under front/ and rear/; "
        "[''] for one camera with the plain topics",
        read_only=True,
    )
    batch_wait: float = setting(
        0.0,
        "seconds an image waits for images of other cameras to run in one batch with them, if the backend can; "
        "0 to run what has arrived",
        minimum=0.0,
        maximum=1.0,
    )
    image_transport: str = setting("raw", "transport of the input topic", choices=("raw", "compressed"), read_only=True)
    rectify: str = setting(
        "auto",
        "auto: undistort images whose camera_info has distortion; never: images are rectified already, P describes "
        "them (off and false mean never)",
        choices=("auto", "never"),
        # YAML reads off as false.
        aliases={False: "never", "off": "never"},
    )
    depth_encoding: str = setting("32FC1", "32FC1 metres or 16UC1 millimetres", choices=("32FC1", "16UC1"))
    min_depth: float = setting(0.1, "depth below this is invalid, metres", minimum=0.0)
    max_depth: float = setting(80.0, "depth above this is invalid, metres", minimum=0.001, maximum=10_000.0)
    depth_scale: float = setting(1.0, "every depth is multiplied by this", minimum=0.001, maximum=1000.0)
    depth_resolution: str = setting(
        "image",
        "resolution of depth, camera_info, cloud and colours: every pixel, every second row and column, or about that "
        "of the network's own depth",
        choices=("image", "half", "network"),
    )
    focal_scaling: str = setting(
        "auto",
        "multiply depth by this camera's focal length over the training camera's: where both are known (always also "
        "warns), or never; true is always, false never",
        choices=("auto", "always", "never"),
        aliases={True: "always", False: "never"},
    )
    scale: ScaleConfig = group(ScaleConfig, "metric scale while running")
    points: PointsConfig = group(PointsConfig, "point cloud")
    color: ColorConfig = group(ColorConfig, "colour picture")
    obstacles: ObstaclesConfig = group(ObstaclesConfig, "obstacles")
    scan: ScanConfig = group(ScanConfig, "planar scan")
    semantic: SemanticConfig = group(SemanticConfig, "queries by name")
    max_age: float = setting(0.0, "drop images older than this on arrival, seconds; 0 for never", minimum=0.0)
    diagnostics: DiagnosticsConfig = group(DiagnosticsConfig, "diagnostics")
    autostart: bool = setting(True, "configure and activate at start, without a lifecycle manager", read_only=True)

    def running(self) -> dict[str, Any]:
        """Return the arguments of :func:`space_clip_ros.inference.load_predictor` other than the model."""
        return {name: getattr(self, name) for name in RUNNING}

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.min_depth >= self.max_depth:
            yield f"min_depth: must be below max_depth {self.max_depth:g}, got {self.min_depth:g}"
        if self.points.clearing and not self.points.max_range:
            yield "points.clearing: needs points.max_range above 0"
        if self.points.min_height >= self.points.max_height:
            yield (
                f"points.min_height: must be below points.max_height {self.points.max_height:g}, "
                f"got {self.points.min_height:g}"
            )
        if self.obstacles.min_height >= self.obstacles.max_height:
            yield (
                f"obstacles.min_height: must be below obstacles.max_height {self.obstacles.max_height:g}, "
                f"got {self.obstacles.min_height:g}"
            )
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            yield f"cameras: must be names that differ, or [''] for one camera, got {list(self.cameras)}"
        if len(self.cameras) > 1 and self.scale.extrinsics:
            yield "scale.extrinsics: is for one camera; several take their sensors' poses from TF"
        for name in self.cameras:
            if not _CAMERA_NAME.fullmatch(name) and self.cameras != ("",):
                yield f"cameras: names consist of letters, digits and _ and begin with a letter, got {name!r}"


@dataclass(frozen=True)
class PlayerConfig:
    """Parameters of ``kitti_player``."""

    drive: str = setting("", "folder of one KITTI raw drive (…_drive_NNNN_sync)", read_only=True)
    rate: float = setting(1.0, "playback speed; 1 is the drive's own", minimum=0.01, maximum=100.0, read_only=True)
    loop: bool = setting(False, "start again at the end", read_only=True)
    clock: bool = setting(False, "publish /clock with the drive's time", read_only=True)
    stamps: str = setting(
        "drive",
        "stamps of the messages: the drive's own, or the current time",
        choices=("drive", "now"),
        read_only=True,
    )
    frame_id: str = setting("camera_color_optical_frame", "frame of images and ground truth", read_only=True)
    scan_frame_id: str = setting("velodyne", "frame of velodyne_points", read_only=True)
    frames: int = setting(0, "play only this many frames of the drive; 0 for all", minimum=0, read_only=True)
    wait_for_subscribers: float = setting(
        10.0,
        "seconds to wait for an image subscriber before the first frame; 0 does not wait",
        minimum=0.0,
        read_only=True,
    )
    subscribers: int = setting(1, "how many image subscribers to wait for", minimum=1, maximum=100, read_only=True)
    settle: float = setting(
        0.5,
        "then wait until no new image subscriber has come for this long, seconds",
        minimum=0.0,
        maximum=60.0,
        read_only=True,
    )
    wait_for_depth: float = setting(
        0.0,
        "wait up to this long until depth_node says on /diagnostics that it is ready for the drive's images, seconds; "
        "0 to play at once",
        minimum=0.0,
        maximum=3600.0,
        read_only=True,
    )

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.clock and self.stamps == "now":
            yield "clock: carries the drive's time, so it needs stamps: drive"


@dataclass(frozen=True)
class EvaluatorConfig:
    """Parameters of ``depth_evaluator``."""

    min_depth: float = setting(0.001, "ground truth below this is left out, metres", minimum=1e-6, read_only=True)
    max_depth: float = setting(80.0, "ground truth above this is left out, metres", minimum=0.001, read_only=True)
    crop: str = setting("garg", "image region compared", choices=("none", "garg", "eigen"), read_only=True)
    period: float = setting(1.0, "seconds between reports", minimum=0.1, maximum=60.0, read_only=True)
    json: str = setting("", "file to write the final table to; empty for none", read_only=True)
    sync_tolerance: float = setting(
        0.0,
        "seconds that the stamps of depth and ground truth may be apart; less than half the time between two frames",
        minimum=0.0,
        maximum=10.0,
        read_only=True,
    )

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.min_depth >= self.max_depth:
            yield f"min_depth: must be below max_depth {self.max_depth:g}, got {self.min_depth:g}"
