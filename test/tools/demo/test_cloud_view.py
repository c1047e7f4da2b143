"""The drawn cloud: right place, right order, nothing from invalid points."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.tools.demo.cloud_view import CloudView, splat

RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_the_nearest_dot_is_on_top_whatever_the_order() -> None:
    for order in ([0, 1], [1, 0]):
        picture = np.zeros((5, 5, 3), np.uint8)
        pixels = np.array([[2.0, 2.0], [2.0, 2.0]])[order]
        colors = np.array([RED, GREEN], np.uint8)[order]
        splat(picture, pixels, colors, np.array([3.0, 9.0])[order], radius=0)
        assert tuple(picture[2, 2]) == RED


def test_a_near_dots_rim_covers_a_far_dots_centre() -> None:
    picture = np.zeros((5, 5, 3), np.uint8)
    colors = np.array([RED, GREEN], np.uint8)
    splat(picture, np.array([[1.0, 2.0], [2.0, 2.0]]), colors, np.array([1.0, 2.0]), radius=1)
    assert (picture[1:4, 0:3] == RED).all()
    assert (picture[1:4, 3] == GREEN).all()


def test_dots_outside_and_not_a_number_are_left_out() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    pixels = np.array([[9.0, 1.0], [-3.0, 1.0], [np.nan, 1.0]])
    splat(picture, pixels, np.full((3, 3), 255, np.uint8), np.ones(3), radius=1)
    assert not picture.any()


def test_the_point_looked_at_is_in_the_middle() -> None:
    point = np.array([[0.0, 0.5, 14.0]], np.float32)
    picture = CloudView(801, 243).draw(point, np.array([RED], np.uint8))
    rows, columns = np.nonzero((picture == RED).all(axis=2))
    assert rows.mean() == pytest.approx(121, abs=1)
    assert columns.mean() == pytest.approx(400, abs=1)


def test_the_view_stands_upright_and_looks_ahead_from_the_left() -> None:
    view = CloudView(801, 243)

    def place(point: tuple[float, float, float]) -> np.ndarray:
        picture = view.draw(np.array([point], np.float32), np.array([RED], np.uint8))
        return np.argwhere((picture == RED).all(axis=2)).mean(axis=0)

    middle = place((0.0, 0.5, 14.0))
    assert place((0.0, -1.5, 14.0))[0] < middle[0], "up in the world is up in the picture"
    assert place((3.0, 0.5, 14.0))[1] > middle[1], "right in the world is right in the picture"
    assert place((0.0, 0.5, 24.0))[0] < middle[0], "further is higher up in the picture"


def test_points_that_are_not_a_number_draw_nothing() -> None:
    view = CloudView(200, 60)
    nothing = view.draw(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
    invalid = view.draw(np.full((7, 3), np.nan, np.float32), np.full((7, 3), 255, np.uint8))
    np.testing.assert_array_equal(nothing, invalid)


def test_a_room_is_seen_from_nearer() -> None:
    point = np.array([[0.0, 0.05, 1.4]], np.float32)
    picture = CloudView(801, 243, scale=0.1).draw(point, np.array([RED], np.uint8))
    assert np.argwhere((picture == RED).all(axis=2)).mean(axis=0) == pytest.approx([121, 400], abs=1)
