"""A whole CLIP, against the reference's numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from space_clip_ros.errors import InputError, ModelError  # noqa: E402
from space_clip_ros.language import load_clip  # noqa: E402


def test_features_and_similarities_are_the_reference_s(clip: Any, reference: dict[str, Any], shared_dir: Path) -> None:
    texts = json.loads((shared_dir / "reference" / "language_clip_tiny.json").read_text(encoding="utf-8"))["texts"]
    features, text = clip.image(torch.from_numpy(reference["input"])), clip.text(texts)
    for ours, theirs in (
        (features.embedding, "image_embedding"),
        (features.dense, "dense"),
        (text, "text_embedding"),
        (features.dense @ text.T, "similarity"),
    ):
        np.testing.assert_allclose(ours.numpy(), reference[theirs], rtol=0, atol=1e-5)


def test_templates_are_averaged_and_scaled_again(clip: Any) -> None:
    sentences = clip.text(["a red car.", "one car"])
    expected = sentences.mean(dim=0) / sentences.mean(dim=0).norm()
    vectors = clip.text(["car"], templates=["a red {}.", "one {}"])
    np.testing.assert_allclose(vectors[0].numpy(), expected.numpy(), atol=1e-6)
    assert clip.text(["car"], templates="imagenet").shape == (1, 48)
    with pytest.raises(InputError, match=r"'a car' must have one \{\} where the name goes"):
        clip.text(["car"], templates=["a car"])
    with pytest.raises(InputError, match="templates: are empty; give at least"):
        clip.text(["car"], templates=[])
    with pytest.raises(
        InputError, match="templates: 'nonsense' is not a set of templates; choose from imagenet, none, or"
    ):
        clip.text(["car"], templates="nonsense")
    with pytest.raises(InputError, match="queries: must be a sequence of texts, got 'car'"):
        clip.text("car")
    with pytest.raises(InputError, match="queries: must not be empty"):
        clip.text([" "])


def test_queries_carry_the_tower_s_hash_and_names_once(clip: Any) -> None:
    queries = clip.queries(["traffic cone", "Tür"], ["sky"], templates="none")
    assert (queries.names, queries.background, queries.tower) == (("traffic cone", "Tür"), ("sky",), clip.tower)
    np.testing.assert_allclose(np.linalg.norm(queries.vectors, axis=1), 1.0, atol=1e-6)
    queries.check(clip.settings.language.__class__(("dense",), 48, tower=clip.tower))
    for twice in ("sky", "Sky", " sky"):
        with pytest.raises(InputError, match=f"'{twice}' and 'sky' have the same vector, so neither would be found"):
            clip.queries([twice], ["sky"])


def test_other_sizes_interpolate_and_windows_are_averaged(clip: Any) -> None:
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    assert clip.image(images).dense.shape == (1, 4, 6, 48)
    features = clip.image(images, window=64, stride=32)
    left, right = clip.image(images[..., :64]).dense, clip.image(images[..., 32:]).dense
    np.testing.assert_allclose(features.dense[:, :, :2], left[:, :, :2], atol=1e-6)
    middle = torch.nn.functional.normalize(left[:, :, 2:4] + right[:, :, :2], dim=-1)
    np.testing.assert_allclose(features.dense[:, :, 2:4], middle, atol=1e-6)
    with pytest.raises(InputError, match="windows: need stride <= window <= size"):
        clip.image(images, window=128, stride=32)
    for window, stride in ((64, 24), (56, 16)):
        with pytest.raises(InputError, match="windows: height, width, window and stride must be multiples of"):
            clip.image(images, window, stride)


def test_files_that_are_no_whole_clip_are_refused(shared_dir: Path, tmp_path: Path) -> None:
    settings = shared_dir / "reference" / "language_clip_tiny.json"
    state = torch.load(shared_dir / "reference" / "language_clip_tiny_open_clip.pt")
    vision = {name: tensor for name, tensor in state.items() if name.startswith("visual.")}
    torch.save(vision, tmp_path / "vision.pt")
    with pytest.raises(ModelError, match=r"holds no text tower: ln_final\.bias, .* give a whole CLIP"):
        load_clip(tmp_path / "vision.pt", settings)
    del vision["visual.proj"]
    torch.save(vision, tmp_path / "headless.pt")
    with pytest.raises(ModelError, match="has no projection to the space that text shares"):
        load_clip(tmp_path / "headless.pt", settings)
    with pytest.raises(ModelError, match=r"its settings cannot be used .*only CLIP's own towers"):
        load_clip(tmp_path / "vision.pt", {"embed_dim": 4, "vision": {}, "text": {"hf_model_name": "x"}})
    with pytest.raises(ModelError, match="its settings cannot be used"):
        load_clip(tmp_path / "vision.pt", tmp_path / "missing.json")
