"""``evaluate --semantic``: checks its options, and shows the scores of classes and the places of objects."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from space_clip_ros.cli.console import progress_bar, say
from space_clip_ros.errors import DataError, InputError

if TYPE_CHECKING:
    from space_clip_ros.data.collection import FrameCollection
    from space_clip_ros.evaluation.object_errors import BoxErrors, PlacedObjects
    from space_clip_ros.inference.predictor import Predictor
    from space_clip_ros.language.queries import QuerySet
    from space_clip_ros.model_config import LanguageConfig


def semantic_queries(args: argparse.Namespace, frames: FrameCollection) -> QuerySet | None:
    """Return the queries of ``--queries``, or None without that option; check, before a model loads, that they fit.

    Raises:
        DataError: the frames have no labels, or the file cannot be read.
        InputError: the file lacks a class, or ``--windows`` is smaller than a window.
    """
    from space_clip_ros.language.queries import QuerySet
    from space_clip_ros.language.windows import window_starts

    for side in args.windows or ():
        window_starts(side)
    if not frames.classes:
        raise DataError(args.data, "no validation source reads labels", "give it labels: [road, car, ...]")
    if args.queries is None:
        return None
    queries = QuerySet.read(args.queries)
    if missing := [name for name in frames.classes if name not in (*queries.names, *queries.background)]:
        raise InputError(
            args.queries, f"has no query {', '.join(map(repr, missing))}", "make it with the names of all classes"
        )
    return queries


def run_semantic(
    args: argparse.Namespace, predictor: Predictor, frames: FrameCollection, given: QuerySet | None
) -> int:
    """Label every frame, print the scores and write them where ``--json`` says.

    Args:
        args: the command line.
        predictor: the model.
        frames: with labels.
        given: what :func:`semantic_queries` returned.

    Raises:
        DataError: a frame has no labels.
        InputError: the model has no dense features, or there are no vectors for the classes.
    """
    from space_clip_ros.evaluation.label_measurement import measure_labels
    from space_clip_ros.files import write_json

    names = frames.classes
    language = _language(predictor)
    queries = _queries(given, names, language)
    with progress_bar(len(frames), "evaluating") as bar:
        scores, boxes = measure_labels(predictor, language, frames, queries, args.windows, args.boxes, bar.update)
    info = predictor.info
    passes = "one pass" if args.windows is None else f"windows over {args.windows[0]} x {args.windows[1]} pixels"
    unreadable = len(frames) - scores.pictures
    left_out = f", {unreadable} left out that cannot be read" if unreadable else ""
    say(f"{info.name} ({info.backend}), {scores.pictures} pictures{left_out}, {len(names)} classes, {passes}")
    say(f"  mIoU {scores.mean_iou:.4f}, {scores.accuracy:.1%} of the pixels")
    for name, value in scores.iou.items():
        say(f"  {value:9.4f}  {name}")
    _show_boxes(boxes, args.boxes)
    if args.json:
        report = {"model": info.name, "backend": info.backend, "passes": passes, **dataclasses.asdict(scores)}
        report["unreadable"] = unreadable
        report["objects"] = [
            {"labels": labels, "depth": depth, "name": name, **dataclasses.asdict(placed)}
            for (labels, depth), classes in boxes.result().items()
            for name, placed in classes.items()
        ]
        write_json(args.json, report)
    return 0


def _show_boxes(boxes: BoxErrors, by_band: bool) -> None:
    from space_clip_ros.evaluation.object_errors import ALL

    for (labels, depth), classes in boxes.result().items():
        for name, placed in classes.items():
            every = placed.bands[ALL]
            say(
                f"  {name}: {every.found} of {every.true} found among {placed.detections} detections, "
                f"distance off by {every.distance_error:.1%} in the median (bias {every.distance_bias:+.1%})"
                + (f", {labels} labels and {depth} depth" if by_band else "")
            )
            for band, objects in placed.bands.items() if by_band else ():
                if band != ALL:
                    say(f"    {band:<8} {_figures(objects)}")


def _figures(objects: PlacedObjects) -> str:
    errors = f"{objects.distance_error:6.1%} {objects.distance_bias:+7.1%}" if objects.found else f"{'-':>6} {'-':>7}"
    return f"{objects.found:>5} of {objects.true:<5} {errors}"


def _language(predictor: Predictor) -> LanguageConfig:
    language = predictor.info.language
    if language is None or "dense" not in language.outputs:
        raise InputError(
            f"model {predictor.info.name}", "gives no features of patches", "export it with --outputs depth dense"
        )
    return language


def _queries(given: QuerySet | None, names: tuple[str, ...], language: LanguageConfig) -> QuerySet:
    """Return the classes as queries, in their order and without background: every pixel gets one of them."""
    from space_clip_ros.language.queries import QuerySet, closed_queries

    if language.vocabulary:
        queries = closed_queries(names, language)
    elif given is None:
        raise InputError(
            "--queries", "is needed, because this model has no classes of its own", "make it with space_clip text"
        )
    else:
        queries = given
        queries.check(language)
    order = [(*queries.names, *queries.background).index(name) for name in names]
    return QuerySet(names, (), queries.vectors[order], queries.tower)
