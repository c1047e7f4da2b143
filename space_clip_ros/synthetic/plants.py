"""Trees, hedges, bushes and forest edges. Leaves are flat clusters with ragged outlines, lit like round crowns."""

from __future__ import annotations

import numpy as np

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import CUTOUT, Floats, Mesh, box, concatenate, loft, prism, quads, upright
from space_clip_ros.synthetic.noise import Rng


def tree(atlas: Atlas, rng: Rng, height: float) -> Mesh:
    """Return a broad-leaved tree, ``height`` metres tall, centred on the z axis."""
    trunk = height * rng.uniform(0.15, 0.35)
    radius = np.array([1.0, 1.0, 0.0]) * height * rng.uniform(0.2, 0.34)
    radius[2] = (height - trunk) / 2
    count = int(rng.integers(14, 24))
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    centers = direction * radius * rng.uniform(0.35, 0.8, (count, 1)) + np.array([0, 0, trunk + radius[2]])
    size = radius[0] * rng.uniform(0.4, 0.75, count)
    leaves = _clusters(atlas.pick_variant(rng, "leaves"), centers, size, direction, rng)
    stem = prism(0.03 * height * rng.uniform(0.5, 1.0), trunk + radius[2], atlas.index("bark"))
    return concatenate([stem, leaves]).labelled(Label.VEGETATION)


