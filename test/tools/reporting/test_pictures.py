from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DataError
from space_clip_ros.tools.reporting.pictures import (
    MAX_BYTES,
    Size,
    data_uri,
    depth_picture,
    depth_scale,
    error_colors,
    error_picture,
    shown_size,
)


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"), validate=True)
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_large_pictures_are_shown_smaller_and_small_ones_as_they_are() -> None:
    assert shown_size(1242, 375) == (1242, 375)
    assert shown_size(4000, 3000) == (1280, 960)
    assert shown_size(10, 8000) == (2, 1280)


def test_a_picture_survives_and_keeps_its_colours() -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, 16:] = 200, 30, 60
    # JPEG stores one colour for each 2 x 2 pixels, so colours mix near the edge.
    difference = np.abs(decoded(data_uri(picture)).astype(int) - picture)
    assert difference[:, :12].max() < 12
    assert difference[:, 20:].max() < 12


def test_noise_fits_too_and_what_cannot_fit_is_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1280, 1280, 3), np.uint8)
    uri = data_uri(noise)
    assert len(uri) < MAX_BYTES * 4 / 3 + 100
    assert decoded(uri).shape == noise.shape
    with pytest.raises(DataError, match="1280x1280 pixels does not fit 1000 bytes"):
        data_uri(noise, 1000)


def test_error_colours_run_from_blue_over_white_to_red() -> None:
    colors = error_colors(np.array([-0.9, -0.5, 0.0, 0.25, 0.5, 3.0], np.float32))
    np.testing.assert_array_equal(colors[[0, 2, 4]], [(40, 110, 255), (245, 245, 245), (255, 60, 40)])
    np.testing.assert_array_equal(colors[0], colors[1])
    np.testing.assert_array_equal(colors[4], colors[5])
    assert (colors[3] > colors[4])[1:].all()


def test_errors_are_dots_where_the_truth_is() -> None:
    truth = np.full((20, 40), np.nan, np.float32)
    truth[10, 30], truth[5, 5] = 10.0, 0.0
    picture = error_picture(np.full((10, 20), 20.0, np.float32), truth, None, Size(40, 20))
    rows, columns = np.nonzero(picture.any(axis=2))
    assert (set(rows), set(columns)) == ({9, 10, 11}, {29, 30, 31})
    np.testing.assert_array_equal(picture[10, 30], (255, 60, 40))


def test_errors_lie_on_the_darkened_image() -> None:
    image = np.full((20, 40, 3), 200, np.uint8)
    picture = error_picture(np.ones((20, 40), np.float32), np.full((20, 40), np.nan, np.float32), image, Size(20, 10))
    assert picture.shape == (10, 20, 3)
    assert (picture == 70).all()


def test_depth_has_the_nodes_colours_and_their_scale() -> None:
    node = NodeConfig()
    picture = depth_picture(np.full((4, 4), np.nan, np.float32), node, Size(8, 8))
    assert picture.shape == (8, 8, 3)
    assert not picture.any()
    uri, ticks = depth_scale(node, (0.01, 1, 80, 160))
    assert decoded(uri).shape == (8, 512, 3)
    assert [label for _, label in ticks] == ["1 m", "80 m"]
    assert ticks[1][0] == pytest.approx(100)
