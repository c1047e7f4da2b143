"""The settings of a whole CLIP: open_clip's, by the model's name or from a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import open_clip

from space_clip_ros.errors import ModelError, describe
from space_clip_ros.model_config import EncoderConfig, LanguageConfig

DEFAULT_MODEL = "ViT-B-16-quickgelu"
DEFAULT_CLIP = f"{DEFAULT_MODEL}/openai"
NAMES = {"clip_vit_b16": DEFAULT_CLIP}
"""Our names of models that open_clip knows."""
_FOLDER_CONFIG = "open_clip_config.json"
_HEAD_WIDTH = 64
_OTHERS = ("hf_model_name", "hf_tokenizer_name", "timm_model_name", "tokenizer_kwargs")


class ClipSettings(NamedTuple):
    """A CLIP's two towers.

    Attributes:
        encoder: the vision tower.
        embed_dim: length of the joint space's vectors.
        context_length: tokens of a text.
        vocabulary: number of tokens.
        text_width: of the text tower.
        text_heads: likewise.
        text_layers: likewise.
        sigma: of the dense features.
    """

    encoder: EncoderConfig
    embed_dim: int
    context_length: int
    vocabulary: int
    text_width: int
    text_heads: int
    text_layers: int
    sigma: float

    @property
    def language(self) -> LanguageConfig:
        """What the vision tower gives: everything."""
        return LanguageConfig(("embedding", "dense"), self.embed_dim, sigma=self.sigma)


def clip_settings(source: str, settings: str | Path | Mapping[str, Any] | None = None) -> ClipSettings:
    """Return the settings of a CLIP.

    Args:
        source: its name or file, as :func:`space_clip_ros.language.clip.load_clip` takes it.
        settings: a JSON file, or what is in it: open_clip's (``embed_dim``, ``vision_cfg``, ``text_cfg``), or the same
            with the names ``vision`` and ``text``. None takes those of the name or of the folder, and for a file those
            of ViT-B-16-quickgelu.

    Raises:
        ModelError: they cannot be read, or the model is not a plain CLIP.
    """
    what: object = source if settings is None or isinstance(settings, Mapping) else settings
    try:
        model = settings if isinstance(settings, Mapping) else _read(source, settings)
        return _parsed(model.get("model_cfg", model))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(what, f"its settings cannot be used ({describe(error)})", "give open_clip's JSON") from error


def _read(source: str, settings: str | Path | None) -> Mapping[str, Any]:
    folder = Path(source.removeprefix("local-dir:")) / _FOLDER_CONFIG
    file = Path(settings) if settings is not None else folder if folder.is_file() else None
    if file is not None:
        content: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content
    name = source.rpartition("/")[0] if not Path(source).exists() else ""
    known: Mapping[str, Any] | None = open_clip.get_model_config(name or DEFAULT_MODEL)
    if known is None:
        raise ModelError(source, f"open_clip has no model {name}", "see open_clip.list_models()")
    return known


def _parsed(model: Mapping[str, Any]) -> ClipSettings:
    vision, text = (model.get(f"{part}_cfg", model.get(part)) for part in ("vision", "text"))
    others = [name for name in _OTHERS if name in text or name in vision]
    if others:
        raise ValueError(f"{', '.join(others)}: only CLIP's own towers are supported")
    quick = model.get("quick_gelu") or vision.get("activation") == "quick_gelu"
    encoder = EncoderConfig(
        width=vision["width"],
        layers=vision["layers"],
        heads=vision["width"] // vision.get("head_width", _HEAD_WIDTH),
        mlp_ratio=float(vision.get("mlp_ratio", 4.0)),
        patch_size=vision["patch_size"],
        image_size=vision["image_size"],
        activation="quick_gelu" if quick else "gelu",
    )
    sigma = float(model.get("dense", {}).get("sigma", LanguageConfig().sigma))
    sizes = (text.get("context_length", 77), text.get("vocab_size", 49408), text["width"], text["heads"])
    return ClipSettings(encoder, model["embed_dim"], *sizes, text["layers"], sigma)
