from __future__ import annotations

import numpy as np
import pytest

from contrast.street import StreetView, person_and_pole
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera

SMALL = PinholeCamera(310, 94, 180.0, 180.0, 152.4, 43.2)


@pytest.fixture(scope="module")
def view() -> StreetView:
    result = person_and_pole(0, SMALL)
    assert result is not None
    return result


def test_both_stand_where_they_should(view: StreetView) -> None:
    assert view.image.shape == (94, 310, 3) and view.depth.shape == (94, 310)
    assert (view.camera.cx, view.camera.cy) == (151.4, 42.2)
    for name, metres in (("person", 10.0), ("pole", 8.0)):
        mask = view.objects[name]
        assert mask.sum() > 60
        assert np.median(view.depth[mask]) == pytest.approx(metres, abs=0.35)
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        assert np.ptp(rows) > 1.5 * np.ptp(columns)
    assert not (view.objects["person"] & view.objects["pole"]).any()


def test_something_farther_shows_beside_them(view: StreetView) -> None:
    for mask in view.objects.values():
        around = np.zeros_like(mask)
        around[:, 2:], around[:, :-2] = mask[:, :-2], around[:, :-2] | mask[:, 2:]
        beside = view.depth[around & ~mask]
        assert np.mean(beside > 1.2 * np.median(view.depth[mask])) > 0.5


def test_depth_is_complete_and_says_where_the_sky_is(view: StreetView) -> None:
    assert np.isfinite(view.depth).all()
    assert view.depth.dtype == np.float32 and view.depth.max() == 255.0


def test_the_same_seed_gives_the_same_street(view: StreetView) -> None:
    again = person_and_pole(0, SMALL)
    assert again is not None
    np.testing.assert_array_equal(view.image, again.image)
    np.testing.assert_array_equal(view.objects["pole"], again.objects["pole"])


def test_a_street_without_room_is_none() -> None:
    # A lorry fills the view: nobody can stand in front of something farther away on both sides.
    assert person_and_pole(6, SMALL) is None


def test_a_negative_seed() -> None:
    with pytest.raises(InputError, match="seed must be 0 or more, got -1"):
        person_and_pole(-1, SMALL)
