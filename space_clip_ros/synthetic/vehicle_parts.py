"""Parts that all vehicles share: paint colours, wheels, the contact shadow."""

from __future__ import annotations

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import CUTOUT, DECAL, Mesh, quads

PAINTS = (
    (0.02, 0.02, 0.02),
    (0.05, 0.05, 0.055),
    (0.13, 0.13, 0.14),
    (0.4, 0.41, 0.42),
    (0.55, 0.56, 0.57),
    (0.85, 0.85, 0.84),
    (0.3, 0.02, 0.02),
    (0.03, 0.06, 0.2),
    (0.05, 0.12, 0.3),
    (0.02, 0.08, 0.05),
    (0.45, 0.38, 0.25),
    (0.6, 0.4, 0.02),
)
"""Linear RGB of body paint."""


def wheel(atlas: Atlas, x: float, half: float, radius: float) -> Mesh:
    """Return a pair of wheels at ``x``, ``half`` metres to either side."""
    y = half + 0.01
    sides = [
        [(x - radius, -y, 0), (x + radius, -y, 0), (x + radius, -y, 2 * radius), (x - radius, -y, 2 * radius)],
        [(x + radius, y, 0), (x - radius, y, 0), (x - radius, y, 2 * radius), (x + radius, y, 2 * radius)],
    ]
    return quads(sides, atlas.index("wheel"), kind=CUTOUT)


def contact_shadow(atlas: Atlas, length: float, width: float) -> Mesh:
    """Return the shadow on the ground below a vehicle."""
    x, y = length / 2 + 0.25, width / 2 + 0.3
    return quads([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], atlas.index("contact_shadow"), kind=DECAL)
