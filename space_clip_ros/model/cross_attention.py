"""Cross-attention between the two pathways, which the paper names as future work."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class CrossAttention(nn.Module):
    """Lets every position of a semantic map attend to all positions of the structural map of its level.

    Pre-norm multi-head attention with a residual connection, on the patch grid. It adds no position embedding, since
    the tower's tokens already carry one. The last projection begins at zero, so a new module changes nothing. It has
    ``4 * channels^2 + 8 * channels`` parameters.
    """

    def __init__(self, channels: int, heads: int) -> None:
        """Create the projections; ``channels`` are split evenly over ``heads``."""
        super().__init__()
        self.heads = heads
        self.semantic_norm = nn.LayerNorm(channels)
        self.structural_norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.output = nn.Linear(channels, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, semantic: Tensor, structural: Tensor) -> Tensor:
        """Map semantic (B, channels, h, w) and structural (B, channels, any size) to (B, channels, h, w)."""
        batch, channels, height, width = semantic.shape
        tokens = self.structural_norm(structural.flatten(2).transpose(1, 2))
        query = self._split(self.query(self.semantic_norm(semantic.flatten(2).transpose(1, 2))))
        key, value = (self._split(half) for half in self.key_value(tokens).chunk(2, dim=-1))
        attended = functional.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return semantic + mixed.transpose(1, 2).reshape(batch, channels, height, width)

    def _split(self, tokens: Tensor) -> Tensor:
        """Turn (B, N, channels) into (B, heads, N, channels / heads)."""
        batch, count, channels = tokens.shape
        return tokens.reshape(batch, count, self.heads, channels // self.heads).transpose(1, 2)
