"""Lens models as drivers really fill them in."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.lens import lens


@pytest.mark.parametrize(
    ("model", "D", "coefficients", "fisheye"),
    [
        ("plumb_bob", [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5], False),
        # Five coefficients in a vector of eight, as Orbbec's and ZED's drivers publish it.
        ("plumb_bob", [0.1, 0.2, 0.3, 0.4, 0.5, 0, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.5], False),
        # Eight under plumb_bob's name: OpenCV and image_geometry go by the count.
        ("plumb_bob", [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8], False),
        ("plumb_bob", [0.1, 0.2], [0.1, 0.2, 0, 0], False),
        # Three that are not zero are ambiguous only if three is all there are.
        ("plumb_bob", [-0.3, 0.1, 0.001, 0, 0], [-0.3, 0.1, 0.001, 0], False),
        ("plumb_bob", [-0.3, 0.1, 0.001, 0], [-0.3, 0.1, 0.001, 0], False),
        ("rational_polynomial", [-0.3, 0.1, 0.001, 0, 0, 0, 0, 0], [-0.3, 0.1, 0.001, 0], False),
        ("plumb_bob", [0.1, 0.2, 0], [0.1, 0.2, 0, 0], False),
        ("rational_polynomial", [0.1] * 5, [0.1] * 5, False),
        ("rational_polynomial", [0.1] * 8 + [0] * 6, [0.1] * 8, False),
        ("rational_polynomial", [0.1] * 6, [0.1] * 6 + [0, 0], False),
        ("rational_polynomial", [0.1] * 13, [0.1] * 13 + [0], False),
        ("Plumb Bob", [0.1] * 4, [0.1] * 4, False),
        ("brown-conrady", [0.1] * 5, [0.1] * 5, False),
        ("radtan", [0.1] * 4, [0.1] * 4, False),
        ("equidistant", [0.1, 0.2, 0.3, 0.4, 0], [0.1, 0.2, 0.3, 0.4], True),
        ("equidistant", [0.1, 0.2, 0.3, 0.4, 0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4], True),
        ("fisheye", [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], True),
        ("Kannala_Brandt4", [0.1], [0.1, 0, 0, 0], True),
        ("whatever", [0.0] * 7, [], False),
        ("", [], [], False),
    ],
)
def test_what_has_one_meaning_is_taken(model, D, coefficients, fisheye):
    lens_model = lens(model, D)
    np.testing.assert_array_equal(lens_model.coefficients, coefficients)
    assert lens_model.fisheye == fisheye


@pytest.mark.parametrize(
    ("model", "D", "text"),
    [
        ("plumb_bob", [0.1, 0.2, 0.3], "may mean k1 k2 p1 or k1 k2 k3; give 4 or 5"),
        ("plumb_bob", [0.1] * 15, "plumb_bob has 14 distortion coefficients at most, got 15"),
        ("equidistant", [0.1] * 5, "equidistant has 4 distortion coefficients at most, got 5"),
        ("", [0.1] * 5, "distortion model must be one of plumb_bob"),
        ("double_sphere", [0.1] * 2, "must be one of"),
        ("inverse_brown_conrady", [0.1] * 5, "must be one of"),
        ("plumb_bob", [0.1, float("inf"), 0, 0], "finite"),
    ],
)
def test_the_rest_is_refused_with_the_reason(model, D, text):
    with pytest.raises(InputError, match=text):
        lens(model, D)
