"""Words to places, end to end, with a CLIP that learnt coloured shapes from captions and depth from a decoder on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.locate import LocatedQuery
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.language.text_encoder import TextEncoder

# The shapes' pair may have to be trained first.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def words(toy_clip: Any, toy_pair: Path) -> Callable[..., QuerySet]:
    encoder = TextEncoder(toy_pair / "text.onnx")

    def encode(*names: str) -> QuerySet:
        others = [name for name in toy_clip.SHAPES if name not in names]
        return encoder.encode(names, background=[toy_clip.WALL, *others])

    return encode


@pytest.fixture(scope="module")
def locate(
    toy_clip: Any, toy_pair: Path, words: Callable[..., QuerySet]
) -> Iterator[Callable[..., list[LocatedQuery]]]:
    with load_predictor(toy_pair / "model.onnx", threads=1) as predict:

        def find(shapes: Sequence[Any], *names: str) -> list[LocatedQuery]:
            picture, _ = toy_clip.drawn(shapes, np.random.default_rng(3))
            return predict.locate(picture, words(*names), toy_clip.CAMERA)

        yield find


def bearing(x: float, z: float) -> float:
    return float(np.degrees(np.arctan2(x, z)))


@pytest.mark.parametrize("scene", range(4))
def test_a_word_is_answered_with_the_place_of_its_shape(scene: int, toy_clip: Any, locate: Any) -> None:
    shapes = toy_clip.SCENES[scene]
    result = locate(shapes, *(toy_clip.SHAPES[kind] for kind, *_ in shapes))
    for (kind, x, y, z), located in zip(shapes, result, strict=True):
        assert located.name == toy_clip.SHAPES[kind] and located.score > 0.8
        # A patch is 7 degrees wide.
        assert bearing(located.center[0], located.center[2]) == pytest.approx(bearing(x, z), abs=6.0)
        assert bearing(located.center[1], located.center[2]) == pytest.approx(bearing(y, z), abs=6.0)
        assert located.center[2] == pytest.approx(z, rel=0.3) and located.center[2] < 0.75 * toy_clip.WALL_M
    # Each scene has its nearer shape first.
    assert result[0].center[2] < result[1].center[2]


@pytest.mark.parametrize("scene", range(4))
def test_a_word_for_what_is_not_there_finds_next_to_nothing(scene: int, toy_clip: Any, locate: Any) -> None:
    shapes = toy_clip.SCENES[scene]
    shown = [toy_clip.SHAPES[kind] for kind, *_ in shapes]
    absent = [name for name in toy_clip.SHAPES if name not in shown]
    results = {located.name: int(located.mask.sum()) for located in locate(shapes, *absent, *shown)}
    assert sum(results[name] for name in absent) < 0.1 * sum(results[name] for name in shown)
