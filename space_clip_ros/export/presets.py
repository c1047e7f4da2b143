"""Recipes for known families of depth models, for ``space_clip adopt --preset``.

Only what their authors publish is stated: preprocessing and meaning of the output from their code, licences from their
repositories, training cameras from the data sets. Sources are named in each preset; docs/models.md lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from space_clip_ros.errors import InputError
from space_clip_ros.export.adopt_recipe import NORMALISATIONS, Recipe

_IMAGENET_MEAN, _IMAGENET_STD = NORMALISATIONS["imagenet"]
_HALF_MEAN, _HALF_STD = NORMALISATIONS["minus_one_to_one"]
_VIRTUAL_KITTI_2 = (1242.0, 375.0, 725.0087, 725.0087)
_HYPERSIM = (1024.0, 768.0, 886.81, 886.81)
_NYU = (640.0, 480.0, 518.8579, 519.4696)


@dataclass(frozen=True)
class Preset:
    """A family of models.

    Attributes:
        about: description in one line.
        camera: the camera that the family was trained on, in words.
        recipe: what is known; the user must give what is None in it.
        note: what to know before using it; may be empty.
    """

    about: str
    camera: str
    recipe: Recipe
    note: str = ""


_DEPTH_ANYTHING_V2 = Recipe(
    source="github.com/DepthAnything/Depth-Anything-V2",
    size=(518, 518),
    rule="lower_bound",
    multiple=14,
    interpolation="bicubic",
    mean=_IMAGENET_MEAN,
    std=_IMAGENET_STD,
    align_corners=True,
)
_V2_LICENCE = "Small Apache-2.0; Base, Large and Giant CC-BY-NC-4.0"
_ZOEDEPTH = Recipe(
    source="github.com/isl-org/ZoeDepth",
    licence="MIT",
    size=(384, 512),
    rule="lower_bound",
    multiple=32,
    interpolation="bilinear",
    mean=_HALF_MEAN,
    std=_HALF_STD,
    output="depth",
)


def _changed(recipe: Recipe, **facts: object) -> Recipe:
    return Recipe(**{**vars(recipe), **facts})


PRESETS: Mapping[str, Preset] = {
    "depth_anything_v2_metric_indoor": Preset(
        "Depth Anything V2, metric, fine-tuned on Hypersim",
        "Hypersim's renderer, 1024x768, 60 degrees wide",
        _changed(
            _DEPTH_ANYTHING_V2,
            output="depth",
            max_depth=20.0,
            training_camera=_HYPERSIM,
            licence=f"{_V2_LICENCE}; the metric weights carry no licence of their own",
        ),
    ),
    "depth_anything_v2_metric_outdoor": Preset(
        "Depth Anything V2, metric, fine-tuned on Virtual KITTI 2",
        "Virtual KITTI 2's renderer, 1242x375, f 725 pixels",
        _changed(
            _DEPTH_ANYTHING_V2,
            output="depth",
            max_depth=80.0,
            training_camera=_VIRTUAL_KITTI_2,
            licence=f"{_V2_LICENCE}; the metric weights carry no licence of their own",
        ),
    ),
    "depth_anything_v2_relative": Preset(
        "Depth Anything V2: relative inverse depth",
        "many, unknown",
        _changed(_DEPTH_ANYTHING_V2, output="relative", licence=_V2_LICENCE),
        "its output also has an unknown offset, which no factor corrects: far depth is the least certain",
    ),
    "depth_anything_v3_metric": Preset(
        "Depth Anything 3 Metric (DA3METRIC-LARGE)",
        "canonical: f 300 pixels at the network's size",
        Recipe(
            source="github.com/ByteDance-Seed/Depth-Anything-3",
            licence="Apache-2.0",
            size=(504, 504),
            rule="upper_bound",
            multiple=14,
            interpolation="bilinear",
            antialias=True,
            mean=_IMAGENET_MEAN,
            std=_IMAGENET_STD,
            output="depth",
            depth_output="depth",
            canonical_focal=300.0,
            max_depth=200.0,
        ),
        "depth is metric only where camera_info is known; the sky output is not used",
    ),
    "metric3d_v2": Preset(
        "Metric3D v2, exported with its own script, which normalises in the graph",
        "canonical: f 1000 pixels at the network's size",
        Recipe(
            source="github.com/YvanYin/Metric3D",
            licence="BSD-2-Clause; its authors ask commercial users to write to them",
            size=(616, 1064),
            rule="pad",
            interpolation="bilinear",
            mean=NORMALISATIONS["bytes"][0],
            std=NORMALISATIONS["bytes"][1],
            border=(123.675, 116.28, 103.53),
            output="depth",
            depth_output="pred_depth",
            canonical_focal=1000.0,
            min_depth=0.1,
            max_depth=200.0,
        ),
        "depth is metric only where camera_info is known; an export without normalisation needs --normalise imagenet",
    ),
    "unidepth_v2": Preset(
        "UniDepth v2, exported with its own script, without camera",
        "many; the network estimates the camera itself",
        Recipe(
            source="github.com/lpiccinelli-eth/UniDepth",
            licence="CC-BY-NC-4.0",
            size=(462, 616),
            rule="pad",
            interpolation="bilinear",
            mean=_IMAGENET_MEAN,
            std=_IMAGENET_STD,
            border=tuple(255.0 * value for value in _IMAGENET_MEAN),  # type: ignore[arg-type]
            output="depth",
            depth_output="depth",
        ),
        "its output 'confidence' is not used: its authors do not say which way it points",
    ),
    "zoedepth": Preset(
        "ZoeDepth NK, for indoor and outdoor scenes",
        "NYU's and KITTI's, chosen by the network",
        _changed(_ZOEDEPTH, max_depth=80.0),
    ),
    "zoedepth_indoor": Preset(
        "ZoeDepth N, fine-tuned on NYU Depth V2",
        "NYU's Kinect, 640x480, f 519 pixels",
        _changed(_ZOEDEPTH, max_depth=10.0, training_camera=_NYU),
    ),
    "zoedepth_outdoor": Preset(
        "ZoeDepth K, fine-tuned on KITTI",
        "KITTI's, of several days",
        _changed(_ZOEDEPTH, max_depth=80.0),
    ),
    "moge": Preset(
        "MoGe: points up to scale and offset (MoGe-2's ONNX export)",
        "many; the network estimates the camera itself",
        Recipe(
            source="github.com/microsoft/MoGe",
            licence="MIT, its DINOv2 code Apache-2.0",
            size=(518, 518),
            rule="lower_bound",
            multiple=14,
            interpolation="bilinear",
            antialias=True,
            mean=NORMALISATIONS["zero_to_one"][0],
            std=NORMALISATIONS["zero_to_one"][1],
            output="relative_depth",
            depth_output="points",
            channel=2,
        ),
        "the ONNX file leaves out the step that finds the offset of depth and with it the metres, so depth is relative "
        "and off by --shift; a file with dynamic tokens needs --set num_tokens=1800",
    ),
}


def preset(name: str) -> Preset:
    """Return the preset with a name.

    Raises:
        InputError: there is none; the known ones are listed.
    """
    if name not in PRESETS:
        raise InputError("--preset", f"must be one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]
