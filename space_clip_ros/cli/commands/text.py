"""``space_clip text``: encodes words as vectors, for robots to look for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from space_clip_ros.cli.console import say
from space_clip_ros.cli.options import add_clip_options, refuse_options, refuse_sources
from space_clip_ros.errors import InputError
from space_clip_ros.files import check_output_files
from space_clip_ros.model_config import LanguageConfig

if TYPE_CHECKING:
    from space_clip_ros.language.queries import QuerySet

_DEFAULT_CLIP = "clip_vit_b16"
_TEXT_TOWER = ".onnx"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "text",
        help="encode words as vectors, for language queries",
        description="Encode queries as vectors with CLIP's text tower. The file works with models that have the vision "
        "tower of the same CLIP, whose hash it holds. A model with a closed list of names needs no CLIP: give the "
        "model with --model. Such a file is for use in Python; depth_node takes the names themselves.",
        epilog="example: space_clip text 'traffic cone' door person --background road wall sky "
        "--out queries.safetensors",
    )
    parser.add_argument("queries", nargs="+", metavar="QUERY", help="name to look for")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors", help="file to write")
    parser.add_argument(
        "--background",
        nargs="+",
        default=[],
        metavar="PROMPT",
        help="names that compete with the queries but are never reported, such as road, wall, sky",
    )
    parser.add_argument(
        "--clip",
        default=_DEFAULT_CLIP,
        metavar="CLIP",
        help="a name that open_clip knows, such as ViT-B-16-quickgelu/openai, a file of a whole CLIP, or a text tower "
        "of 'space_clip export --text' (.onnx), which has its own templates (default: %(default)s)",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="check that the queries fit this model, or take its closed list of names"
    )
    add_clip_options(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Encode the queries, check them against the model and write them.

    Raises:
        SpaceClipError: CLIP or the model cannot be read, a query does not fit, or the file cannot be written.
    """
    if args.out.suffix != ".safetensors":
        args.parser.error(f"--out {args.out}: must end in .safetensors")
    refuse_sources(args, args.clip, args.clip_settings, args.model)
    if args.clip.endswith(_TEXT_TOWER):
        refuse_options(args, f"{args.clip} has its own", "templates", "clip_settings")
    check_output_files(args.out)
    from space_clip_ros.inference import load_predictor
    from space_clip_ros.inference.locate import patch_language
    from space_clip_ros.language.queries import closed_queries

    language = None
    if args.model is not None:
        with load_predictor(args.model, device="cpu") as predictor:
            language = patch_language(predictor.info)
    if language is not None and language.vocabulary:
        reason = f"does nothing, as {args.model} has a closed list of names"
        refuse_options(args, reason, "background", "clip", "templates", "clip_settings")
        queries = closed_queries(args.queries, language)
    else:
        queries = _encoded(args, language)
    queries.write(args.out)
    background = f", against {len(queries.background)} in the background" if queries.background else ""
    space = f"tower {queries.tower[:12]}" if queries.tower else "a closed list of names (read it in Python)"
    say(f"{args.out}: {', '.join(queries.names)}{background}; {queries.vectors.shape[1]} numbers each, for {space}")
    return 0


def _encoded(args: argparse.Namespace, language: LanguageConfig | None) -> QuerySet:
    """Encode the queries; first check what is quick: that they can be found, and that the CLIP is the model's."""
    from space_clip_ros.language.scores import check_names

    check_names(args.queries, args.background, "give --background what else may be in view")
    if args.clip.endswith(_TEXT_TOWER):
        from space_clip_ros.language.text_encoder import TextEncoder

        encoder = TextEncoder(args.clip)
        _check_tower(args, encoder.facts.tower, language)
        return encoder.encode(args.queries, args.background)
    from space_clip_ros.language import load_clip

    clip = load_clip(args.clip, args.clip_settings)
    _check_tower(args, clip.tower, language)
    queries: QuerySet = clip.queries(args.queries, args.background, args.templates)
    return queries


def _check_tower(args: argparse.Namespace, tower: str, language: LanguageConfig | None) -> None:
    if language is not None and tower != language.tower:
        raise InputError(
            f"CLIP {args.clip}",
            f"has tower {tower[:12]}, and model {args.model} has {language.tower[:12]}",
            "give --clip the CLIP whose tower the model has",
        )
