"""Words to places, end to end, with a CLIP that learnt coloured shapes from captions and depth from a decoder on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.locate import LocatedQuery
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.language.text_encoder import TextEncoder

RED, BLUE, GREEN, YELLOW = range(4)
SCENES = [
    [(RED, -1.2, 0.3, 4.5), (BLUE, 2.2, -0.5, 7.0)],
    [(BLUE, -1.3, -0.4, 4.5), (RED, 2.0, 0.8, 7.0)],
    [(GREEN, 0.8, 0.5, 4.0), (YELLOW, -2.2, -1.0, 7.0)],
    [(YELLOW, 1.0, 0.6, 4.5), (GREEN, -2.0, 0.0, 6.5)],
]
"""Of each shape its kind, and x, y and z of its middle, metres."""
# Training takes about 20 s, and many times that on a busy machine.
pytestmark = pytest.mark.timeout(1200)


class Files(NamedTuple):
    """A model, and the text tower for it."""

    model: Path
    text: Path


@pytest.fixture(scope="module")
def files(toy_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Files:
    for library in ("tokenizers", "onnx"):
        pytest.importorskip(library)
    from space_clip_ros.export.onnx import export
    from space_clip_ros.export.text import export_text

    folder = tmp_path_factory.mktemp("toy")
    scenes = [[toy_clip.Shape(*shape) for shape in shapes] for shapes in SCENES]
    clip = toy_clip.trained_clip(folder / "clip.pt", steps=150)
    export(toy_clip.trained_model(clip, folder / "clip.pt", scenes, steps=80), folder / "model.onnx")
    export_text(clip, folder / "text.onnx", templates="none")
    return Files(folder / "model.onnx", folder / "text.onnx")


@pytest.fixture(scope="module")
def words(toy_clip: Any, files: Files) -> Callable[..., QuerySet]:
    encoder = TextEncoder(files.text)

    def encode(*names: str) -> QuerySet:
        others = [name for name in toy_clip.SHAPES if name not in names]
        return encoder.encode(names, background=[toy_clip.WALL, *others])

    return encode


@pytest.fixture(scope="module")
def locate(toy_clip: Any, files: Files, words: Callable[..., QuerySet]) -> Iterator[Callable[..., list[LocatedQuery]]]:
    with load_predictor(files.model, threads=1) as predict:

        def find(shapes: list[tuple[int, float, float, float]], *names: str) -> list[LocatedQuery]:
            picture, _ = toy_clip.drawn([toy_clip.Shape(*shape) for shape in shapes], np.random.default_rng(3))
            return predict.locate(picture, words(*names), toy_clip.CAMERA)

        yield find


def bearing(x: float, z: float) -> float:
    return float(np.degrees(np.arctan2(x, z)))


@pytest.mark.parametrize("shapes", SCENES)
def test_a_word_is_answered_with_the_place_of_its_shape(shapes: Any, toy_clip: Any, locate: Any) -> None:
    result = locate(shapes, *(toy_clip.SHAPES[kind] for kind, *_ in shapes))
    for (kind, x, y, z), located in zip(shapes, result, strict=True):
        assert located.name == toy_clip.SHAPES[kind] and located.score > 0.8
        # A patch is 7 degrees wide.
        assert bearing(located.center[0], located.center[2]) == pytest.approx(bearing(x, z), abs=6.0)
        assert bearing(located.center[1], located.center[2]) == pytest.approx(bearing(y, z), abs=6.0)
        assert located.center[2] == pytest.approx(z, rel=0.3) and located.center[2] < 0.75 * toy_clip.WALL_M
    # Each scene has its nearer shape first.
    assert result[0].center[2] < result[1].center[2]


@pytest.mark.parametrize("shapes", SCENES)
def test_a_word_for_what_is_not_there_finds_next_to_nothing(shapes: Any, toy_clip: Any, locate: Any) -> None:
    shown = [toy_clip.SHAPES[kind] for kind, *_ in shapes]
    absent = [name for name in toy_clip.SHAPES if name not in shown]
    results = {located.name: int(located.mask.sum()) for located in locate(shapes, *absent, *shown)}
    assert sum(results[name] for name in absent) < 0.1 * sum(results[name] for name in shown)
