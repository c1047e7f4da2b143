"""Kinds of road: city street, residential street, country road, highway, and avenue, each varied by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from space_clip_ros.data.scenery import zones
from space_clip_ros.data.scenery.noise import Rng
from space_clip_ros.data.scenery.road import Crossing, Edge


@dataclass(frozen=True)
class Layout:
    """The traits of a kind of road; pairs are ranges to draw from.

    Attributes:
        name: of the kind.
        same: lanes in our direction.
        opposite: lanes in the other direction.
        lane: width, metres.
        shoulder: paved width beyond the lanes on either side, where cars may park, metres.
        walkway: width of the pavement behind the kerb; 0 for none, metres.
        verge: width of the strip behind it, metres.
        bend: typical curvature, 1/metres.
        slope: typical gradient.
        relief: typical height of the terrain, metres.
        speed: of the ego car, metres/second.
        crossings: typical distance between side roads, 0 for none, metres.
        parked: share of the shoulder that parked cars take.
        street_trees: chance of a row of trees.
        rails: chance of guard rails on a side.
        traffic: typical distance between vehicles of a lane, metres.
        zones: what may line the road, and its weights.
    """

    name: str
    same: tuple[int, int]
    opposite: tuple[int, int]
    lane: tuple[float, float]
    shoulder: tuple[float, float]
    walkway: tuple[float, float]
    verge: tuple[float, float]
    bend: tuple[float, float]
    slope: tuple[float, float]
    relief: tuple[float, float]
    speed: tuple[float, float]
    crossings: float
    parked: tuple[float, float]
    street_trees: float
    rails: float
    traffic: tuple[float, float]
    zones: Sequence[tuple[zones.Zone, float]]


CITY = Layout(
    "city", (1, 2), (0, 2), (2.9, 3.4), (0.3, 2.6), (1.5, 4.5), (0.0, 2.0), (0.0, 0.006), (0.0, 0.02), (0.0, 0.3),
    (4.0, 13.0), 90.0, (0.0, 0.9), 0.4, 0.05, (12.0, 60.0),
    ((zones.blocks, 6.0), (zones.park, 1.0), (zones.car_park, 1.0), (zones.industry, 0.7), (zones.houses, 0.8)),
)  # fmt: skip
RESIDENTIAL = Layout(
    "residential", (1, 1), (0, 1), (2.5, 3.1), (0.2, 2.3), (0.8, 2.5), (0.0, 1.5), (0.0, 0.008), (0.0, 0.03),
    (0.0, 0.8), (4.0, 11.0), 80.0, (0.1, 0.9), 0.3, 0.0, (50.0, 150.0),
    ((zones.houses, 5.0), (zones.blocks, 1.0), (zones.hedgerow, 1.0), (zones.park, 1.0), (zones.forest, 0.5)),
)  # fmt: skip
COUNTRY = Layout(
    "country", (1, 1), (1, 1), (2.7, 3.6), (0.1, 0.5), (0.0, 0.0), (1.0, 4.0), (0.001, 0.007), (0.0, 0.03), (0.3, 3.0),
    (9.0, 20.0), 0.0, (0.0, 0.0), 0.15, 0.25, (40.0, 200.0),
    ((zones.fields, 4.0), (zones.forest, 3.0), (zones.hedgerow, 2.0), (zones.houses, 0.5)),
)  # fmt: skip
HIGHWAY = Layout(
    "highway", (2, 3), (0, 0), (3.4, 3.8), (2.0, 3.2), (0.0, 0.0), (1.5, 5.0), (0.0, 0.002), (0.0, 0.02), (0.5, 3.5),
    (12.0, 20.0), 0.0, (0.0, 0.0), 0.0, 0.9, (25.0, 90.0),
    ((zones.fields, 3.0), (zones.forest, 3.0), (zones.noise_wall, 2.0), (zones.hedgerow, 1.5), (zones.industry, 0.5)),
)  # fmt: skip
AVENUE = Layout(
    "avenue", (1, 3), (1, 3), (3.0, 3.5), (0.3, 2.4), (0.0, 4.0), (1.0, 8.0), (0.0, 0.004), (0.0, 0.02), (0.0, 1.0),
    (5.0, 15.0), 130.0, (0.0, 0.5), 0.5, 0.15, (10.0, 50.0),
    ((zones.park, 2.0), (zones.blocks, 2.0), (zones.hedgerow, 1.5), (zones.industry, 1.5), (zones.car_park, 1.0),
     (zones.forest, 1.0), (zones.noise_wall, 0.5)),
)  # fmt: skip

LAYOUTS = {layout.name: layout for layout in (CITY, RESIDENTIAL, COUNTRY, HIGHWAY, AVENUE)}


@dataclass(frozen=True)
class Plan:
    """One road's own figures, drawn from its layout.

    Attributes:
        layout: where from.
        lane: width, metres.
        same: lanes in our direction, on the right.
        opposite: lanes in the other direction.
        shoulder: width beyond the lanes, metres.
        frontage: distance from the centre line at which zones begin, metres.
        section: the ground's cross-section.
        lines: markings for the road's texture.
    """

    layout: Layout
    lane: float
    same: int
    opposite: int
    shoulder: float
    frontage: float
    section: tuple[Edge, ...]
    lines: list[tuple[float, float, float]]

    @property
    def half(self) -> float:
        """Half the width of the carriageway, metres."""
        return (self.same + self.opposite) * self.lane / 2 + self.shoulder

    def lane_center(self, index: int) -> float:
        """Return the lateral position of lane ``index``, counted from the right, metres."""
        return -self.half + self.shoulder + (index + 0.5) * self.lane


def draw_plan(layout: Layout, rng: Rng) -> Plan:
    """Return a road of a kind."""
    same = int(rng.integers(layout.same[0], layout.same[1] + 1))
    opposite = int(rng.integers(layout.opposite[0], layout.opposite[1] + 1))
    lane, shoulder = rng.uniform(*layout.lane), rng.uniform(*layout.shoulder)
    walkway, verge = rng.uniform(*layout.walkway), rng.uniform(*layout.verge)
    half = (same + opposite) * lane / 2 + shoulder
    outward = _outward(layout, rng, half, walkway, verge)
    section = (
        *(Edge(-t, h, name, repeat, relief) for (t, h, relief), (name, repeat) in _strips(outward)),
        Edge(-half, 0.0, "road", 0.0),
        *_left_edges(outward),
    )
    plan = Plan(layout, lane, same, opposite, shoulder, half + walkway + verge, section, [])
    plan.lines.extend(_markings(plan, rng))
    return plan


def draw_crossings(layout: Layout, rng: Rng, length: float) -> list[Crossing]:
    """Return side roads for a road of a kind."""
    crossings, at = [], 0.0
    while layout.crossings:
        at += rng.uniform(0.4, 1.8) * layout.crossings
        start = round(at / 4) * 4.0
        if start > length:
            break
        crossings.append(Crossing(start, start + float(rng.choice([8.0, 12.0]))))
        at = start + 12
    return crossings


Outward = list[tuple[float, float, float, str, float]]


def _outward(layout: Layout, rng: Rng, half: float, walkway: float, verge: float) -> Outward:
    """The cross-section beyond the carriageway: distance, height, relief, and the texture and repeat out to the next."""
    lawn = str(rng.choice(["grass", "lawn", "dry_grass"]))
    land = str(rng.choice(["grass", "lawn"] if walkway else ["field", "grass", "dry_grass", "soil", "lawn"]))
    if layout.name == "city":
        land = str(rng.choice(["pavement", "cobble", "asphalt"]))
    far = half + walkway + verge
    rows: Outward = []
    if walkway > 0.5:
        kerb = rng.uniform(0.06, 0.16)
        rows += [(half, 0.0, 0.0, "kerb", 2.0), (half + 0.01, kerb, 0.0, "kerb", 1.0)]
        rows += [(half + 0.16, kerb, 0.0, str(rng.choice(["pavement", "asphalt", "cobble"])), 2.0)]
        rows += [(half + walkway, kerb, 0.0, lawn if verge > 0.4 else land, 3.0)]
        rows += [(far, kerb + 0.02, 0.0, land, 5.0)]
    else:
        ditch = -rng.uniform(0.0, 0.35)
        rows += [(half, 0.0, 0.0, "gravel" if rng.random() < 0.4 else lawn, 3.0), (half + 0.6, -0.04, 0.0, lawn, 3.0)]
        rows += [(far, ditch, 0.02, lawn, 4.0)]
    rows += [(far + 5, rows[-1][1], 0.3, land, 6.0), (far + 18, rows[-1][1], 1.0, land, 9.0)]
    rows += [(far + 60, rows[-1][1], 1.3, land, 14.0), (far + 130, rows[-1][1], 2.0, land, 20.0)]
    return rows


def _strips(outward: Outward) -> list[tuple[tuple[float, float, float], tuple[str, float]]]:
    """The right side from the far edge inwards; a strip's texture belongs to its inner edge."""
    pairs = [((t, h, relief), (name, repeat)) for t, h, relief, name, repeat in outward]
    return [(outer[0], inner[1]) for inner, outer in zip(pairs[:-1], pairs[1:], strict=True)][::-1]


def _left_edges(outward: Outward) -> list[Edge]:
    edges = [Edge(t, h, name, repeat, relief) for t, h, relief, name, repeat in outward]
    last = edges.pop()
    return [*edges, Edge(last.t, last.height, "", 1.0, last.relief)]


def _markings(plan: Plan, rng: Rng) -> list[tuple[float, float, float]]:
    """Lines between lanes and along the edges, positions from the right edge."""
    lanes = plan.same + plan.opposite
    if plan.layout.name == "residential" and rng.random() < 0.8:
        return []
    lines = []
    width = rng.uniform(0.1, 0.18)
    for index in range(1, lanes):
        center = index == plan.same and plan.opposite > 0
        unbroken = center and (lanes > 3 or rng.random() < 0.3)
        share = 1.0 if unbroken else float(rng.choice([0.33, 0.5]))
        lines.append((plan.shoulder + index * plan.lane, width, share))
    if plan.layout.name in ("country", "highway") or rng.random() < 0.4:
        lines += [(plan.shoulder, width, 1.0), (plan.shoulder + lanes * plan.lane, width, 1.0)]
    return [line for line in lines if np.isfinite(line[0]) and line[0] > 0]
