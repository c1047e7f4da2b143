from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.synthetic.atlas import Atlas


def sample(atlas: Atlas, texture: int, u: float, v: float, level: int) -> list[int]:
    arrays = (np.array([texture], np.int32), *(np.array([value], np.float32) for value in (u, v)))
    return atlas.sample(*arrays, np.array([level], np.int32), np.zeros((2, 1), np.float32))[0].tolist()


@pytest.fixture
def atlas() -> Atlas:
    atlas = Atlas()
    checker = np.full((4, 4, 4), 255, np.uint8)
    checker[..., :3] = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 10
    atlas.add("numbers", checker)
    atlas.add("blank", np.full((8, 8, 4), (10, 20, 30, 40), np.uint8))
    return atlas


def test_texels_by_row_and_column(atlas: Atlas) -> None:
    texture = atlas.index("numbers")
    assert sample(atlas, texture, 0.1, 0.1, 0) == [0, 0, 0, 255]
    assert sample(atlas, texture, 0.9, 0.1, 0) == [30, 30, 30, 255]
    assert sample(atlas, texture, 0.1, 0.6, 0) == [80, 80, 80, 255]


def test_coordinates_repeat_below_zero_too(atlas: Atlas) -> None:
    texture = atlas.index("numbers")
    assert sample(atlas, texture, 5.9, -0.9, 0) == sample(atlas, texture, 0.9, 0.1, 0)


def test_levels_are_means_and_stop_at_one_pixel(atlas: Atlas) -> None:
    texture = atlas.index("numbers")
    assert sample(atlas, texture, 0.1, 0.1, 1)[0] == 25  # mean of 0, 10, 40, 50
    assert sample(atlas, texture, 0.1, 0.1, 2)[0] == 75
    assert sample(atlas, texture, 0.7, 0.7, 99)[0] == 75
    assert sample(atlas, texture, 0.1, 0.1, -3)[0] == 0


def test_levels_of_a_texture_do_not_reach_into_the_next(atlas: Atlas) -> None:
    for level in range(5):
        assert sample(atlas, atlas.index("blank"), 0.3, 0.8, level) == [10, 20, 30, 40]
    assert atlas.brightness[1] == pytest.approx(20 / 255)
    assert atlas.family("b") == ["blank"]
    assert atlas.pick_variant(np.random.default_rng(0), "b") == 1


@pytest.mark.parametrize("shape", [(4, 8, 4), (6, 6, 4), (4, 4, 3), (4096, 4096, 4)])
def test_textures_of_another_shape_are_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="power of two"):
        Atlas().add("odd", np.zeros(shape, np.uint8))