def tall_tree(atlas: Atlas, rng: Rng, height: float, bare: float, clusters: int = 26) -> Mesh:
    """Return a tree as woods and avenues have them: a bare, leaning trunk, then a wide crown of bright, loose leaves.

    Args:
        atlas: where the textures are.
        rng: source of randomness.
        height: metres.
        bare: height of the crown's lowest leaves, metres.
        clusters: number of clusters of leaves.
    """
    radius = 0.014 * height * rng.uniform(0.8, 1.6)
    lean = rng.normal(0, 0.03 * height, 2)
    crown = 0.5 * (height - bare)
    wide = height * rng.uniform(0.2, 0.32)
    rings = [(0.0, 0.0, -0.2, 1.5 * radius), (0.0, 0.0, 0.5, 1.05 * radius)]
    rings.append((*(0.5 * lean), bare + 0.8 * crown, 0.6 * radius))
    bark = atlas.pick_variant(rng, "bark")
    stem = loft(rings, bark, 6, tint=np.full(3, rng.uniform(0.4, 1.5)), repeat=(1.0, height / 3))
    direction = rng.standard_normal((clusters, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    share = rng.uniform(0.45, 0.95, (clusters, 1))
    middle = np.array([*(0.6 * lean), bare + crown])
    centers = middle + direction * share * np.array([wide, wide, crown])
    size = wide * rng.uniform(0.3, 0.55, clusters)
    leaves = _clusters(atlas.pick_variant(rng, "foliage"), centers, size, direction, rng)
    return concatenate([stem, leaves]).labelled(Label.VEGETATION)


def undergrowth(atlas: Atlas, rng: Rng, length: float, height: float) -> Mesh:
    """Return a strip of shrubs along x."""
    count = max(int(length * 1.6), 2)
    centers = np.stack(
        [
            rng.uniform(-length / 2, length / 2, count),
            rng.uniform(-0.8, 0.8, count),
            height * rng.uniform(0.1, 0.7, count),
        ],
        axis=1,
    )
    outward = np.stack([np.zeros(count), centers[:, 1], 0.3 + centers[:, 2] / height], axis=1)
    size = height * rng.uniform(0.35, 0.6, count)
    leaves = _clusters(atlas.pick_variant(rng, "foliage"), centers, size, outward, rng)
    return leaves.labelled(Label.VEGETATION)


def conifer(atlas: Atlas, rng: Rng, height: float) -> Mesh:
    """Return a conifer of three crossed triangles of branches."""
    return _crossed(atlas, rng, "needles", height, height * rng.uniform(0.14, 0.24), base=0.3)


def bush(atlas: Atlas, rng: Rng, height: float) -> Mesh:
    """Return a bush of three crossed clusters."""
    return _crossed(atlas, rng, "bush", height, height * rng.uniform(0.5, 0.9))


def hedge(atlas: Atlas, rng: Rng, length: float, height: float) -> Mesh:
    """Return a clipped hedge along x with some twigs above."""
    width = rng.uniform(0.5, 1.1)
    texture = atlas.pick_variant(rng, "hedge")
    body = box((length, width, height), texture, repeat=2.0)
    twigs = atlas.pick_variant(rng, "forest")
    top = upright(
        (-length / 2, 0, height - 0.1), (length / 2, 0, height - 0.1), 0.35, twigs, (length / 3, 1), kind=CUTOUT
    )
    return concatenate([body, top]).labelled(Label.VEGETATION)


def forest_edge(atlas: Atlas, rng: Rng, length: float, height: float, depth: float) -> Mesh:
    """Return a dense forest along x: three rows of trees as walls, over ``depth`` metres to the left."""
    rows = []
    for row in range(3):
        texture = atlas.pick_variant(rng, "forest")
        y = depth * row / 2
        tall = height * rng.uniform(0.75, 1.15) * (1 + 0.15 * row)
        start, end = (-length / 2, y + rng.uniform(-1, 1), -0.5), (length / 2, y + rng.uniform(-1, 1), -0.5)
        repeat = (length / tall * rng.uniform(0.5, 0.9), 1.0)
        tint = np.full(3, rng.uniform(0.7, 1.2))
        rows.append(upright(start, end, tall, texture, repeat, tint=tint, kind=CUTOUT, shading=(0, -1, 1)))
    return concatenate(rows).labelled(Label.VEGETATION)


def tall_grass(atlas: Atlas, rng: Rng, length: float) -> Mesh:
    """Return a strip of tall grass along x."""
    height, ends = rng.uniform(0.3, 0.8), ((-length / 2, 0, 0), (length / 2, 0, 0))
    texture = atlas.index("tall_grass")
    strip = upright(*ends, height, texture, (length / 1.5, 1), kind=CUTOUT, shading=(0, 0, 1))
    return strip.labelled(Label.VEGETATION)


def _crossed(atlas: Atlas, rng: Rng, family: str, height: float, half: float, base: float = 0.0) -> Mesh:
    """Return three upright quads, ``2 * half`` metres wide, that cross in the z axis at a random angle."""
    texture = atlas.pick_variant(rng, family)
    turns = rng.uniform(0, np.pi) + np.arange(3) * (np.pi / 3)
    ends = np.stack([np.cos(turns), np.sin(turns)], axis=1) * half
    tint = np.full(3, rng.uniform(0.7, 1.3))
    walls = [
        upright((-x, -y, base), (x, y, base), height, texture, tint=tint, kind=CUTOUT, shading=(0, 0, 1))
        for x, y in ends
    ]
    return concatenate(walls).labelled(Label.VEGETATION)


def _clusters(texture: int, centers: Floats, size: Floats, outward: Floats, rng: Rng) -> Mesh:
    """Return upright squares of leaves at random angles, shaded like parts of a ball."""
    turns = rng.uniform(0, 2 * np.pi, len(centers))
    right = np.stack([np.cos(turns), np.sin(turns), np.zeros_like(turns)], axis=1) * size[:, None]
    up = np.stack([-np.sin(turns) * 0.2, np.cos(turns) * 0.2, np.ones_like(turns)], axis=1) * size[:, None]
    corners = np.stack([centers - right - up, centers + right - up, centers + right + up, centers - right + up], axis=1)
    # Less light reaches the lower side of a crown.
    tint = (0.75 + 0.35 * outward[:, 2:] + 0.15 * rng.standard_normal((len(centers), 1))).clip(0.3, 1.4) * np.ones(3)
    return quads(corners, texture, kind=CUTOUT, shading=outward + np.array([0, 0, 0.6]), tint=tint)
