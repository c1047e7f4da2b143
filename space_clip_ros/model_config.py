"""Settings that describe a model; files of models carry them, and training declares them in YAML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from space_clip_ros.settings import group, ordered, setting

ENCODER_KINDS = ("clip", "siglip")
STEMS = ("patch", "convolutional")
HEADS = ("linear", "log")
ADAPTED = ("query", "key", "value", "output", "mlp_in", "mlp_out")
FUSIONS = ("gates", "cross_attention")
OUTPUTS = ("depth", "uncertainty", "embedding", "dense")
"""Names of a model's outputs, in their order."""
LANGUAGE_OUTPUTS = OUTPUTS[2:]
UNLABELLED = 255
"""Value of unlabelled pixels in label maps."""
IMAGENET = "imagenet"
TEMPLATE_SETS = (IMAGENET, "none")
"""Prompt templates for names: the 80 sentences that CLIP was evaluated with on ImageNet, or the name alone."""
RESIZE_RULES = ("straight", "lower_bound", "upper_bound", "pad")
"""How an image is fitted to a network's size: ``straight`` squeezes it into the size; ``lower_bound`` keeps its shape,
with neither side shorter than the size's; ``upper_bound`` keeps its shape, with neither side longer; ``pad`` keeps its
shape and fills the rest of the size with a border."""
_LEAST_BLOCKS = 3
_PAPER_LAYERS = 12


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
        yield from ordered(self, "min_depth", "max_depth")
        yield from _camera_problems(self.training_camera)
        for setting_name, wanted in (
            ("language.vocabulary", self.language.vocabulary),
            ("refinement", self.refinement),
        ):
            if wanted and len(self.decoder.channels) < _LEAST_BLOCKS:
                yield f"{setting_name}: needs {_LEAST_BLOCKS} decoder blocks, got {len(self.decoder.channels)}"
        if self.language.outputs and not self.language.vocabulary and (reason := self._left_joint_space()):
            yield f"language.outputs: {reason}, so its features share no space with text; leave it empty"

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
        yield from ordered(self, "min_depth", "max_depth")
        yield from _camera_problems(self.training_camera)


def _camera_problems(camera: tuple[float, ...]) -> Iterator[str]:
    if len(camera) not in (0, 4) or not all(camera):
        yield f"training_camera: must be empty or width, height, fx, fy above 0, got {list(camera)}"
