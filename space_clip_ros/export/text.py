"""Exports CLIP's text tower as one ONNX file that carries its tokeniser, its prompt templates and its tower's hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from space_clip_ros.errors import ExportError, ModelError
from space_clip_ros.export.graph_file import write_graph
from space_clip_ros.export.trace import trace
from space_clip_ros.files import written_whole
from space_clip_ros.language.clip import Clip, template_sentences
from space_clip_ros.language.clip_text import VOCABULARY, tokeniser_merges, tokenized
from space_clip_ros.language.text_encoder import TOKENS_NAME, VECTORS_NAME, TextEncoder, TextTowerFacts
from space_clip_ros.model_config import IMAGENET

_TOLERANCE = 1e-4
_TRIALS = (
    "a photo of a car.",
    "traffic cone",
    "A person's dog, 2 bicycles & the road behind them!",
    "Tür, straße",
    " ".join(["a very long sentence about a street"] * 20),
)


def export_text(clip: Clip, path: str | Path, templates: str | Sequence[str] = IMAGENET) -> TextTowerFacts:
    """Write a CLIP's text tower; the file appears only after ONNX Runtime has reproduced PyTorch's vectors.

    The trial texts go through the file's own tokeniser, so that is compared with CLIP's, too.

    Args:
        clip: the CLIP that the tower is from.
        path: the file to write; its folder must exist.
        templates: that queries are put into, see :meth:`space_clip_ros.language.clip.Clip.text`.

    Raises:
        ModelError: its vocabulary is not CLIP's.
        ExportError: the file's vectors differ from PyTorch's, or its folder does not exist.
        DataError: the file cannot be written.
    """
    path = Path(path)
    if clip.settings.vocabulary != VOCABULARY:
        raise ModelError("text tower", f"has {clip.settings.vocabulary} tokens, CLIP's tokeniser has {VOCABULARY}")
    if not path.parent.is_dir():
        raise ExportError(path, f"cannot be written (there is no folder {path.parent})", "check the folder")
    tokens = tokenized(list(_TRIALS), clip.settings.context_length)
    outputs = {VECTORS_NAME: (clip.settings.embed_dim,)}
    graph = trace(clip.text_tower, tokens, TOKENS_NAME, outputs, {0: "texts"})
    facts = TextTowerFacts(
        clip.tower,
        clip.settings.embed_dim,
        clip.settings.context_length,
        tokeniser_merges(),
        tuple(template_sentences(templates)),
    )
    with torch.inference_mode():
        expected = clip.text_tower(tokens).numpy()
    with written_whole(path, durable=True) as draft:
        write_graph(graph, facts.to_properties(), draft)
        difference = float(np.abs(TextEncoder(draft).vectors(_TRIALS) - expected).max())
        if not difference <= _TOLERANCE:
            raise ExportError(path, f"not written, as its vectors differ from PyTorch's by {difference:.2g}")
        facts = replace(facts, difference=difference)
        write_graph(graph, facts.to_properties(), draft)
    return facts
