from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic import people
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.people_textures import add_people
from space_clip_ros.synthetic.raster import normals
from space_clip_ros.synthetic.vehicle_textures import add_vehicles


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    atlas = Atlas()
    rng = np.random.default_rng(0)
    add_vehicles(atlas, rng)
    add_people(atlas, rng)
    return atlas


@pytest.mark.parametrize("make", [people.pedestrian, people.cyclist, people.motorcyclist, people.bicycle])
def test_figures_have_a_persons_size_and_stand_on_the_ground(atlas: Atlas, make) -> None:
    for seed in range(20):
        mesh = make(atlas, np.random.default_rng(seed))
        low, high = mesh.corners.min(axis=(0, 1)), mesh.corners.max(axis=(0, 1))
        assert abs(low[2]) < 0.05
        assert (0.95 if make is people.pedestrian else 1.0) < high[2] < 2.1
        assert high[1] - low[1] < 1.0
        assert high[0] - low[0] < 2.2


def test_a_pedestrian_has_volume_and_faces_outwards(atlas: Atlas) -> None:
    mesh = people.pedestrian(atlas, np.random.default_rng(1))
    assert np.ptp(mesh.corners[..., 0]) > 0.2
    planar = np.einsum("ij,ij->i", normals(mesh.corners), mesh.corners[:, 3] - mesh.corners[:, 0]) / np.linalg.norm(
        normals(mesh.corners), axis=1
    ).clip(1e-9)
    assert np.abs(planar).max() < 1e-6
    torso = mesh.corners.mean(axis=1)
    chest = (torso[:, 2] > 0.6 * mesh.corners[..., 2].max()) & (np.abs(torso[:, 1]) < 0.1)
    outward = np.sign(torso[chest, 0]) * mesh.normals[chest, 0]
    assert (outward > -0.2).mean() > 0.9


def test_riders_are_people_on_machines(atlas: Atlas) -> None:
    rng = np.random.default_rng(2)
    assert set(people.pedestrian(atlas, rng).label) == {Label.PERSON}
    assert set(people.bicycle(atlas, rng).label) == {Label.CYCLE}
    for make in (people.cyclist, people.motorcyclist):
        assert set(make(atlas, rng).label) == {Label.PERSON, Label.CYCLE}
