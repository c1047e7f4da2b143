"""Prompt templates: a name's vector is the mean direction of the text tower's vectors for several sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.language.queries import QuerySet, check_texts

Vectors = NDArray[np.float32]


def averaged(encode: Callable[[Sequence[str]], Vectors], texts: Sequence[str], templates: Sequence[str]) -> Vectors:
    """Return a vector for each text: the mean over all templates, scaled to length 1.

    Args:
        encode: maps texts to (N, D), of length 1.
        texts: the names.
        templates: sentences with one ``{}`` for the name.

    Returns:
        (len(texts), D) float32.

    Raises:
        InputError: a text is empty, there is no template, or one has no ``{}``.
    """
    check_texts("queries", texts)
    for text in texts:
        if not text.strip():
            raise InputError("queries", "must not be empty")
    if not templates:
        raise InputError("templates", "are empty", "give at least '{}', the name alone")
    for template in templates:
        if template.count("{}") != 1:
            raise InputError("templates", f"{template!r} must have one {{}} where the name goes")
    means = [encode([template.replace("{}", text) for template in templates]).mean(axis=0) for text in texts]
    stacked = np.stack(means) if means else np.zeros((0, 0), np.float32)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=-1, keepdims=True), np.float32)


def query_set(
    encode: Callable[[Sequence[str]], Vectors],
    names: Sequence[str],
    background: Sequence[str],
    templates: Sequence[str],
    tower: str,
) -> QuerySet:
    """Return queries and background as vectors.

    Args:
        encode: see :func:`averaged`.
        names: the queries.
        background: prompts that compete with them but are never reported.
        templates: see :func:`averaged`.
        tower: hash of the tower whose space it is.

    Raises:
        InputError: there is no query, the tower reads two as one (CLIP's ignores case), or as :func:`averaged`.
    """
    check_texts("queries", names)
    check_texts("background", background)
    every = [*names, *background]
    if not names:
        raise InputError("queries", "name at least one")
    return QuerySet(tuple(names), tuple(background), averaged(encode, every, templates), tower)
