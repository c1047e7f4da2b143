"""Every preset is complete, and says where it comes from."""

from __future__ import annotations

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.export.adopt_recipe import check_recipe
from space_clip_ros.export.presets import PRESETS, preset

ASKED = {"unidepth_v2": "--max-depth METRES"}
"""What presets cannot know."""


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_its_source_and_asks_for_what_it_cannot_know(name: str) -> None:
    found = preset(name)
    if name in ASKED:
        with pytest.raises(InputError, match=f"lacks {ASKED[name]};"):
            check_recipe(found.recipe, None)
    else:
        check_recipe(found.recipe, None)
    assert found.about and found.camera and found.recipe.licence
    assert found.recipe.source.startswith("github.com/")
    assert found.recipe.relative == name.endswith(("relative", "moge"))


def test_canonical_cameras_are_of_the_networks_size() -> None:
    assert preset("metric3d_v2").recipe.camera() == (1064.0, 616.0, 1000.0, 1000.0)
    assert preset("depth_anything_v3_metric").recipe.camera() == (504.0, 504.0, 300.0, 300.0)
    assert preset("unidepth_v2").recipe.camera() == ()


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="metric3d_v2, unidepth_v2"):
        preset("midas")
