from __future__ import annotations

import numpy as np

from space_clip_ros.tools.lerobot.statistics import EpisodeStatistics, combined


def test_color_is_per_channel_between_0_and_1() -> None:
    statistics = EpisodeStatistics()
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4, :, 0] = 255
    image[..., 2] = 51
    for _ in range(3):
        statistics.add_color("image", image)
    result = statistics.result()["image"]
    assert result["mean"].shape == (3, 1, 1)
    np.testing.assert_allclose(result["mean"].ravel(), [0.5, 0.0, 0.2])
    np.testing.assert_allclose(result["std"].ravel(), [0.5, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(result["max"].ravel(), [1.0, 0.0, 0.2])
    assert result["count"].tolist() == [3]


def test_invalid_depth_is_left_out() -> None:
    statistics = EpisodeStatistics()
    statistics.add_depth("depth", np.array([[0, 1000], [0, 3000]], np.uint16))
    statistics.add_depth("empty", np.zeros((2, 2), np.uint16))
    result = statistics.result()
    assert result["depth"]["min"].tolist() == [[[1000.0]]]
    assert result["depth"]["mean"].tolist() == [[[2000.0]]]
    assert result["depth"]["q50"].tolist() == [[[2000.0]]]
    assert result["empty"]["max"].tolist() == [[[0.0]]]


def test_a_large_image_is_sampled_evenly() -> None:
    statistics = EpisodeStatistics()
    ramp = np.repeat(np.arange(1, 1001, dtype=np.uint16)[None], 400, axis=0)
    statistics.add_depth("depth", ramp)
    np.testing.assert_allclose(statistics.result()["depth"]["mean"].ravel(), [500.5], rtol=0.02)


def test_episodes_combine_to_the_statistics_of_all_their_frames() -> None:
    random = np.random.default_rng(3)
    parts = [random.normal(size=(count, 4)) for count in (5, 50, 500)]
    episodes = []
    for part in parts:
        statistics = EpisodeStatistics()
        for vector in part:
            statistics.add_vector("state", vector)
        episodes.append(statistics.result())
    result, whole = combined(episodes)["state"], np.concatenate(parts)
    np.testing.assert_allclose(result["mean"], whole.mean(0))
    np.testing.assert_allclose(result["std"], whole.std(0))
    np.testing.assert_array_equal(result["min"], whole.min(0))
    np.testing.assert_array_equal(result["max"], whole.max(0))
    assert result["count"].tolist() == [555]
    np.testing.assert_array_equal(result["q01"], np.min([episode["state"]["q01"] for episode in episodes], axis=0))
    np.testing.assert_array_equal(result["q99"], np.max([episode["state"]["q99"] for episode in episodes], axis=0))
