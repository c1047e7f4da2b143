"""CLIP's text tower: token numbers in, vectors of the joint space out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import torch
from open_clip import tokenize
from open_clip.tokenizer import default_bpe
from open_clip.transformer import QuickGELU, TextTransformer
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.language.clip_settings import ClipSettings
from space_clip_ros.model.encoder import run_clip_block

VOCABULARY = 49408
"""Tokens of CLIP's tokeniser."""
_BYTES, _SPECIAL = 256, 2


class TextTower(nn.Module):
    """open_clip's text tower, run so that exporters know every operator."""

    def __init__(self, settings: ClipSettings) -> None:
        """Build the tower with random weights."""
        super().__init__()
        quick = settings.encoder.activation == "quick_gelu"
        self.tower: Any = TextTransformer(
            context_length=settings.context_length,
            vocab_size=settings.vocabulary,
            width=settings.text_width,
            heads=settings.text_heads,
            layers=settings.text_layers,
            output_dim=settings.embed_dim,
            act_layer=QuickGELU if quick else nn.GELU,
        )
        self.requires_grad_(False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, context length) token numbers to (N, D), of length 1.

        A text's vector is projected from its end token, which has the largest number.
        """
        tower = self.tower
        states = tower.token_embedding(tokens) + tower.positional_embedding
        for block in tower.transformer.resblocks:
            states, _ = run_clip_block(block, states, causal=True)
        states = tower.ln_final(states)
        end = tokens.argmax(dim=1)[:, None, None].expand(-1, 1, states.shape[2])
        last = states.gather(1, end).squeeze(1)
        return functional.normalize(last @ tower.text_projection, dim=-1)


def tokenized(texts: list[str], context_length: int) -> Tensor:
    """Return (N, context length) token numbers of open_clip's tokeniser for CLIP; longer texts are cut."""
    return torch.as_tensor(tokenize(texts, context_length=context_length))


def tokeniser_merges() -> str:
    """Return the pairs that CLIP's tokeniser merges, best first, one a line."""
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode().split("\n")
    # The first line is a title; the list is longer than the vocabulary.
    return "\n".join(lines[1 : VOCABULARY - 2 * _BYTES - _SPECIAL + 1])
