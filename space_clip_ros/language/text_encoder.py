"""CLIP's text tower from its own ONNX file, without PyTorch: what a robot needs to look for any word."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from space_clip_ros.errors import ModelError, first_line
from space_clip_ros.language.prompts import query_set
from space_clip_ros.language.queries import QuerySet, check_texts
from space_clip_ros.language.tokens import ClipTokenizer

FORMAT_VERSION = "1"
TOKENS_NAME, VECTORS_NAME = "tokens", "vectors"
_PREFIX = "space_clip.text."
_ERRORS_ONLY = 3
_TEXTS_AT_ONCE = 16


@dataclass(frozen=True)
class TextTowerFacts:
    """What the file of a text tower says about itself.

    Attributes:
        tower: hash of the vision tower and projection that it belongs to.
        embed_dim: length of its vectors.
        context_length: tokens of a text.
        merges: of the tokeniser, see :class:`~space_clip_ros.language.tokens.ClipTokenizer`.
        templates: prompt templates that queries are put into.
        difference: largest difference of a vector's number from PyTorch's when it was made.
    """

    tower: str
    embed_dim: int
    context_length: int
    merges: str
    templates: tuple[str, ...]
    difference: float = 0.0

    def to_properties(self) -> dict[str, str]:
        """Return the ONNX metadata properties; :meth:`from_properties` reads them back."""
        values = {
            "format_version": FORMAT_VERSION,
            "tower": self.tower,
            "embed_dim": str(self.embed_dim),
            "context_length": str(self.context_length),
            "merges": self.merges,
            "templates": json.dumps(list(self.templates)),
            "difference": f"{self.difference:.3g}",
        }
        return {f"{_PREFIX}{key}": value for key, value in values.items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], file: Path) -> TextTowerFacts:
        """Read the properties of ``file``.

        Raises:
            ModelError: they are missing, damaged or of another version.
        """
        version = properties.get(f"{_PREFIX}format_version")
        if version != FORMAT_VERSION:
            raise ModelError(
                file,
                "is not an exported text tower" if version is None else f"has format version {version}",
                "make one with 'space_clip export --text'",
            )
        try:
            value = {key.removeprefix(_PREFIX): value for key, value in properties.items()}
            return cls(
                value["tower"],
                int(value["embed_dim"]),
                int(value["context_length"]),
                value["merges"],
                tuple(json.loads(value["templates"])),
                float(value["difference"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(file, f"its metadata is damaged ({error})", "export it again") from error


class TextEncoder:
    """Encodes words with an exported text tower. Drop it to free its memory: a tower takes up to 250 MB.

    Attributes:
        facts: what the file says about itself.
    """

    def __init__(self, file: str | Path) -> None:
        """Open the file.

        Args:
            file: written by ``space_clip export --text``.

        Raises:
            ModelError: the file is missing, damaged, or not a text tower.
            LibraryError: the tokenizers package is not installed.
        """
        if not Path(file).is_file():
            raise ModelError(file, "no such file", "check the path")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = 1  # the other threads are for images
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's own errors share no base class
            reason = f"is not an ONNX file that can be run ({first_line(error)})"
            raise ModelError(file, reason, "export it again") from error
        self.facts = TextTowerFacts.from_properties(self._session.get_modelmeta().custom_metadata_map, Path(file))
        self._tokenizer = ClipTokenizer(self.facts.merges, self.facts.context_length)

    def encode(self, texts: Sequence[str], background: Sequence[str] = ()) -> QuerySet:
        """Return queries for models with this tower, put into the file's prompt templates.

        Args:
            texts: what is looked for.
            background: what it must stand out from.

        Raises:
            InputError: there is no query, one is empty, two are read as one (case does not count), or a plain text is
                given for several.
        """
        return query_set(self.vectors, texts, background, self.facts.templates, self.facts.tower)

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (N, D) float32 vectors of length 1, of the texts as they are.

        Raises:
            InputError: ``texts`` is not a sequence.
        """
        check_texts("texts", texts)
        tokens = self._tokenizer(texts)
        parts = [tokens[start : start + _TEXTS_AT_ONCE] for start in range(0, len(tokens), _TEXTS_AT_ONCE)]
        vectors = [self._session.run([VECTORS_NAME], {TOKENS_NAME: part})[0] for part in parts]
        return np.asarray(np.concatenate(vectors), np.float32)
