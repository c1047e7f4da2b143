"""How much two runs of a graph may differ, and the images they are compared on."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.self_check import (
    ENGINE_TOLERANCES,
    Agreement,
    check_pictures,
    compare_runs,
    relative_difference,
)

PICTURES = check_pictures(60, 100)


def brightness(image: Rgb) -> Depth:
    return image.mean(axis=2, dtype=np.float32) / 10 + 1


def scaled(factor: float) -> Agreement:
    return compare_runs(lambda image: brightness(image) * np.float32(factor), brightness, PICTURES)


def test_the_same_twice() -> None:
    agreement = scaled(1.0)
    assert agreement == Agreement(0.0, 0.0, 0.0, True, 3)
    assert all(agreement.problem(precision) == "" for precision in ENGINE_TOLERANCES)


def test_the_numbers() -> None:
    agreement = scaled(1.25)
    assert agreement.mean_relative == pytest.approx(0.25, rel=1e-5)
    assert agreement.tail_relative == pytest.approx(0.25, rel=1e-5)
    assert agreement.largest_m == pytest.approx(0.25 * max(brightness(image).max() for image in PICTURES), rel=1e-5)


@pytest.mark.parametrize(("precision", "mean"), [(name, mean) for name, (mean, _) in ENGINE_TOLERANCES.items()])
def test_the_mean_is_judged_by_precision(precision: str, mean: float) -> None:
    assert scaled(1 + 0.9 * mean).problem(precision) == ""
    problem = scaled(1 + 1.2 * mean).problem(precision)
    assert problem.startswith("it differs from ONNX Runtime by mean ")
    assert f"accepted for {precision} are {mean:g} and " in problem


def test_the_tail_is_judged_and_single_pixels_are_not() -> None:
    def with_spots(count: int) -> Agreement:
        def candidate(image: Rgb) -> Depth:
            depth = brightness(image)
            depth.reshape(-1)[:count] *= 3
            return depth

        return compare_runs(candidate, brightness, PICTURES)

    few, many = with_spots(3), with_spots(30)  # of 6000
    assert few.problem("fp16") == "" and few.largest_m > 1
    assert "99.9th percentile 2," in many.problem("fp16")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_depth_that_is_not_finite(value: float) -> None:
    def candidate(image: Rgb) -> Depth:
        depth = brightness(image)
        depth[3, 4] = value
        return depth

    agreement = compare_runs(candidate, brightness, PICTURES)
    assert not agreement.finite
    assert "not finite" in agreement.problem("fp16")


def test_a_reference_that_proves_nothing() -> None:
    with pytest.raises(BackendError, match="says 0 m everywhere"):
        compare_runs(brightness, lambda image: brightness(image) * 0, PICTURES)
    with pytest.raises(BackendError, match="ONNX Runtime's depth is not finite"):
        compare_runs(brightness, lambda image: brightness(image) * np.float32(np.nan), PICTURES)


def test_a_relative_difference_has_a_floor() -> None:
    correct = np.array([[[0.0, 1.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]], np.float32)
    computed = correct + np.array([[0.02, 0.1], [0.3, 0.0]], np.float32)
    found = relative_difference(computed, correct, least=0.1)
    # 1 % of the first map's mean of 2 is less than 0.1, which is also the floor of the second map.
    np.testing.assert_allclose(found, [[[0.2, 0.1], [0.1, 0.0]], [[0.2, 1.0], [3.0, 0.0]]], rtol=1e-5)
    np.testing.assert_allclose(relative_difference(computed, correct)[0], [[1.0, 0.1], [0.1, 0.0]], rtol=1e-5)


def test_the_images_are_the_same_every_time() -> None:
    again = check_pictures(60, 100)
    assert len(again) == 3
    for first, other in zip(PICTURES, again, strict=True):
        assert first.shape == (60, 100, 3) and first.dtype == np.uint8
        assert hashlib.sha256(first.tobytes()).digest() == hashlib.sha256(other.tobytes()).digest()
    assert len({picture.tobytes() for picture in PICTURES}) == 3
