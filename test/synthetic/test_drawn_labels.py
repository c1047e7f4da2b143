from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.labels import LABEL_NAMES, Label
from space_clip_ros.synthetic.scene_builder import build_scene

PAGE = Path(__file__).resolve().parents[2] / "docs" / "synthetic.md"

# Textures that belong to one class wherever they are used, by the start of their names.
CLASSES = {
    "road": Label.ROAD,
    "grass": Label.TERRAIN,
    "lawn": Label.TERRAIN,
    "field": Label.TERRAIN,
    "pavement": Label.PAVEMENT,
    "kerb": Label.PAVEMENT,
    "facade": Label.BUILDING,
    "roof": Label.BUILDING,
    "leaves": Label.VEGETATION,
    "foliage": Label.VEGETATION,
    "forest": Label.VEGETATION,
    "hedge": Label.VEGETATION,
    "tall_grass": Label.VEGETATION,
    "fence": Label.WALL,
    "guard_rail": Label.WALL,
    "sign": Label.POLE,
    "traffic_light": Label.POLE,
    "person": Label.PERSON,
    "car_side": Label.CAR,
    "tarp": Label.TRUCK,
    "bus_": Label.TRUCK,
    "bicycle": Label.CYCLE,
}


@pytest.mark.parametrize(
    ("name", "varied"),
    [("city", False), ("highway", False), ("country", True), ("old_town", True), ("parking", True), ("woods", True)],
)
def test_every_surface_has_the_class_of_what_it_is(name: str, varied: bool) -> None:
    scene = build_scene(6, 1.0, name, varied=varied)
    mesh = scene.mesh(0.5)
    for prefix, label in CLASSES.items():
        textures = [scene.atlas.index(texture) for texture in scene.atlas.family(prefix)]
        classes = mesh.label[np.isin(mesh.texture, textures)]
        assert set(classes) <= {label}, prefix
    assert {Label.ROAD, Label.VEGETATION} <= set(mesh.label)
    assert (mesh.label == Label.OTHER).mean() < 0.1
    assert Label.SKY not in mesh.label


def test_the_page_lists_the_classes_with_their_values() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(str(int(label)), name) for label, name in zip(Label, LABEL_NAMES, strict=True)]
