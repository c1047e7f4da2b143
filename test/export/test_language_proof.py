"""Language features of exported files, judged by themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.language_proof import LanguageDifference, LanguageSeen, check_language
from space_clip_ros.export.onnx import export
from space_clip_ros.export.precision import DriveFrames
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.model import SpaceClip
from space_clip_ros.model_config import LanguageConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 40, 60, 3), dtype=np.uint8)
JOINT = LanguageConfig(outputs=("embedding", "dense"), embed_dim=24)
CLOSED = LanguageConfig(outputs=("dense",), embed_dim=3, vocabulary=("road", "car", "sky"))


@pytest.mark.parametrize("language", [JOINT, CLOSED], ids=["joint", "closed"])
@pytest.mark.parametrize(("precision", "cosine"), [("fp32", 0.99999), ("fp16", 0.999), ("int8", 0.97)])
def test_each_precision_is_judged(
    language: LanguageConfig, precision: str, cosine: float, tiny_model: Callable[..., SpaceClip], tmp_path: Path
) -> None:
    evidence = DriveFrames("noise", IMAGES[:2], IMAGES[2:], lambda predict: float(predict(IMAGES[2]).mean()))
    report = export(tiny_model(language=language), tmp_path / "a.onnx", 40, 60, precision=precision, evidence=evidence)
    found = report.proof.language
    assert found is not None and cosine <= found.mean_cosine <= 1.00001 and found.least_cosine <= found.mean_cosine
    metadata = OnnxSessions(report.path).metadata
    assert metadata.language_cosine == pytest.approx(found.mean_cosine, abs=1e-5)
    assert metadata.label_agreement == pytest.approx(found.agreement, abs=1e-4)
    assert metadata.outputs == ("depth", *[name for name in ("embedding", "dense") if name in language.outputs])


def test_outputs_are_chosen_at_export(tiny_model: Callable[..., SpaceClip], tmp_path: Path) -> None:
    model = tiny_model(language=JOINT)
    report = export(model, tmp_path / "depth.onnx", 40, 60, outputs=["depth"])
    assert report.proof.language is None and report.metadata.outputs == ("depth",)
    assert report.metadata.language_cosine is None and not report.metadata.config.language.outputs
    assert list(OnnxSessions(report.path).estimate(IMAGES[:1])) == ["depth"]
    assert list(model.config.outputs) == ["depth", "embedding", "dense"]
    with pytest.raises(InputError, match="model tiny: has no dense; give CLIP's weights with --clip"):
        export(tiny_model(), tmp_path / "no.onnx", 40, 60, outputs=["depth", "dense"])
    other = QuerySet(("car",), (), np.eye(24, dtype=np.float32)[:1], "another tower")
    with pytest.raises(InputError, match="are for tower another towe with 24 numbers"):
        export(model, tmp_path / "no.onnx", 40, 60, queries=other)


def test_labels_and_cosines_by_hand() -> None:
    expected = np.array([[[[1.0, 0.0], [0.0, 1.0]]]], np.float32)
    turned = np.array([[[[0.6, 0.8], [0.0, 1.0]]]], np.float32)
    seen = LanguageSeen(np.eye(2, dtype=np.float32))
    seen.add("dense", turned, expected)
    found = seen.difference(1)
    assert (found.mean_cosine, found.least_cosine, found.agreement) == (pytest.approx(0.8), pytest.approx(0.6), 0.5)
    with pytest.raises(ExportError, match=r"cosine with PyTorch's 0\.80000 on average, 0\.6000 at the worst patch; 50"):
        check_language(found, "int8")
    check_language(LanguageDifference(0.98, 0.5, 0.95, 1), "int8")
    with pytest.raises(ExportError, match="or depth alone with --outputs depth"):
        check_language(LanguageDifference(1.0, 1.0, 0.89, 1), "int8")
