"""The dual-pathway decoder: deep hidden states give the semantics, shallow ones the edges."""

from __future__ import annotations

from itertools import islice, zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from space_clip_ros.model.blocks import Film, SemanticBlock, StructuralBlock
from space_clip_ros.model.cross_attention import CrossAttention
from space_clip_ros.model.encoder import EncoderOutput
from space_clip_ros.model_config import DecoderConfig


class DecoderOutput(NamedTuple):
    """The decoder's intermediate maps, coarse to fine; h and w are the patch grid's.

    Attributes:
        semantic_projected: for each block (B, channels[i], h, w), after cross-attention if the model has it.
        structural_projected: for each structural state (B, channels[i], h, w).
        semantic_decoder: for each block (B, channels[i], h * 2^(i+1), w * 2^(i+1)).
        structural_decoder: for each structural state (B, channels[i], h * 2^(i+1), w * 2^(i+1)).
    """

    semantic_projected: tuple[Tensor, ...]
    structural_projected: tuple[Tensor, ...]
    semantic_decoder: tuple[Tensor, ...]
    structural_decoder: tuple[Tensor, ...]


class Decoder(nn.Module):
    """The semantic and the structural pathway over one tower's hidden states.

    Attributes:
        prefix_tokens: number of tokens before the patches.
        semantic_states: the hidden states that the semantic pathway reads, deep to shallow.
        structural_states: those that the structural pathway reads; empty without one.
        film_bank: stands for ``film`` in a model made ready for a GPU (:mod:`space_clip_ros.model.fused`); else None.
    """

    def __init__(self, width: int, layers: int, prefix_tokens: int, config: DecoderConfig) -> None:
        """Create the pathways.

        Args:
            width: the tower's token width.
            layers: the tower's blocks.
            prefix_tokens: number of tokens before the patches.
            config: channels, states, FiLM, dropout and fusion.
        """
        super().__init__()
        self.prefix_tokens = prefix_tokens
        self.semantic_states, self.structural_states = config.states(layers)
        channels = config.channels
        fine = channels[: len(self.structural_states)]
        rest = (0,) * (len(channels) - len(fine))
        modulated = self.semantic_states if config.use_film else ()
        self.film = nn.ModuleList(Film(width, config.film_hidden) for _ in modulated)
        self.film_bank: Any = None
        self.semantic_projections = nn.ModuleList(nn.Conv2d(width, count, kernel_size=1) for count in channels)
        self.structural_projections = nn.ModuleList(nn.Conv2d(width, count, kernel_size=1) for count in fine)
        self.structural_blocks = nn.ModuleList(
            StructuralBlock(low, count) for low, count in zip((width, *fine), fine, strict=False)
        )
        self.semantic_blocks = nn.ModuleList(
            SemanticBlock(low, count, structural, config.dropout)
            for low, count, structural in zip((channels[0], *channels[:-1]), channels, (*fine, *rest), strict=True)
        )
        # Leaves the random generator as it was, so the other weights are the same with and without cross-attention.
        with torch.random.fork_rng(devices=[]):
            attended = fine if config.fusion == "cross_attention" else ()
            self.cross_attention = nn.ModuleList(CrossAttention(count, config.attention_heads) for count in attended)

    def forward(self, encoded: EncoderOutput, blocks: int | None = None) -> DecoderOutput:
        """Decode a tower's hidden states.

        Args:
            encoded: of the tower.
            blocks: run only so many blocks, coarse to fine; None for all.
        """
        structural_projected, structural = self._structural_features(encoded, blocks)
        semantic = self._semantic_maps(encoded, blocks)
        for level, attend in enumerate(islice(self.cross_attention, blocks)):
            semantic[level] = attend(semantic[level], structural_projected[level])
        features: list[Tensor] = []
        low = semantic[0]
        for block, skip, edges in zip_longest(islice(self.semantic_blocks, blocks), semantic, structural):
            low = block(low, skip, edges)
            features.append(low)
        return DecoderOutput(tuple(semantic), tuple(structural_projected), tuple(features), tuple(structural))

    def _semantic_maps(self, encoded: EncoderOutput, blocks: int | None) -> list[Tensor]:
        states = [self._patches(encoded, index) for index in self.semantic_states[:blocks]]
        if self.film_bank is not None:
            states = self.film_bank(states, encoded.context)
        elif self.film:
            films = islice(self.film, blocks)
            states = [film(tokens, encoded.context) for film, tokens in zip(films, states, strict=True)]
        maps = [to_map(tokens, encoded.grid) for tokens in states]
        projections = islice(self.semantic_projections, blocks)
        return [project(grid_map) for project, grid_map in zip(projections, maps, strict=True)]

    def _structural_features(self, encoded: EncoderOutput, blocks: int | None) -> tuple[list[Tensor], list[Tensor]]:
        if not self.structural_states:
            return [], []
        maps = [to_map(self._patches(encoded, index), encoded.grid) for index in self.structural_states[:blocks]]
        projections = islice(self.structural_projections, blocks)
        projected = [project(grid_map) for project, grid_map in zip(projections, maps, strict=True)]
        low = maps[0]
        features: list[Tensor] = []
        for block, skip in zip(islice(self.structural_blocks, blocks), projected, strict=True):
            low = block(low, skip)
            features.append(low)
        return projected, features

    def _patches(self, encoded: EncoderOutput, index: int) -> Tensor:
        return encoded.states[index][:, self.prefix_tokens :]


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Turn (B, h * w, C) tokens into a (B, C, h, w) map."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *grid)
