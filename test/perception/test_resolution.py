"""``depth_resolution`` for the sizes of real cameras and networks."""

from __future__ import annotations

import pytest

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.perception.resolution import depth_grid
from space_clip_ros.settings import declared

ROAD_TINY, VIT_B16 = (96, 320), (224, 224)


@pytest.mark.parametrize(
    ("resolution", "image", "network", "grid"),
    [
        ("image", (375, 1242), ROAD_TINY, EVERY_PIXEL),
        ("half", (375, 1242), ROAD_TINY, PixelGrid(2, 2)),
        ("network", (375, 1242), ROAD_TINY, PixelGrid(4, 4)),
        ("network", (720, 1280), ROAD_TINY, PixelGrid(8, 4)),
        ("network", (375, 1242), VIT_B16, PixelGrid(2, 6)),
        # an image with fewer pixels than the network's grid keeps them all
        ("network", (48, 160), ROAD_TINY, EVERY_PIXEL),
    ],
)
def test_grids(resolution: str, image: tuple[int, int], network: tuple[int, int], grid: PixelGrid) -> None:
    assert depth_grid(resolution, image, network) == grid


def test_every_choice_of_the_parameter_is_one() -> None:
    (setting,) = (item for item in declared(NodeConfig) if item.name == "depth_resolution")
    grids = {choice: depth_grid(choice, (375, 1242), ROAD_TINY) for choice in setting.choices}
    assert len(set(grids.values())) == len(grids) == 3


@pytest.mark.parametrize(("patch", "grid"), [(16, (224, 224)), (32, (112, 112)), (14, (256, 256))])
def test_the_decoder_makes_sixteen_times_the_patch_grid(patch: int, grid: tuple[int, int]) -> None:
    encoder = EncoderConfig(patch_size=patch, image_size=patch * 7)
    assert ModelConfig(encoder=encoder, decoder=DecoderConfig(), input_size=(224, 224)).depth_grid == grid
