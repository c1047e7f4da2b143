"""Probabilities and labels of patches, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.language.queries import QuerySet, closed_queries
from space_clip_ros.language.scores import check_queries, label, patch_probabilities, sample
from space_clip_ros.model_config import UNLABELLED, LanguageConfig

AXES = np.eye(3, dtype=np.float32)
CAR = QuerySet(("car",), ("road", "sky"), AXES)


def test_probabilities_are_the_softmax_over_queries_and_background() -> None:
    # Along car; between car and road; along sky.
    dense = np.stack([AXES[0], (AXES[0] + AXES[1]) / np.sqrt(2), AXES[2]]).astype(np.float32).reshape(1, 3, 3)
    car, background = patch_probabilities(dense, CAR, logit_scale=2.0)
    e, half = np.exp(2.0), np.exp(np.sqrt(2.0))
    np.testing.assert_allclose(car, [[e / (e + 2), half / (2 * half + 1), 1 / (e + 2)]], rtol=1e-6)
    # The strongest of the two, not their sum.
    np.testing.assert_allclose(background, [[1 / (e + 2), half / (2 * half + 1), e / (e + 2)]], rtol=1e-6)


def test_a_higher_temperature_brings_probabilities_together_and_the_order_stays() -> None:
    dense = AXES[None, :1]
    sharp, middle, soft = (patch_probabilities(dense, CAR, 40.0, t)[:, 0, 0] for t in (1.0, 20.0, 100.0))
    assert sharp[0] > middle[0] > soft[0] > soft[1]
    np.testing.assert_allclose(middle, patch_probabilities(dense, CAR, 2.0)[:, 0, 0], rtol=1e-6)


def test_large_scales_do_not_overflow() -> None:
    made = patch_probabilities(AXES[None], CAR, 1e4, 0.01)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made[0], [[1.0, 0.0, 0.0]])


def test_sampling_is_linear_between_patches_and_constant_outside() -> None:
    maps = np.array([[[0.0, 1.0]], [[2.0, 2.0]]], np.float32)
    # Middles of the patches lie at a quarter and at three quarters.
    made = sample(maps, np.array([0.1, 0.9]), np.array([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert made.shape == (2, 2, 5) and made.dtype == np.float32
    np.testing.assert_allclose(made[0], [[0, 0, 0.5, 1, 1]] * 2, atol=1e-6)
    np.testing.assert_allclose(made[1], 2.0, atol=1e-6)


def test_sampling_agrees_with_the_resize_that_everybody_uses() -> None:
    cv2 = pytest.importorskip("cv2")
    maps = np.random.default_rng(0).random((5, 14, 9), np.float32)
    middles = [(np.arange(size) + 0.5) / size for size in (94, 155)]
    resized = cv2.resize(maps.transpose(1, 2, 0), (155, 94), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    np.testing.assert_allclose(sample(maps, *middles), resized, atol=1e-5)


def test_a_single_patch_covers_everything() -> None:
    np.testing.assert_array_equal(sample(np.ones((1, 1, 1), np.float32), np.array([0.2]), np.array([0.0, 1.0])), 1.0)


def test_labels_need_the_threshold_and_must_beat_the_background() -> None:
    first = [0.6, 0.3, 0.45, 0.2, 0.5]
    second = [0.1, 0.5, 0.05, 0.3, 0.5]
    background = [0.3, 0.2, 0.5, 0.25, 0.0]
    made = np.array([first, second, background], np.float32)[:, None]
    labels, confidence = label(made, threshold=0.3)
    # A query, the other one, background, the other just at the threshold, and of two alike the first.
    assert labels.tolist() == [[0, 1, UNLABELLED, 1, 0]]
    assert confidence.tolist() == [[153, 128, 0, 76, 128]]
    assert labels.dtype == confidence.dtype == np.uint8
    strict, nothing = label(made, threshold=0.55)
    assert strict.tolist() == [[0, *[UNLABELLED] * 4]] and nothing[0, 1:].max() == 0


def test_a_closed_vocabulary_is_labelled_by_its_axes() -> None:
    model = LanguageConfig(outputs=("dense",), embed_dim=3, vocabulary=("road", "car", "sky"))
    made = patch_probabilities(AXES[None], closed_queries(["sky", "car"], model), model.logit_scale)
    assert label(made, 0.5)[0].tolist() == [[UNLABELLED, 1, 0]]


@pytest.mark.parametrize(
    ("queries", "reason"),
    [
        (QuerySet((), ("sky",), AXES[:1]), "are empty"),
        (QuerySet(("car",), (), AXES[:1]), "'car' alone would be found everywhere; set semantic.background"),
        (QuerySet(tuple(map(str, range(256))), (), np.eye(256, dtype=np.float32)), "may be 255 at most, got 256"),
    ],
)
def test_queries_that_cannot_be_told_apart_are_refused(queries: QuerySet, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        check_queries(queries)


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="have 3 numbers a vector, the patches 4"):
        patch_probabilities(np.ones((1, 1, 4), np.float32), CAR, 1.0)
