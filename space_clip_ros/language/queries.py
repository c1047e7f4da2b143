"""Queries: names with vectors in the space of a model's language features, and the file that holds them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import reading, write_whole
from space_clip_ros.libraries import LibraryError, import_error
from space_clip_ros.model_config import LanguageConfig

FORMAT_VERSION = "1"
_HEADER = "space_clip.queries"
_VECTORS = "vectors"
_MOST_OFF = 0.01
"""Largest difference of a vector's length from 1; half precision alone is off by less than 0.001."""


@dataclass(frozen=True)
class QuerySet:
    """What is looked for, and the background that it must stand out from.

    Attributes:
        names: the queries.
        background: prompts that compete with the queries but are never reported.
        vectors: (len(names) + len(background), D) float32 of length 1, the queries' first.
        tower: :attr:`~space_clip_ros.model_config.LanguageConfig.tower` that the vectors are for; empty for a closed
            vocabulary's.

    Raises:
        InputError: a vector is not finite or not of length 1, or two are the same: they would share their probability,
            and neither would be found.
    """

    names: tuple[str, ...]
    background: tuple[str, ...]
    vectors: NDArray[np.float32]
    tower: str = ""

    def __post_init__(self) -> None:
        """Check and compare the vectors."""
        first: dict[bytes, str] = {}
        for name, vector in zip((*self.names, *self.background), self.vectors, strict=False):
            length = float(np.linalg.norm(vector))
            if not abs(length - 1.0) <= _MOST_OFF:
                raise InputError("queries", f"the vector of {name!r} has length {length:g}", "scale it to length 1")
            key = vector.tobytes()
            if key in first:
                raise InputError(
                    "queries",
                    f"{first[key]!r} and {name!r} have the same vector, so neither would be found",
                    "leave one of them out",
                )
            first[key] = name

    def check(self, model: LanguageConfig) -> None:
        """Reject queries whose vectors are of another space than a model's.

        Raises:
            InputError: they are for another tower, or of another length.
        """
        if self.tower != model.tower or self.vectors.shape[1] != model.embed_dim:
            raise InputError(
                "queries",
                f"are for tower {self.tower[:12] or 'none'} with {self.vectors.shape[1]} numbers a vector, "
                f"the model has tower {model.tower[:12] or 'none'} with {model.embed_dim}",
                "make them with 'space_clip text' and this model",
            )

    def write(self, path: str | Path) -> None:
        """Write the queries to a safetensors file; it appears whole or not at all.

        Raises:
            LibraryError: the safetensors package is not installed.
            DataError: the file cannot be written.
        """
        header = {
            "format_version": FORMAT_VERSION,
            "names": list(self.names),
            "background": list(self.background),
            "tower": self.tower,
        }
        write_whole(Path(path), _safetensors().save({_VECTORS: self.vectors}, {_HEADER: json.dumps(header)}))

    @classmethod
    def read(cls, path: str | Path) -> QuerySet:
        """Read what :meth:`write` wrote.

        Raises:
            LibraryError: the safetensors package is not installed.
            DataError: the file cannot be read, is damaged, or is not one of ours.
        """
        try:
            with reading(path):
                data = Path(path).read_bytes()
            vectors = np.asarray(_safetensors().load(data)[_VECTORS], np.float32)
            header = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"][_HEADER])
            queries = cls(tuple(header["names"]), tuple(header["background"]), vectors, header["tower"])
        except (LibraryError, DataError):
            raise
        except InputError as error:
            raise DataError(path, error.reason, "make it again with 'space_clip text'") from error
        except Exception as error:  # whatever damaged bytes make of the parsers
            raise DataError(path, "is not a file of queries", "make one with 'space_clip text'") from error
        count = len(queries.names) + len(queries.background)
        if header["format_version"] != FORMAT_VERSION or vectors.ndim != 2 or len(vectors) != count:
            raise DataError(path, "is damaged or of another version", "make it again with 'space_clip text'")
        return queries


def _safetensors() -> Any:
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise import_error(error, "safetensors") from error


def check_texts(what: str, texts: Sequence[str]) -> None:
    """Refuse one text where several are taken: it would be read letter by letter.

    Raises:
        InputError: ``texts``, which the error calls ``what``, is a text.
    """
    if isinstance(texts, str):
        raise InputError(what, f"must be a sequence of texts, got {texts!r}", f"give [{texts!r}]")


def closed_queries(names: Sequence[str], model: LanguageConfig) -> QuerySet:
    """Return queries for a closed vocabulary; the names that are not asked for are the background.

    Case is ignored; the queries have the vocabulary's spelling.

    Raises:
        InputError: a name is not in the vocabulary, or given twice; or ``names`` is not a sequence.
    """
    check_texts("queries", names)
    known = {name.lower(): name for name in model.vocabulary}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise InputError(
            "queries",
            f"{', '.join(map(repr, unknown))} not known: this model has a closed list of names",
            f"choose from {', '.join(model.vocabulary)}, or take a model with CLIP's weights for free text",
        )
    names = [known[name.lower()] for name in names]
    background = tuple(name for name in model.vocabulary if name not in names)
    order = [model.vocabulary.index(name) for name in (*names, *background)]
    return QuerySet(tuple(names), background, np.eye(model.embed_dim, dtype=np.float32)[order], model.tower)
