from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.raster import cross, fragments, orthographic, perspective
from space_clip_ros.synthetic.z_buffer import ZBuffer

CAMERA = PinholeCamera(64, 48, 40.0, 40.0, 31.5, 23.5)


def draw(quads: list, two_sided: bool = True, camera: PinholeCamera = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Return depth (0 where nothing is drawn) and the visible quad (-1 where none is)."""
    corners = np.asarray(quads, float)
    facets = perspective(corners, camera, np.full(len(corners), two_sided), 1000.0)
    z_buffer = ZBuffer(camera.width, camera.height)
    z_buffer.draw(facets, np.arange(len(facets.index)))
    shape = camera.height, camera.width
    quad = np.append(facets.index, -1)[z_buffer.facet]
    depth = np.zeros(shape)
    seen = z_buffer.value.reshape(shape) > 0
    depth[seen] = 1 / z_buffer.value.reshape(shape)[seen]
    return depth, quad.reshape(shape)


def facing(x: float, y: float, z: float, half: float) -> list:
    """Return a square that faces the camera: counter-clockwise as the camera sees it (y is down)."""
    return [
        (x - half, y + half, z),
        (x + half, y + half, z),
        (x + half, y - half, z),
        (x - half, y - half, z),
    ]


def test_square_ahead_covers_the_pixels_worked_out_by_hand() -> None:
    # 2 m square at 8 m: +-1 m is +-5 pixels around (31.5, 23.5), so columns 27..36 and rows 19..28.
    depth, _ = draw([facing(0, 0, 8.0, 1.0)])
    expected = np.zeros((48, 64))
    expected[19:29, 27:37] = 8.0
    np.testing.assert_allclose(depth, expected, rtol=1e-6)


@pytest.mark.parametrize(("half", "pixels"), [(0.9001, 10), (0.8999, 8)])
def test_a_pixel_is_covered_when_its_centre_is(half: float, pixels: int) -> None:
    # +-0.9 m at 8 m is +-4.5 pixels: the edges run through the centres of pixels 27 and 36.
    depth, _ = draw([facing(0, 0, 8.0, half)])
    assert (depth > 0).sum(axis=1).max() == pixels


def test_ground_plane_that_extends_behind_the_camera_has_its_exact_depth() -> None:
    ground = [(-50, 1.5, -20), (50, 1.5, -20), (50, 1.5, 200), (-50, 1.5, 200)]
    depth, _ = draw([ground])
    rows = np.arange(24, 48)
    inside = rows[(1.5 * 40 / (rows - 23.5) < 200)]
    for row in inside:
        expected = 1.5 * 40 / (row - 23.5)
        covered = np.abs((np.arange(64) - 31.5) / 40 * expected) <= 50
        np.testing.assert_allclose(depth[row, covered], expected, rtol=1e-5)
    assert not depth[:24].any()


def test_nearer_quad_wins_whatever_the_order() -> None:
    near, far = facing(0, 0, 5.0, 0.5), facing(0, 0, 9.0, 3.0)
    for quads, front in (([near, far], 0), ([far, near], 1)):
        depth, quad = draw(quads)
        assert quad[23, 31] == front
        assert depth[23, 31] == pytest.approx(5.0)
        assert depth[23, 22] == pytest.approx(9.0)


def test_crossing_quads_change_places_where_they_meet() -> None:
    # Two planes that cross at x = 0, z = 10: each is nearer on one side.
    left = [(-3, 2, 7), (3, 2, 13), (3, -2, 13), (-3, -2, 7)]
    right = [(-3, 2, 13), (3, 2, 7), (3, -2, 7), (-3, -2, 13)]
    _, quad = draw([left, right])
    assert set(quad[23, 25:31]) == {0}
    assert set(quad[23, 33:38]) == {1}


def test_back_of_a_one_sided_quad_is_not_drawn() -> None:
    front, back = facing(0, 0, 8.0, 1.0), facing(0, 0, 8.0, 1.0)[::-1]
    assert draw([front], two_sided=False)[0].any()
    assert not draw([back], two_sided=False)[0].any()


def test_triangle_repeats_its_third_corner() -> None:
    a, b, c, _ = facing(0, 0, 8.0, 1.0)
    depth, _ = draw([[a, b, c, c]])
    # Half a square of 10 x 10 pixels, with the diagonal.
    assert (depth > 0).sum() == 55


def test_edges_shared_by_neighbours_leave_no_gap() -> None:
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.linspace(-4, 4, 9), np.linspace(-3, 3, 7)), axis=-1)
    grid[1:-1, 1:-1] += rng.uniform(-0.3, 0.3, grid[1:-1, 1:-1].shape)
    z = 4.0 + rng.uniform(0, 0.5, grid.shape[:2])
    points = np.concatenate([grid * z[..., None] / 4, z[..., None]], axis=-1)
    quads = []
    for row in range(6):
        for column in range(8):
            a, b = points[row + 1, column], points[row + 1, column + 1]
            c, d = points[row, column + 1], points[row, column]
            quads += [[a, b, c, c], [a, c, d, d]]
    depth, _ = draw(quads)
    assert (depth[:, 1:-1] > 0).all()


def test_random_planes_agree_with_ray_intersections() -> None:
    rng = np.random.default_rng(11)
    quads = []
    for _ in range(200):
        center = rng.uniform((-6, -4, 3), (6, 4, 30))
        first, second = rng.standard_normal((2, 3))
        quads.append(
            [center - first - second, center + first - second, center + first + second, center - first + second]
        )
    depth, quad = draw(quads)
    rows, columns = np.nonzero(quad >= 0)
    rays = np.stack([(columns - 31.5) / 40, (rows - 23.5) / 40, np.ones(len(rows))], axis=1)
    best = np.full(len(rows), np.inf)
    for a, b, _, d in np.asarray(quads):  # brute force: a + u (b - a) + v (d - a) = z ray
        system = np.stack([np.broadcast_to(b - a, rays.shape), np.broadcast_to(d - a, rays.shape), -rays], axis=2)
        u, v, z = np.linalg.solve(system, np.broadcast_to(-a, rays.shape)[..., None])[..., 0].T
        hit = (np.minimum(u, v) >= -1e-9) & (np.maximum(u, v) <= 1 + 1e-9) & (z >= 0.3)
        best[hit] = np.minimum(best[hit], z[hit])
    np.testing.assert_allclose(depth[rows, columns], best, rtol=2e-5)


def test_fragments_that_do_not_pass_are_holes() -> None:
    quads = np.asarray([facing(0, 0, 8.0, 1.0), facing(0, 0, 12.0, 3.0)])
    facets = perspective(quads, CAMERA, np.ones(2, bool), 100.0)
    z_buffer = ZBuffer(64, 48)
    z_buffer.draw(facets, np.arange(2), lambda drawn: (drawn.pixel % 2 == 0) | (facets.index[drawn.facet] == 1))
    seen = facets.index[z_buffer.facet.reshape(48, 64)[20, 28:36]]
    assert seen.tolist() == [0, 1] * 4


def test_quads_behind_or_beside_are_left_out() -> None:
    quads = np.asarray([facing(0, 0, -5.0, 1.0), facing(500, 0, 5.0, 1.0), facing(0, 0, 2000.0, 1.0)])
    assert len(perspective(quads, CAMERA, np.ones(3, bool), 1000.0).index) == 0


def test_parallel_projection_keeps_the_highest() -> None:
    # A slope z = x over 10 x 10 pixels, and a flat lid at 4 on its left half.
    slope = [(0, 0, 0), (9, 0, 9), (9, 9, 9), (0, 9, 0)]
    lid = [(0, 0, 4), (4, 0, 4), (4, 9, 4), (0, 9, 4)]
    facets = orthographic(np.asarray([slope, lid], float), 10, 10)
    z_buffer = ZBuffer(10, 10)
    z_buffer.draw(facets, np.arange(2))
    expected = np.tile([4, 4, 4, 4, 4, 5, 6, 7, 8, 9], (10, 1))
    np.testing.assert_allclose(z_buffer.value.reshape(10, 10), expected, atol=1e-5)


def test_nothing_to_draw_is_no_fragments() -> None:
    facets = perspective(np.zeros((0, 4, 3)), CAMERA, np.zeros(0, bool), 10.0)
    assert len(fragments(facets, 64, 48).pixel) == 0


def test_cross_equals_numpys_bit_for_bit() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 50, 4, 3))
    np.testing.assert_array_equal(cross(first, second), np.cross(first, second))


def test_between_equal_values_the_batch_drawn_first_wins() -> None:
    quads = np.asarray([facing(0, 0, 8.0, 1.0), facing(0, 0, 8.0, 1.0)])
    facets = perspective(quads, CAMERA, np.ones(2, bool), 100.0)
    z_buffer = ZBuffer(64, 48)
    for row in (1, 0):
        z_buffer.draw(facets, np.array([row]))
    assert set(z_buffer.facet.tolist()) == {-1, 1}


def test_z_buffer_keeps_values_of_either_sign_bit_for_bit() -> None:
    rng = np.random.default_rng(5)
    corners = rng.uniform(0, 64, (40, 3, 3)) - (0, 0, 32)
    facets = orthographic(corners[:, [0, 1, 2, 2]], 64, 64)
    z_buffer, expected = ZBuffer(64, 64), np.full(64 * 64, -np.inf, np.float32)
    z_buffer.draw(facets, np.arange(len(facets.index)))
    drawn = fragments(facets, 64, 64)
    np.maximum.at(expected, drawn.pixel, drawn.value)
    np.testing.assert_array_equal(z_buffer.value, expected)
