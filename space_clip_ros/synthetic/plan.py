"""One road drawn from its layout: lanes, markings, cross-section, side roads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from space_clip_ros.synthetic.layouts import Layout
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.road import Crossing, Edge


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
    """The ground beyond the carriageway: distance, height, relief, then texture and repeat as far as the next."""
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
    return [(outer[0], inner[1]) for inner, outer in itertools.pairwise(pairs)][::-1]


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
