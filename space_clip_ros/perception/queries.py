"""Finds the vectors of queried names: in the model's own list, in a file, or with a text tower."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from space_clip_ros.config import SemanticConfig
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.language.queries import QuerySet, closed_queries
from space_clip_ros.language.scores import check_names, check_queries
from space_clip_ros.language.tokens import clean
from space_clip_ros.libraries import LibraryError, import_error
from space_clip_ros.model_config import LanguageConfig

Encode: TypeAlias = Callable[[Sequence[str], Sequence[str]], QuerySet]
"""Returns queries of texts and background."""
OpenEncoder: TypeAlias = Callable[[Path], Encode]
"""Loads a text tower from an .onnx file; it is freed with what is returned."""

TEXT_TOWER = ".onnx"
"""How the file of a text tower ends, in ``semantic.query_file``."""
_TRIAL = "object"
_ENCODER = "space_clip_ros.language.text_encoder"


def open_text_tower(file: Path) -> Encode:
    """Load a text tower that ``space_clip export --text`` wrote.

    Raises:
        LibraryError: ONNX Runtime or the tokenizers package is not installed.
        ModelError: the file is not a text tower.
    """
    # Only here: a node without free text needs no tokeniser.
    try:
        encoder: Any = importlib.import_module(_ENCODER).TextEncoder(file)
    except ImportError as error:
        raise error if isinstance(error, LibraryError) else import_error(error) from error
    encode: Encode = encoder.encode
    return encode


def check_query_file(settings: SemanticConfig) -> None:
    """Check before a model loads that ``semantic.query_file`` can be read; whether it fits the model shows later.

    Raises:
        DataError: the file is missing or not a file of queries.
        LibraryError: the safetensors package is not installed.
    """
    file = settings.query_file
    if file and not file.endswith(TEXT_TOWER):
        QuerySet.read(file)
    elif file and not Path(file).is_file():
        raise DataError(file, "no such file", "give semantic.query_file an exported text tower")


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a text, which have commas between; see :func:`distinct`."""
    return distinct([name.strip() for name in text.split(",")])


def distinct(names: Sequence[str], others: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names without blank ones, and without those that CLIP reads as one before them or one of ``others``.

    Case, for example, does not count. Names that are read as one would share their probability.
    """
    first = {clean(name): "" for name in ("", *others)}
    for name in names:
        first.setdefault(clean(name), name)
    return tuple(filter(None, first.values()))


def find_queries(
    names: Sequence[str], settings: SemanticConfig, model: ModelInfo, open_encoder: OpenEncoder = open_text_tower
) -> QuerySet | None:
    """Return the queries for names; None if there are none.

    Queried names are removed from the background, so the background may list everything that is ever in view.

    Args:
        names: names given at run time; empty for those of the settings. If both are empty, all queries of a file are
            used; a text tower is only tried out, and nothing is looked for.
        settings: names, background and file.
        model: gives the features that the queries are for.
        open_encoder: loads a text tower.

    Raises:
        InputError: the model gives no features of patches, does not know a name, has a closed list and is given a
            file, or the names cannot be told apart.
        SpaceClipError: the file cannot be read, or is for another model.
    """
    wanted = distinct(names or settings.queries)
    background = distinct(settings.background, wanted)
    if not wanted and not settings.query_file:
        return None
    language = model.language
    if language is None or "dense" not in language.outputs:
        raise InputError(
            f"model {model.name}",
            "gives no features of patches, so nothing can be found by name",
            "take one exported with them, or leave semantic.queries and semantic.query_file empty",
        )
    if language.vocabulary:
        queries = _of_closed_list(wanted, settings, language)
    elif settings.query_file.endswith(TEXT_TOWER):
        if not wanted:
            # Try it now, so that a wrong file is reported before somebody asks for a word.
            open_encoder(Path(settings.query_file))((_TRIAL,), ()).check(language)
            return None
        # A tower takes seconds to load and to run.
        check_names(wanted, background)
        queries = open_encoder(Path(settings.query_file))(wanted, background)
    elif settings.query_file:
        queries = _of_file(wanted, settings)
    else:
        raise InputError(
            "semantic.queries",
            f"model {model.name} cannot turn words into vectors",
            "set semantic.query_file to a file of 'space_clip text' or to an exported text tower",
        )
    queries.check(language)
    check_queries(queries)
    return queries


def _of_closed_list(wanted: tuple[str, ...], settings: SemanticConfig, language: LanguageConfig) -> QuerySet:
    if settings.query_file:
        raise InputError(
            "semantic.query_file",
            "is for models with CLIP's joint space, and this one has a closed list of names",
            "leave it empty and set semantic.queries",
        )
    return closed_queries(wanted, language)


def _of_file(wanted: tuple[str, ...], settings: SemanticConfig) -> QuerySet:
    """Return a file's queries, or those of its names that are wanted; the others are background then."""
    stored = QuerySet.read(settings.query_file)
    known = (*stored.names, *stored.background)
    names = wanted or stored.names
    background = distinct(distinct(settings.background) or known, names)
    if unknown := [name for name in (*names, *background) if name not in known]:
        raise InputError(
            settings.query_file,
            f"has no {', '.join(map(repr, unknown))}",
            f"choose from {', '.join(known)}, or make a file with them ('space_clip text')",
        )
    vectors = stored.vectors[[known.index(name) for name in (*names, *background)]]
    return QuerySet(names, background, vectors, stored.tower)
