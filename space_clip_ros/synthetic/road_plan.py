"""One road's own figures, drawn from its layout: lanes, markings, cross-section, side roads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from space_clip_ros.synthetic.ground_textures import Marking
from space_clip_ros.synthetic.layouts import (
    CITY,
    COUNTRY,
    HIGHWAY,
    OLD_TOWN,
    PARKING,
    QUIET,
    WOODS,
    RoadLayout,
)
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.road import Crossing, Edge


@dataclass(frozen=True)
class RoadPlan:
    """One road's own figures, drawn from its layout.

    Attributes:
        layout: the kind of road.
        lane_width: metres.
        same: number of lanes in our direction, on the right.
        opposite: number of lanes in the other direction.
        shoulder: width beyond the lanes, metres.
        frontage: distance from the centre line at which zones begin, metres.
        section: the ground's cross-section, from right to left.
        markings: lines on the road.
    """

    layout: RoadLayout
    lane_width: float
    same: int
    opposite: int
    shoulder: float
    frontage: float
    section: tuple[Edge, ...]
    markings: tuple[Marking, ...] = ()

    @property
    def half_width(self) -> float:
        """Half the width of the carriageway, metres."""
        return (self.same + self.opposite) * self.lane_width / 2 + self.shoulder

    def lane_center(self, index: int) -> float:
        """Return the lateral position of lane ``index``, counted from the right, metres."""
        return -self.half_width + self.shoulder + (index + 0.5) * self.lane_width


def random_plan(layout: RoadLayout, rng: Rng) -> RoadPlan:
    """Return a random road of a kind."""
    same = int(rng.integers(layout.same[0], layout.same[1] + 1))
    opposite = int(rng.integers(layout.opposite[0], layout.opposite[1] + 1))
    lane, shoulder = rng.uniform(*layout.lane_width), rng.uniform(*layout.shoulder)
    walkway, verge = rng.uniform(*layout.walkway), rng.uniform(*layout.verge)
    half = (same + opposite) * lane / 2 + shoulder
    left = _left_edges(layout, rng, half, walkway, verge)
    section = (*_mirrored(left), Edge(-half, 0.0, "road", 0.0), *left[:-1], replace(left[-1], texture=""))
    plan = RoadPlan(layout, lane, same, opposite, shoulder, half + walkway + verge, section)
    return replace(plan, markings=tuple(_markings(plan, rng)))


def random_crossings(layout: RoadLayout, rng: Rng, length: float) -> list[Crossing]:
    """Return random side roads for a road of a kind."""
    crossings, at = [], 0.0
    while layout.crossings:
        at += rng.uniform(0.4, 1.8) * layout.crossings
        start = round(at / 4) * 4.0
        if start > length:
            break
        crossings.append(Crossing(start, start + float(rng.choice([8.0, 12.0]))))
        at = start + 12
    return crossings


def _left_edges(layout: RoadLayout, rng: Rng, half: float, walkway: float, verge: float) -> list[Edge]:
    """Return the ground to the left of the carriageway, from the kerb outwards."""
    lawn = str(rng.choice(["grass", "lawn", "dry_grass"]))
    land = str(rng.choice(["grass", "lawn"] if walkway else ["field", "grass", "dry_grass", "soil", "lawn"]))
    if layout in (CITY, OLD_TOWN, PARKING):
        land = str(rng.choice(["pavement", "cobble", "asphalt"]))
    far = half + walkway + verge
    if walkway > 0.5:
        kerb = rng.uniform(0.06, 0.16)
        edges = [
            Edge(half, 0.0, "kerb", 2.0),
            Edge(half + 0.01, kerb, "kerb", 1.0),
            Edge(half + 0.16, kerb, str(rng.choice(["pavement", "asphalt", "cobble"])), 2.0),
            Edge(half + walkway, kerb, lawn if verge > 0.4 else land, 3.0),
            Edge(far, kerb + 0.02, land, 5.0),
        ]
    else:
        ditch = -rng.uniform(0.0, 0.35)
        edges = [
            Edge(half, 0.0, "gravel" if rng.random() < 0.4 else lawn, 3.0),
            Edge(half + 0.6, -0.04, lawn, 3.0),
            Edge(far, ditch, lawn, 4.0, relief=0.02),
        ]
    height = edges[-1].height
    return [
        *edges,
        Edge(far + 5, height, land, 6.0, relief=0.3),
        Edge(far + 18, height, land, 9.0, relief=1.0),
        Edge(far + 60, height, land, 14.0, relief=1.3),
        Edge(far + 130, height, land, 20.0, relief=2.0),
    ]


def _mirrored(left: list[Edge]) -> list[Edge]:
    """Return the right side of a road from its left one; a strip's texture belongs to its right edge on both sides."""
    return [
        replace(outer, t=-outer.t, texture=inner.texture, repeat=inner.repeat)
        for inner, outer in itertools.pairwise(left)
    ][::-1]


def _markings(plan: RoadPlan, rng: Rng) -> list[Marking]:
    """Return lines between lanes and along the edges of the road."""
    lanes = plan.same + plan.opposite
    if plan.layout in QUIET and rng.random() < 0.8:
        return []
    markings = []
    width = rng.uniform(0.1, 0.18)
    for index in range(1, lanes):
        center = index == plan.same and plan.opposite > 0
        unbroken = center and (lanes > 3 or rng.random() < 0.3)
        share = 1.0 if unbroken else float(rng.choice([0.33, 0.5]))
        markings.append(Marking(plan.shoulder + index * plan.lane_width, width, share))
    if plan.layout in (COUNTRY, HIGHWAY, WOODS) or rng.random() < 0.4:
        markings += [Marking(plan.shoulder + lane * plan.lane_width, width, 1.0) for lane in (0, lanes)]
    return markings
