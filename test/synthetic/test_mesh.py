from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.mesh import CUTOUT, SOLID, box, concatenate, loft, prism, quads, upright
from space_clip_ros.synthetic.raster import normals


def test_box_faces_look_outwards_and_have_the_size_asked_for() -> None:
    mesh = box((4.0, 2.0, 1.5), 0, bottom=True, base=0.5)
    assert len(mesh) == 6
    middle = np.array([0, 0, 1.25])
    outward = mesh.corners.mean(axis=1) - middle
    cosine = np.einsum("ij,ij->i", outward, mesh.normals) / np.linalg.norm(outward, axis=1)
    np.testing.assert_allclose(cosine, 1.0)
    np.testing.assert_allclose(mesh.corners.reshape(-1, 3).min(axis=0), (-2, -1, 0.5))
    np.testing.assert_allclose(mesh.corners.reshape(-1, 3).max(axis=0), (2, 1, 2.0))


def test_prism_walls_look_outwards() -> None:
    mesh = prism(0.5, 3.0, 0, sides=6)
    outward = mesh.corners.mean(axis=1)[:, :2]
    assert (np.einsum("ij,ij->i", outward, mesh.normals[:, :2]) > 0).all()


def test_upright_reads_left_to_right_from_its_front() -> None:
    mesh = upright((0, 0, 0), (2, 0, 0), 3.0, 7, (2.0, 1.0), kind=CUTOUT)
    np.testing.assert_allclose(mesh.normals, [(0, -1, 0)], atol=1e-12)
    np.testing.assert_allclose(mesh.uv[0], [(0, 1), (2, 1), (2, 0), (0, 0)])
    assert mesh.texture.tolist() == [7]
    assert mesh.kind.tolist() == [CUTOUT]


def test_placed_turns_then_moves() -> None:
    mesh = quads([(1, 0, 0), (2, 0, 0), (2, 0, 1), (1, 0, 1)], 0).placed((10, 20, 30), np.pi / 2)
    np.testing.assert_allclose(mesh.corners[0], [(10, 21, 30), (10, 22, 30), (10, 22, 31), (10, 21, 31)])
    np.testing.assert_allclose(mesh.normals, [(1, 0, 0)], atol=1e-12)


def test_select_and_concatenate_are_inverse() -> None:
    mesh = box((1, 1, 1), 3)
    parts = [mesh.select(np.array([i])) for i in range(len(mesh))]
    joined = concatenate(parts)
    np.testing.assert_array_equal(joined.corners, mesh.corners)
    assert set(joined.kind) == {SOLID}


@pytest.mark.parametrize("repeat", [0.0, 0.5])
def test_box_texture_repeats_by_metres(repeat: float) -> None:
    mesh = box((2.0, 1.0, 1.5), 0, repeat=repeat)
    assert mesh.uv[0].max() == (2.0 / 0.5 if repeat else 1.0)


def test_loft_faces_look_outwards_are_planar_and_repeat_the_texture() -> None:
    rings = [(0.0, 0.0, 0.0, 0.5), (0.1, -0.2, 1.0, 0.3), (0.3, 0.0, 1.5, 0.4)]
    mesh = loft(rings, 0, 6, depth=0.5, repeat=(2.0, 3.0))
    assert len(mesh) == 12
    middle = np.repeat([[0.05, -0.1, 0.5], [0.2, -0.1, 1.25]], 6, axis=0)
    outward = mesh.corners.mean(axis=1) - middle
    assert (np.einsum("ij,ij->i", outward, mesh.normals) > 0).all()
    normal = normals(mesh.corners)
    np.testing.assert_allclose(np.einsum("ij,ij->i", normal, mesh.corners[:, 1] - mesh.corners[:, 0]), 0, atol=1e-12)
    assert mesh.uv.min(axis=(0, 1)).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(mesh.uv.max(axis=(0, 1)), [2.0, 3.0])
    np.testing.assert_allclose(mesh.corners[0, 0], [0.25, 0.0, 0.0])


def test_labels_go_where_their_quads_go() -> None:
    car, tree = (box((1, 1, 1), 0).labelled(label) for label in (Label.CAR, Label.VEGETATION))
    both = concatenate([car, tree]).placed((1, 2, 3), 0.5)
    assert set(both.label[:5]) == {Label.CAR}
    assert set(both.select(np.arange(5, 10)).label) == {Label.VEGETATION}
    assert set(box((1, 1, 1), 0).label) == {Label.OTHER}
