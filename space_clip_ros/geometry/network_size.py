"""How large a network sees an image: one fixed size, or one that keeps the image's shape."""

from __future__ import annotations

from dataclasses import dataclass

_ROUNDING = 1e-6
"""Added before a length is cut to whole pixels, so that 616 / 375 * 375 is 616."""


@dataclass(frozen=True)
class NetworkSize:
    """The size that a network takes images at.

    Attributes:
        height: of the size that the rule is about, pixels.
        width: of the same.
        rule: one of :data:`space_clip_ros.model_config.RESIZE_RULES`, which says what each does.
        multiple: both sides become a multiple of this; rounded to the nearest, but not beyond a bound.
    """

    height: int
    width: int
    rule: str = "straight"
    multiple: int = 1

    @property
    def nominal(self) -> tuple[int, int]:
        """Height and width of the images that it takes without resizing."""
        return self.height, self.width

    def content(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that an image is resized to, without a border.

        Args:
            height: of the image, pixels.
            width: of the image, pixels.
        """
        if self.rule == "straight":
            return self.height, self.width
        ratios = (self.height / height, self.width / width)
        ratio = max(ratios) if self.rule == "lower_bound" else min(ratios)
        if self.rule == "pad":
            return max(int(height * ratio + _ROUNDING), 1), max(int(width * ratio + _ROUNDING), 1)
        return self._rounded(height * ratio, self.height), self._rounded(width * ratio, self.width)

    def _rounded(self, side: float, bound: int) -> int:
        whole = max(round(side / self.multiple), 1)
        if self.rule == "lower_bound" and whole * self.multiple < bound:
            whole += 1
        if self.rule == "upper_bound" and whole * self.multiple > bound:
            whole = max(whole - 1, 1)
        return whole * self.multiple
