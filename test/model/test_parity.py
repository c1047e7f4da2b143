"""Every number of the reference implementation, reproduced.

Two errors are held below 1e-4: the largest difference over the largest value of the map, and, for the depths in
metres, the largest difference relative to each pixel's own value (pixels below 1 mm relative to 1 mm).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from space_clip_ros.model import predict_flip_averaged

TOLERANCE = 1e-4
MILLIMETRE = 1e-3


def check(ours: torch.Tensor, theirs: npt.NDArray[np.float32], name: str) -> None:
    assert tuple(ours.shape) == theirs.shape, name
    difference = np.abs(ours.numpy() - theirs).max()
    assert difference <= TOLERANCE * np.abs(theirs).max(), f"{name}: {difference}"


def check_each_pixel(ours: torch.Tensor, theirs: npt.NDArray[np.float32]) -> None:
    relative = np.abs(ours.numpy() - theirs) / np.maximum(theirs, MILLIMETRE)
    assert relative.max() < TOLERANCE


def test_depth_auxiliary_maps_and_context(reference: Any) -> None:
    with torch.inference_mode():
        out = reference.model(reference.images, output_size=reference.output_size)
    check(out.depth, reference.numbers["depth"], "depth")
    check_each_pixel(out.depth, reference.numbers["depth"])
    check(out.context, reference.numbers["pooled"], "pooled")
    assert len(out.auxiliary) == 3
    for index, depth in enumerate(out.auxiliary):
        check(depth, reference.numbers[f"aux{index}"], f"aux{index}")


def test_flip_averaged_depth(reference: Any) -> None:
    with torch.inference_mode():
        depth = predict_flip_averaged(reference.model, reference.images, reference.output_size)
    check(depth, reference.numbers["depth_flip_tta"], "depth_flip_tta")
    check_each_pixel(depth, reference.numbers["depth_flip_tta"])


def test_every_intermediate(reference: Any) -> None:
    with torch.inference_mode():
        features = reference.model.features(reference.images)
    check(features.context, reference.numbers["pooled"], "pooled")
    for kind, count in (("semantic_projected", 4), ("structural_projected", 3), ("semantic_decoder", 4)):
        maps = getattr(features, kind)
        assert len(maps) == count
        for index, ours in enumerate(maps):
            check(ours, reference.numbers[f"{kind}{index}"], f"{kind}{index}")
