"""The metadata of an exported file: written by the export, read by every backend that runs the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from space_clip_ros import __version__, settings
from space_clip_ros.errors import ConfigError, InputError, ModelError
from space_clip_ros.inference.model_files import is_graph
from space_clip_ros.model_config import OUTPUTS, AdoptedConfig, ModelConfig

FORMAT_VERSION = "1"
INPUT_NAME = "image"
OUTPUT_NAME, UNCERTAINTY_NAME, EMBEDDING_NAME, DENSE_NAME = OUTPUTS
BATCH_NAME = "batch"
HEIGHT_NAME = "height"
WIDTH_NAME = "width"
ENCODER, DECODER = "encoder", "decoder"
"""Stages of our network that :attr:`OnnxMetadata.cost` counts."""
NETWORK = "network"
"""The one stage of an adopted network."""

_PREFIX = "space_clip."
SOURCE_PROPERTY = f"{_PREFIX}source_sha256"
"""Property that holds the hash of the checkpoint."""
_VERSION = f"{_PREFIX}format_version"
ADOPTED = "adopted"
"""Property that holds the configuration of an adopted network, in place of ``config``."""
_WRITTEN_BY_EXPORT = (
    "files for this package are written by 'space_clip export'; 'space_clip adopt' makes one of another's model"
)


class StageCost(NamedTuple):
    """The cost of one stage of a run.

    Attributes:
        operations: two per multiply-add.
        weights: trained numbers that it reads.
    """

    operations: int
    weights: int = 0


@dataclass(frozen=True)
class OnnxMetadata:
    """Contents of the ``space_clip.*`` metadata properties.

    Attributes:
        config: the model's whole configuration, its name included; of an adopted network what is known of it.
        precision: number format of the graph, one of :data:`space_clip_ros.config.PRECISIONS` but ``auto``.
        size: height and width of the images, pixels; None if it takes any size.
        batch: images per run; None if it takes any number.
        source_sha256: hash of the checkpoint file it was made from, hexadecimal; empty if unknown.
        max_difference: largest difference from PyTorch seen when it was made, relative.
        max_difference_m: the same, metres.
        created_with: package and library versions.
        mean_difference: mean relative difference from PyTorch on the image where it was largest.
        drive: frames that int8 was calibrated on and the file was judged on; empty for none.
        abs_rel: of PyTorch and of the file, against that drive's ground truth; None without a drive.
        largest_fp16: largest magnitude seen in an fp16 tensor, whose limit is 65504; None in other precisions.
        uncertainty_difference: as ``mean_difference``, of the uncertainty; None if the model has none.
        graph_sha256: hash of everything in the file but its metadata, hexadecimal.
        language_cosine: mean cosine of the language features with PyTorch's on the worst image; None without them.
        label_agreement: share of patches that are labelled as by PyTorch; None likewise.
        cost: what :data:`ENCODER` and :data:`DECODER`, or :data:`NETWORK`, cost for one image; empty if not counted.
    """

    config: ModelConfig | AdoptedConfig
    precision: str = "fp32"
    size: tuple[int, int] | None = None
    batch: int | None = 1
    source_sha256: str = ""
    max_difference: float = 0.0
    max_difference_m: float = 0.0
    created_with: str = f"space_clip_ros {__version__}"
    mean_difference: float = 0.0
    drive: str = ""
    abs_rel: tuple[float, float] | None = None
    largest_fp16: float | None = None
    uncertainty_difference: float | None = None
    graph_sha256: str = ""
    language_cosine: float | None = None
    label_agreement: float | None = None
    cost: Mapping[str, StageCost] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs, in order: depth, and what else :class:`ModelConfig` says the model gives."""
        return tuple(self.config.outputs)

    @property
    def error_change(self) -> float | None:
        """abs_rel of the file over that of PyTorch, minus 1; None if it was not judged on a drive."""
        if self.abs_rel is None:
            return None
        before, after = self.abs_rel
        return after / before - 1.0

    def check_images(self, file: Path, batch: int, height: int, width: int) -> None:
        """Refuse images that the file was not made for.

        Args:
            file: the file.
            batch: how many images run at once.
            height: of the images, pixels.
            width: of the images, pixels.

        Raises:
            InputError: the file takes another size or number of images.
        """
        if self.size not in (None, (height, width)):
            own_height, own_width = self.size
            any_size = ", or without both for any size" if is_graph(file) else ""
            raise InputError(
                file,
                f"is made for images of {own_width} x {own_height} pixels, got {width} x {height}",
                f"export it again with --height {height} --width {width}{any_size}",
            )
        if self.batch not in (None, batch):
            raise InputError(
                file, f"takes {self.batch} images at once, got {batch}", f"export it again with --batch {batch}"
            )

    def to_properties(self) -> dict[str, str]:
        """Return the properties to store; :meth:`from_properties` reads them back."""
        height, width = self.size or ("", "")
        before, after = self.abs_rel or ("", "")
        values = {
            "name": self.config.name,
            ADOPTED if isinstance(self.config, AdoptedConfig) else "config": json.dumps(settings.to_dict(self.config)),
            "source_sha256": self.source_sha256,
            "height": str(height),
            "width": str(width),
            "batch": "" if self.batch is None else str(self.batch),
            "precision": self.precision,
            "max_difference": f"{self.max_difference:.3g}",
            "max_difference_m": f"{self.max_difference_m:.3g}",
            "created_with": self.created_with,
            "mean_difference": f"{self.mean_difference:.3g}",
            "drive": self.drive,
            "abs_rel_before": f"{before:.5}",
            "abs_rel_after": f"{after:.5}",
            "largest_fp16": "" if self.largest_fp16 is None else f"{self.largest_fp16:.6g}",
            "uncertainty_difference": ""
            if self.uncertainty_difference is None
            else f"{self.uncertainty_difference:.3g}",
            "language_cosine": "" if self.language_cosine is None else f"{self.language_cosine:.6g}",
            "label_agreement": "" if self.label_agreement is None else f"{self.label_agreement:.5g}",
            "graph_sha256": self.graph_sha256,
            "cost": json.dumps({stage: cost._asdict() for stage, cost in self.cost.items()}),
        }
        return {_VERSION: FORMAT_VERSION, **{f"{_PREFIX}{key}": value for key, value in values.items()}}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], file: Path) -> OnnxMetadata:
        """Read the properties of ``file``.

        Raises:
            ModelError: they are missing, are of another format version, or cannot be parsed.
        """
        version = properties.get(_VERSION)
        if version is None:
            raise ModelError(file, f"is an ONNX file without the {_PREFIX}* metadata", _WRITTEN_BY_EXPORT)
        if version != FORMAT_VERSION:
            raise ModelError(
                file,
                f"has format version {version}, this package reads {FORMAT_VERSION}",
                "export it again with this version, or update the package",
            )
        try:
            return cls._parse({key.removeprefix(_PREFIX): value for key, value in properties.items()})
        except (KeyError, ValueError, ConfigError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ModelError(file, f"its {_PREFIX}* metadata is damaged ({reason})", "export it again") from error

    @classmethod
    def _parse(cls, values: Mapping[str, str]) -> OnnxMetadata:
        height, width, batch = values["height"], values["width"], values["batch"]
        before, after = values["abs_rel_before"], values["abs_rel_after"]
        largest, uncertainty = values["largest_fp16"], values["uncertainty_difference"]
        cosine, agreement = values["language_cosine"], values["label_agreement"]
        config: ModelConfig | AdoptedConfig
        if ADOPTED in values:
            config = settings.parse(AdoptedConfig, json.loads(values[ADOPTED]), ADOPTED)
        else:
            config = settings.parse(ModelConfig, json.loads(values["config"]), "config")
        return cls(
            config=config,
            precision=values["precision"],
            size=(int(height), int(width)) if height else None,
            batch=int(batch) if batch else None,
            source_sha256=values["source_sha256"],
            max_difference=float(values["max_difference"]),
            max_difference_m=float(values["max_difference_m"]),
            created_with=values["created_with"],
            mean_difference=float(values["mean_difference"]),
            drive=values["drive"],
            abs_rel=(float(before), float(after)) if before and after else None,
            largest_fp16=float(largest) if largest else None,
            uncertainty_difference=float(uncertainty) if uncertainty else None,
            language_cosine=float(cosine) if cosine else None,
            label_agreement=float(agreement) if agreement else None,
            graph_sha256=values["graph_sha256"],
            cost={
                stage: StageCost(int(cost["operations"]), int(cost["weights"]))
                for stage, cost in json.loads(values["cost"]).items()
            },
        )
