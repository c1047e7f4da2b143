"""What lines a road: each function fills one side from ``start`` to ``end``, metres along the road.

``edge`` is the distance of the frontage from the centre line, metres; ``side`` is +1 for left, -1 for right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from space_clip_ros.synthetic import buildings, cars, furniture, plants, vehicles
from space_clip_ros.synthetic.mesh import Mesh
from space_clip_ros.synthetic.scene import Scene

Zone = Callable[[Scene, int, float, float, float], None]


def blocks(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Town houses wall to wall."""
    rng = scene.rng
    setback, tall = rng.uniform(0, 3), rng.uniform(7, 20)
    shops = rng.random() < 0.5
    while start < end:
        length = min(rng.uniform(9, 24), max(end - start, 6.0))
        height = float(np.clip(tall + rng.normal(0, 2.5), 5, 26))
        mesh = buildings.block(scene.atlas, rng, length, height, shop=shops and rng.random() < 0.8)
        scene.place_facing_road(mesh, start, length, side * (edge + setback + max(rng.normal(0, 0.6), 0)))
        start += length + (rng.uniform(3, 14) if rng.random() < 0.2 else 0.0)


def houses(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Detached houses behind hedges, fences or walls, with garden trees."""
    rng = scene.rng
    setback = rng.uniform(2.5, 8)
    border = int(rng.integers(4))
    while start < end:
        plot = rng.uniform(14, 24)
        scene.place_facing_road(
            buildings.house(scene.atlas, rng), start + 1, 12, side * (edge + setback + rng.uniform(0, 3))
        )
        if border < 3 or rng.random() < 0.3:
            choice = int(rng.integers(3)) if rng.random() < 0.3 else min(border, 2)
            scene.place(_border(scene, choice, plot - rng.uniform(2, 4)), start + plot / 2, side * (edge + 0.4))
        for _ in range(rng.integers(0, 4)):
            _plant(scene, start + rng.uniform(0, plot), side * (edge + rng.uniform(1.5, 16)), 0.5)
        start += plot


def park(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Trees and bushes on a lawn."""
    for _ in range(int((end - start) * scene.rng.uniform(0.15, 0.5))):
        t = side * (edge + 1 + 35 * scene.rng.random() ** 1.5)
        _plant(scene, scene.rng.uniform(start, end), t, 0.75)


def fields(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Open land with a strip of tall grass, a few trees, sometimes a fence or farm."""
    rng = scene.rng
    strip = rng.random() < 0.7
    fence = furniture.fence(scene.atlas, rng, 6.0) if rng.random() < 0.3 else None
    for at in np.arange(start, end, 6.0).tolist():
        if strip:
            scene.place(plants.tall_grass(scene.atlas, rng, 6.5), at + 3, side * (edge + rng.uniform(0.3, 1.5)))
        if fence is not None:
            scene.place(fence, at + 3, side * (edge + 3))
    for _ in range(int((end - start) * 0.06)):
        _plant(scene, rng.uniform(start, end), side * (edge + rng.uniform(3, 90)), 0.7)
    if rng.random() < 0.4:
        scene.place_facing_road(
            buildings.house(scene.atlas, rng), rng.uniform(start, end), 12, side * (edge + rng.uniform(15, 60))
        )


def forest(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """The edge of a forest, with single trees and bushes in front."""
    rng = scene.rng
    gap, height = rng.uniform(1.5, 9), rng.uniform(7, 17)
    for at in np.arange(start, end, 10.0).tolist():
        mesh = plants.forest_edge(scene.atlas, rng, 11.0, height, 8.0).placed((5.5, 0, 0), 0.0)
        scene.place_facing_road(mesh, at, 11.0, side * (edge + gap + rng.uniform(0, 1.5)))
    for _ in range(int((end - start) * 0.2)):
        _plant(scene, rng.uniform(start, end), side * (edge + gap * rng.uniform(0.5, 1.2)), 0.6, size=0.8)


def hedgerow(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Bushes and small trees close to the road."""
    for at in np.arange(start, end, scene.rng.uniform(1.5, 3.5)).tolist():
        _plant(scene, at, side * (edge + scene.rng.uniform(1.0, 3.5)), 0.3)


def industry(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Industrial halls behind a fence, parked cars and lorries."""
    rng = scene.rng
    at = start
    while at < end:
        scene.place_facing_road(buildings.shed(scene.atlas, rng), at, 30, side * (edge + rng.uniform(4, 22)))
        at += rng.uniform(30, 55)
    if rng.random() < 0.6:
        fence = furniture.fence(scene.atlas, rng, 5.0)
        for at in np.arange(start, end, 5.0).tolist():
            scene.place(fence, at + 2.5, side * (edge + 0.6))
    for _ in range(int((end - start) * 0.06)):
        maker = vehicles.lorry if rng.random() < 0.3 else cars.car
        t = side * (edge + rng.uniform(3, 8))
        scene.place(maker(scene.atlas, rng), rng.uniform(start, end), t, rng.choice([0.0, np.pi / 2]))


def noise_wall(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """A noise barrier along the road with trees and bushes behind it."""
    rng = scene.rng
    gap = rng.uniform(0.8, 5)
    wall = furniture.wall(scene.atlas, rng, 8.1, rng.uniform(1.8, 4.5))
    for at in np.arange(start, end, 8.0).tolist():
        scene.place(wall, at + 4, side * (edge + gap))
    for _ in range(int((end - start) * 0.12)):
        _plant(scene, rng.uniform(start, end), side * (edge + gap + rng.uniform(2, 12)), 0.9)


def car_park(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Cars parked across the road's direction, trees between."""
    rng = scene.rng
    for at in np.arange(start + 2, end - 2, 2.7).tolist():
        if rng.random() < 0.75:
            scene.place(cars.car(scene.atlas, rng), at, side * (edge + 3.2), rng.choice([-1, 1]) * np.pi / 2)
        if rng.random() < 0.12:
            _plant(scene, at, side * (edge + 6.5), 0.8)


def woods(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Tall trees right beside the road over undergrowth, a forest behind them."""
    rng, atlas = scene.rng, scene.atlas
    gap, spacing, height = rng.uniform(0.2, 3.5), rng.uniform(2.5, 8.0), rng.uniform(9, 22)
    bare = rng.uniform(1.5, 6.0)
    trees = [
        plants.tall_tree(atlas, rng, height * rng.uniform(0.7, 1.2), bare * rng.uniform(0.6, 1.3), clusters)
        for clusters in (30, 30, 24, 18, 18)
    ]
    shrubs = [plants.undergrowth(atlas, rng, 5.0, rng.uniform(0.4, 1.8)) for _ in range(3)]
    dense = rng.uniform(0.2, 1.0)
    for row in range(2):
        at = start
        while at < end:
            mesh = trees[int(rng.integers(0, 3) if row == 0 else rng.integers(2, 5))]
            t = edge + gap + 4.0 * row + rng.uniform(0, 2.5 + 2 * row)
            scene.place(mesh, at, side * t, rng.uniform(0, 2 * np.pi))
            at += spacing * rng.uniform(0.5, 1.6)
    for at in np.arange(start, end, 4.5).tolist():
        if rng.random() < dense:
            shrub = shrubs[int(rng.integers(3))]
            scene.place(shrub, at, side * (edge + gap + rng.uniform(0.2, 3.0)), rng.choice([0.0, np.pi]))
    for at in np.arange(start, end, 10.0).tolist():
        mesh = plants.forest_edge(atlas, rng, 11.0, 0.8 * height, 8.0).placed((5.5, 0, 0), 0.0)
        scene.place_facing_road(mesh, at, 11.0, side * (edge + gap + rng.uniform(9, 12)))


def high_wall(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """A high wall close to the road, with trees or houses behind it."""
    rng = scene.rng
    gap, height = rng.uniform(0.1, 2.0), rng.uniform(1.6, 5.0)
    wall = furniture.wall(scene.atlas, rng, 6.1, height)
    for at in np.arange(start, end, 6.0).tolist():
        scene.place(wall, at + 3, side * (edge + gap))
    for _ in range(int((end - start) * 0.15)):
        _plant(scene, rng.uniform(start, end), side * (edge + gap + rng.uniform(2, 8)), 0.9)


def walled_gardens(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Gardens close to the road, behind low walls, fences and overgrown hedges, with houses further back."""
    rng, atlas = scene.rng, scene.atlas
    gap, setback = rng.uniform(0.05, 0.7), rng.uniform(1.5, 7)
    low, high, overgrown = rng.uniform(0.2, 1.3), rng.uniform(1.2, 4.5), rng.uniform(0.2, 1.0)
    while start < end:
        plot = min(rng.uniform(8, 20), max(end - start, 4.0))
        open_m = rng.uniform(2.5, 4) if rng.random() < 0.5 and plot > 8 else 0.2
        border, middle, t = plot - open_m, start + (plot - open_m) / 2, edge + gap
        if rng.random() < 0.85:
            scene.place(furniture.wall(atlas, rng, border, low), middle, side * t)
        if rng.random() < 0.5:
            scene.place(furniture.fence(atlas, rng, border).placed((0, 0, low), 0.0), middle, side * t)
        if rng.random() < overgrown:
            shaggy = rng.random() < 0.6
            make = plants.undergrowth if shaggy else plants.hedge
            scene.place(make(atlas, rng, border, high * rng.uniform(0.6, 1.2)), middle, side * (t + 0.3 + 0.7 * shaggy))
        if rng.random() < 0.85 and plot > 6:
            house = buildings.house(atlas, rng)
            scene.place_facing_road(house, start + 1, 12, side * (t + setback + rng.uniform(0, 3)))
        for _ in range(rng.integers(0, 4)):
            _plant(scene, start + rng.uniform(0, plot), side * (t + rng.uniform(0.8, 8)), 0.7)
        start += plot


def sheds(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """Blank walls of halls and garages close to the road."""
    rng = scene.rng
    while start < end:
        scene.place_facing_road(buildings.shed(scene.atlas, rng), start, 25, side * (edge + rng.uniform(0.3, 4.0)))
        start += rng.uniform(26, 45)


def car_rows(scene: Scene, side: int, start: float, end: float, edge: float) -> None:
    """A car park: rows of cars across the road's direction, lorries and trees among them."""
    rng, atlas = scene.rng, scene.atlas
    parked = [cars.car(atlas, rng) for _ in range(14)]
    for row in range(int(rng.integers(1, 4))):
        full, t = rng.uniform(0.4, 0.95), edge + 3.0 + 7.5 * row
        for at in np.arange(start + 1.5, end - 1.5, 2.6).tolist():
            if rng.random() < full:
                mesh = parked[int(rng.integers(len(parked)))]
                scene.place(mesh, at, side * (t + rng.normal(0, 0.2)), rng.choice([-1, 1]) * np.pi / 2)
            elif rng.random() < 0.25:
                _plant(scene, at, side * t, 0.9)
    for _ in range(int((end - start) * 0.02)):
        big = vehicles.lorry(atlas, rng) if rng.random() < 0.7 else vehicles.bus(atlas, rng)
        scene.place(big, rng.uniform(start, end), side * (edge + rng.uniform(20, 30)), rng.choice([0.0, np.pi / 2]))


def _border(scene: Scene, kind: int, length: float) -> Mesh:
    """Return a garden's hedge (0), fence (1) or wall (2), along x."""
    rng = scene.rng
    if kind == 0:
        return plants.hedge(scene.atlas, rng, length, rng.uniform(0.8, 2.2))
    if kind == 1:
        return furniture.fence(scene.atlas, rng, length)
    return furniture.wall(scene.atlas, rng, length, rng.uniform(0.6, 1.8))


def _plant(scene: Scene, s: float, t: float, trees: float, size: float = 1.0) -> None:
    """Place a tree or conifer (with probability ``trees``) or a bush, unless it would stand on a side road."""
    rng, atlas = scene.rng, scene.atlas
    if not 0 < s < scene.road.length or not scene.road.is_free(s - 3, s + 3):
        return
    if rng.random() > trees:
        mesh = plants.bush(atlas, rng, rng.uniform(0.6, 2.5) * size)
    elif rng.random() < 0.2:
        mesh = plants.conifer(atlas, rng, rng.uniform(4, 14) * size)
    elif scene.varied and rng.random() < 0.6:
        height = rng.uniform(5, 17) * size
        mesh = plants.tall_tree(atlas, rng, height, height * rng.uniform(0.1, 0.35))
    else:
        mesh = plants.tree(atlas, rng, rng.uniform(4, 13) * size)
    scene.place(mesh, s, t, rng.uniform(0, 2 * np.pi))
