from __future__ import annotations

import math

import pytest

from space_clip_ros.perception.scale_evidence import CAMERA_HEIGHT, POINTS, Evidence
from space_clip_ros.perception.scale_filter import PRIOR_STD, RELATIVE_STD, ScaleFilter


def says(factor: float, std: float = 0.05, source: str = POINTS, lasts_s: float = 0.0) -> Evidence:
    return Evidence(source, math.log(factor), std**2, lasts_s)


def run(filter_: ScaleFilter, evidence: list[Evidence], seconds: float, start: float = 0.0, rate: float = 0.1) -> None:
    for step in range(round(seconds * 10) + 1):
        filter_.step(start + step / 10, evidence, rate)


def test_it_starts_at_one_and_knows_how_little_it_knows() -> None:
    filter_ = ScaleFilter()
    filter_.step(5.0, [], 0.1)
    assert (filter_.factor, filter_.sigma, filter_.age_s) == (1.0, PRIOR_STD, None)


def test_the_first_evidence_weighs_as_bayes_says() -> None:
    filter_ = ScaleFilter()
    filter_.step(0.0, [says(1.2, 0.1)], 0.1)
    filter_.jump()
    gain = PRIOR_STD**2 / (PRIOR_STD**2 + 0.1**2)
    assert math.log(filter_.factor) == pytest.approx(gain * math.log(1.2))
    assert filter_.sigma == pytest.approx(PRIOR_STD * math.sqrt(1 - gain))


def test_it_arrives_at_what_evidence_says_and_never_changes_faster_than_allowed() -> None:
    filter_, last = ScaleFilter(), 1.0
    for step in range(60):
        filter_.step(step / 10, [says(1.3)], 0.1)
        assert 1.0 <= filter_.factor / last <= 1.1**0.1 * (1 + 1e-9)
        last = filter_.factor
    assert filter_.factor == pytest.approx(1.3, rel=0.01) and filter_.sigma < 0.05
    assert filter_.age_s == 0.0


def test_a_pause_gives_no_leave_to_jump() -> None:
    filter_ = ScaleFilter()
    filter_.step(0.0, [says(1.3)], 0.1)
    filter_.step(600.0, [says(1.3)], 0.1)
    assert filter_.factor == pytest.approx(1.1)


def test_without_evidence_the_factor_stays_and_becomes_less_certain() -> None:
    filter_ = ScaleFilter()
    run(filter_, [says(1.2)], 10.0)
    factor, sigma = filter_.factor, filter_.sigma
    run(filter_, [], 20.0, start=10.1)
    assert filter_.factor == pytest.approx(factor, rel=0.01)
    assert sigma < filter_.sigma <= PRIOR_STD * 1.01
    assert filter_.age_s == pytest.approx(20.1)


def test_single_wrong_evidence_is_refused_and_named() -> None:
    filter_ = ScaleFilter()
    run(filter_, [says(1.2)], 10.0)
    filter_.step(10.1, [says(3.0)], 0.1)
    assert filter_.factor == pytest.approx(1.2, rel=0.01)
    assert "factor of 3.00" in filter_.refused[POINTS]
    filter_.step(10.2, [says(1.2)], 0.1)
    assert not filter_.refused


def test_what_stays_different_for_long_is_believed() -> None:
    filter_ = ScaleFilter()
    run(filter_, [says(1.2)], 10.0)
    run(filter_, [says(2.0)], 9.0, start=10.1)
    assert filter_.factor == pytest.approx(1.2, rel=0.01)
    run(filter_, [says(2.0)], 20.0, start=19.2)
    assert filter_.factor == pytest.approx(2.0, rel=0.02)


def test_it_says_when_it_gives_in_and_while_the_factor_is_hardly_credible() -> None:
    filter_, gave_in = ScaleFilter(), []
    for step in range(300):
        filter_.step(step / 10, [says(4.0)], 0.1)
        gave_in += [filter_.gave_in] if filter_.gave_in else []
        assert bool(filter_.doubt) == (filter_.factor > math.exp(3 * PRIOR_STD))
    assert len(gave_in) == 1
    assert gave_in[0].startswith(
        "points asks for a factor of 4.00 instead of 1.00: refused for 10 s, believed from now"
    )
    assert filter_.doubt.startswith("scale_factor is 4.00, and a model's scale is seldom off by so much; check scale.")
    filter_.reset()
    assert not filter_.doubt and not filter_.gave_in


def test_no_factor_is_doubtful_for_depth_without_a_unit() -> None:
    filter_ = ScaleFilter(RELATIVE_STD)
    filter_.step(0.0, [says(20.0)], 0.1)
    filter_.jump()
    assert filter_.factor > 15 and not filter_.doubt


def test_frames_that_share_their_error_count_as_one() -> None:
    often, seldom = ScaleFilter(), ScaleFilter()
    shared = [says(1.2, 0.15, CAMERA_HEIGHT, lasts_s=5.0)]
    for step in range(51):
        often.step(step / 10, shared, 10.0)
    for step in range(2):
        seldom.step(step * 5.0, shared, 10.0)
    assert often.factor == pytest.approx(seldom.factor, rel=0.02)
    assert often.sigma == pytest.approx(seldom.sigma, rel=0.2)


def test_two_sources_are_both_used_and_the_surer_counts_more() -> None:
    filter_ = ScaleFilter()
    filter_.step(0.0, [says(1.3, 0.2, CAMERA_HEIGHT), says(1.1, 0.02)], 0.1)
    filter_.jump()
    assert 1.1 < filter_.factor < 1.12


def test_a_reset_starts_anew() -> None:
    filter_ = ScaleFilter()
    run(filter_, [says(1.2)], 10.0)
    filter_.reset()
    filter_.step(2.0, [], 0.1)
    assert (filter_.factor, filter_.sigma, filter_.age_s) == (1.0, PRIOR_STD, None)


def test_frames_a_little_out_of_order_change_nothing() -> None:
    filter_ = ScaleFilter()
    run(filter_, [says(1.2)], 10.0)
    factor = filter_.factor
    filter_.step(9.95, [], 0.1)
    assert filter_.factor == factor
