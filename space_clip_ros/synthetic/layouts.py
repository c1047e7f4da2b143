"""The kinds of road that scenes are built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from space_clip_ros.synthetic import zones


@dataclass(frozen=True)
class RoadLayout:
    """The traits of a kind of road; pairs are ranges that a road's own values are drawn from.

    Attributes:
        name: name of the kind.
        same: number of lanes in our direction.
        opposite: number of lanes in the other direction.
        lane_width: metres.
        shoulder: paved width beyond the lanes on either side, where cars may park, metres.
        walkway: width of the pavement behind the kerb, metres; 0 for none.
        verge: width of the strip behind the pavement, metres.
        bend: typical curvature, 1/metres.
        slope: typical gradient.
        relief: typical height of the terrain, metres.
        speed: of the ego car, metres/second.
        crossings: typical distance between side roads, metres; 0 for none.
        parked: share of the kerb that parked cars take.
        street_trees: chance of a row of trees.
        rails: chance of guard rails on a side.
        traffic: typical distance between vehicles in a lane, metres.
        zones: kinds of zones along the road, and how likely each is.
    """

    name: str
    same: tuple[int, int]
    opposite: tuple[int, int]
    lane_width: tuple[float, float]
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


CITY = RoadLayout(
    "city", (1, 2), (0, 2), (2.8, 3.4), (0.3, 2.5), (1.3, 3.8), (0.0, 1.0), (0.0, 0.006), (0.0, 0.02), (0.0, 0.3),
    (4.0, 13.0), 90.0, (0.0, 0.9), 0.4, 0.05, (12.0, 60.0),
    ((zones.blocks, 6.0), (zones.park, 1.0), (zones.car_park, 1.0), (zones.industry, 0.7), (zones.houses, 0.8)),
)  # fmt: skip
RESIDENTIAL = RoadLayout(
    "residential", (1, 1), (0, 1), (2.5, 3.1), (0.2, 2.3), (0.6, 2.2), (0.0, 1.0), (0.0, 0.008), (0.0, 0.03),
    (0.0, 0.8), (4.0, 11.0), 80.0, (0.1, 0.9), 0.3, 0.0, (50.0, 150.0),
    ((zones.houses, 5.0), (zones.blocks, 1.0), (zones.hedgerow, 1.0), (zones.park, 1.0), (zones.forest, 0.5)),
)  # fmt: skip
COUNTRY = RoadLayout(
    "country", (1, 1), (1, 1), (2.7, 3.6), (0.1, 0.5), (0.0, 0.0), (1.0, 4.0), (0.001, 0.007), (0.0, 0.03), (0.3, 3.0),
    (9.0, 20.0), 0.0, (0.0, 0.0), 0.15, 0.25, (40.0, 200.0),
    ((zones.fields, 4.0), (zones.forest, 3.0), (zones.hedgerow, 2.0), (zones.houses, 0.5)),
)  # fmt: skip
HIGHWAY = RoadLayout(
    "highway", (2, 3), (0, 0), (3.4, 3.8), (2.0, 3.2), (0.0, 0.0), (1.5, 5.0), (0.0, 0.002), (0.0, 0.02), (0.5, 3.5),
    (12.0, 20.0), 0.0, (0.0, 0.0), 0.0, 0.9, (25.0, 90.0),
    ((zones.fields, 3.0), (zones.forest, 3.0), (zones.noise_wall, 2.0), (zones.hedgerow, 1.5), (zones.industry, 0.5)),
)  # fmt: skip
AVENUE = RoadLayout(
    "avenue", (1, 3), (1, 3), (3.0, 3.5), (0.3, 2.4), (0.0, 4.0), (1.0, 8.0), (0.0, 0.004), (0.0, 0.02), (0.0, 1.0),
    (5.0, 15.0), 130.0, (0.0, 0.5), 0.5, 0.15, (10.0, 50.0),
    ((zones.park, 2.0), (zones.blocks, 2.0), (zones.hedgerow, 1.5), (zones.industry, 1.5), (zones.car_park, 1.0),
     (zones.forest, 1.0), (zones.noise_wall, 0.5)),
)  # fmt: skip
WOODS = RoadLayout(
    "woods", (1, 1), (0, 1), (2.4, 3.4), (0.1, 0.5), (0.0, 0.0), (0.7, 2.0), (0.001, 0.009), (0.0, 0.04), (0.0, 1.0),
    (6.0, 18.0), 0.0, (0.0, 0.0), 0.3, 0.1, (40.0, 200.0),
    ((zones.woods, 6.0), (zones.hedgerow, 1.0), (zones.fields, 0.7), (zones.high_wall, 0.3)),
)  # fmt: skip
OLD_TOWN = RoadLayout(
    "old_town", (1, 1), (0, 1), (2.2, 3.0), (0.1, 2.3), (0.6, 2.0), (0.0, 0.3), (0.0, 0.012), (0.0, 0.03), (0.0, 0.1),
    (1.0, 7.0), 60.0, (0.1, 0.6), 0.15, 0.0, (40.0, 150.0),
    ((zones.blocks, 5.0), (zones.high_wall, 1.0), (zones.houses, 0.6), (zones.sheds, 0.6)),
)  # fmt: skip
PARKING = RoadLayout(
    "parking", (1, 1), (0, 1), (2.5, 3.2), (0.2, 2.3), (0.0, 1.5), (0.7, 1.5), (0.0, 0.006), (0.0, 0.01), (0.0, 0.2),
    (1.0, 8.0), 70.0, (0.3, 0.9), 0.3, 0.0, (40.0, 150.0),
    ((zones.car_rows, 4.0), (zones.sheds, 1.5), (zones.blocks, 0.6), (zones.park, 0.6), (zones.high_wall, 0.6)),
)  # fmt: skip
GARDENS = RoadLayout(
    "gardens", (1, 1), (0, 1), (2.3, 3.0), (0.1, 2.2), (0.6, 1.8), (0.0, 0.2), (0.0, 0.01), (0.0, 0.03), (0.0, 0.4),
    (1.0, 9.0), 70.0, (0.1, 0.8), 0.1, 0.0, (50.0, 150.0),
    ((zones.walled_gardens, 6.0), (zones.houses, 1.0), (zones.high_wall, 1.0), (zones.blocks, 1.0)),
)  # fmt: skip

USUAL = (CITY, RESIDENTIAL, COUNTRY, HIGHWAY, AVENUE)
"""Kinds that a drive is drawn from."""

VARIED = (*USUAL, WOODS, OLD_TOWN, PARKING)
"""Kinds that a drive with varied streets is drawn from."""

URBAN = (CITY, RESIDENTIAL, AVENUE, OLD_TOWN, PARKING, GARDENS)
"""Kinds where people walk."""

QUIET = (RESIDENTIAL, OLD_TOWN, PARKING, GARDENS)
"""Kinds with few lorries, and often without lines on the road."""

LAYOUTS = {layout.name: layout for layout in (*VARIED, GARDENS)}
"""All kinds by name. Drives are drawn from :data:`USUAL` or :data:`VARIED`; the rest must be asked for by name."""
