from __future__ import annotations

import numpy as np

from space_clip_ros.evaluation.pictures import comparison


def test_four_panels_and_larger_errors_are_brighter():
    image = np.full((20, 30, 3), 50, np.uint8)
    truth = np.full((20, 30), np.nan, np.float32)
    truth[4, 5] = truth[15, 25] = 10.0
    prediction = np.full((20, 30), 10.2, np.float32)
    prediction[15, 25] = 14.0
    picture = comparison(image, prediction, truth, 80.0)
    assert picture.shape == (80, 30, 3)
    np.testing.assert_array_equal(picture[:20], image)
    shown_truth, error = picture[40:60], picture[60:]
    # Dots of three pixels, black elsewhere.
    assert (shown_truth.any(axis=-1)).sum() == 18
    assert error[15, 25].sum() > error[4, 5].sum() > 0
    assert not error[10, 15].any()


def test_large_errors_are_drawn_as_bright_as_the_scale_goes():
    truth = np.full((1, 16), np.nan, np.float32)
    truth[0, 1::4] = 10.0
    prediction = np.full((1, 16), 10.0, np.float32)
    prediction[0, 1::4] = 14.0, 15.0, 19.0, 40.0
    error = comparison(np.zeros((1, 16, 3), np.uint8), prediction, truth, 80.0)[3]
    below, *largest = error[1::4].sum(axis=-1)
    assert largest == [largest[0]] * 3 and largest[0] > below > 0
