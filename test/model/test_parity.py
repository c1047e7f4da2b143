"""Every number of the reference implementation, reproduced.

Two errors are held below 1e-4: the largest difference over the largest value of the map, and, for the depths in
metres, the largest difference relative to each pixel's own value (pixels below 1 mm relative to 1 mm).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from space_clip_ros.model import load_checkpoint, predict_flip_averaged

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


def test_the_references_other_switches(switched: Any) -> None:
    decoder = {
        "semantic_states": switched.decoder["main_path_indices"],
        "structural_states": switched.decoder["structural_path_indices"],
    }
    model = load_checkpoint(switched.checkpoint, encoder=switched.encoder, decoder=decoder)
    assert model.config.decoder.use_film == switched.decoder["use_film"]
    with torch.inference_mode():
        out = model(torch.from_numpy(switched.numbers["input"]), output_size=(88, 176))
    for name, ours in (("depth", out.depth), *((f"aux{index}", depth) for index, depth in enumerate(out.auxiliary))):
        theirs = switched.numbers[name]
        assert np.abs(ours.numpy() - theirs).max() <= 1e-5 * switched.numbers["depth"].std(), name


def test_intermediates_by_the_references_names(reference: Any) -> None:
    with torch.inference_mode():
        out = reference.model(reference.images, auxiliary=False, return_intermediates=True)
        plain = reference.model(reference.images, auxiliary=False)
    named = out.intermediates
    assert torch.equal(out.depth, plain.depth) and plain.intermediates is None
    check(named["pooler_output"], reference.numbers["pooled"], "pooled")
    for kind, count in (("semantic_projected", 4), ("structural_projected", 3), ("semantic_decoder", 4)):
        assert len(named[kind]) == count
        for index, ours in enumerate(named[kind]):
            check(ours, reference.numbers[f"{kind}{index}"], f"{kind}{index}")
    rows, columns = (size // 16 for size in reference.images.shape[-2:])
    assert named["patch_grid_hw"] == (rows, columns)
    assert named["semantic_layer_indices"] == (12, 9, 6, 3)
    assert named["structural_layer_indices"] == (2, 1, 0)
    sizes = [tuple(feature.shape[-2:]) for feature in named["structural_decoder"]]
    assert sizes == [(rows * 2, columns * 2), (rows * 4, columns * 4), (rows * 8, columns * 8)]
