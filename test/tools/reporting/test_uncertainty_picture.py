"""Colours of uncertainty: a share of depth, on a scale that never moves."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.reporting.uncertainty_picture import (
    SURE,
    UNSURE,
    colored_uncertainty,
    uncertainty_ramp,
    uncertainty_scale,
    uncertainty_share,
    uncertainty_ticks,
)


def test_it_is_a_share_of_depth_where_both_are_known() -> None:
    depth = np.array([[10.0, 20.0, np.nan, 0.0]], np.float32)
    share = uncertainty_share(np.array([[1.0, np.nan, 1.0, 1.0]], np.float32), depth)
    assert share.dtype == np.float32
    np.testing.assert_allclose(share, [[0.1, np.nan, np.nan, np.nan]], rtol=1e-6)


def test_maps_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="uncertainty is 3x2 pixels, depth 4x2"):
        uncertainty_share(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))


def test_a_share_has_the_colour_of_its_place_on_the_scale() -> None:
    # 10 % is log(2) / log(20) of the way from 5 to 100 %.
    ramp, place = uncertainty_ramp(255), np.log(2) / np.log(20)
    pixels = colored_uncertainty(np.array([[SURE, 0.1, UNSURE]], np.float32))[0]
    np.testing.assert_array_equal(pixels, ramp[[0, round(254 * place), 254]])
    assert {label: at for at, label in uncertainty_ticks()}["10%"] == pytest.approx(place)


def test_beyond_the_scale_colours_stay_and_unknown_is_black() -> None:
    pixels = colored_uncertainty(np.array([[0.001, SURE, 7.0, UNSURE, np.nan, np.inf]], np.float32))[0]
    np.testing.assert_array_equal(pixels[[0, 2]], pixels[[1, 3]])
    assert not pixels[4:].any()
    assert pixels[:4].any(axis=1).all()


def test_brighter_is_less_sure() -> None:
    brightness = uncertainty_ramp(32).astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(brightness) > 0).all()


def test_the_pages_scale_shows_all_colours() -> None:
    uri, ticks = uncertainty_scale()
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"), validate=True)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (8, 512, 3)
    assert (ticks[0], ticks[-1]) == ((0.0, "5%"), (100.0, "100%"))
