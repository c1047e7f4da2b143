"""Exports of lower precision: made, checked, described in the file, and refused with the numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros.errors import BackendError, ExportError, InputError
from space_clip_ros.export import fp16_emulation
from space_clip_ros.export import precision as precisions
from space_clip_ros.export.onnx import ExportReport, export
from space_clip_ros.export.precision import DriveFrames, Predict
from space_clip_ros.export.proof import Difference, Differences
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.image_to_depth import ImageToEstimate

SIZE = (40, 60)
IMAGES = synthetic_images(*SIZE)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def drive(abs_rel: Callable[[Predict], float]) -> DriveFrames:
    return DriveFrames("a street, 2 + 1 frames", IMAGES[:2], IMAGES[1:2], abs_rel)


def from_ten_metres(predict: Predict) -> float:
    """Return abs_rel; the ground truth is a wall at 10 m."""
    return float(np.abs(predict(IMAGES[1]) / 10.0 - 1.0).mean())


@pytest.fixture(scope="module")
def int8(model: SpaceClip, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    folder = tmp_path_factory.mktemp("int8")
    return export(model, folder / "a.onnx", *SIZE, precision="int8", evidence=drive(from_ten_metres))


def test_int8_is_proved_by_the_held_out_frames(int8: ExportReport) -> None:
    assert int8.proof.difference.images == 1
    assert 0 < int8.proof.difference.mean < 0.05 and int8.proof.largest_fp16 is None
    before, after = int8.proof.abs_rel
    assert 0 < abs(after - before) < 0.01 * before


def test_the_file_says_how_it_was_made(int8: ExportReport) -> None:
    metadata = OnnxSessions(int8.path).metadata
    assert metadata.precision == "int8" and metadata.drive == "a street, 2 + 1 frames"
    assert metadata.abs_rel == pytest.approx(int8.proof.abs_rel, rel=1e-3)
    assert metadata.mean_difference == pytest.approx(int8.proof.difference.mean, rel=0.01)


def test_a_predictor_runs_it_and_knows_its_precision(int8: ExportReport) -> None:
    with load_predictor(int8.path, precision="int8", threads=1) as predictor:
        assert predictor.info.precision == "int8"
        assert predictor(IMAGES[0]).shape == SIZE
    with pytest.raises(BackendError, match=r"precision fp32: .* runs in int8 .*exported with --precision fp32"):
        load_predictor(int8.path, precision="fp32")


def test_fp16_is_proved_with_its_own_rounding(model: SpaceClip, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    evidence = drive(from_ten_metres)
    report = export(
        model,
        tmp_path / "a.onnx",
        *SIZE,
        precision="fp16",
        evidence=evidence,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert report.proof.difference.images == 4  # three made up, one held out
    assert 1e-6 < report.proof.difference.mean < 0.01
    assert 0 < report.proof.largest_fp16 < 65504
    metadata = OnnxSessions(report.path).metadata
    assert metadata.precision == "fp16"
    assert metadata.largest_fp16 == pytest.approx(report.proof.largest_fp16, rel=1e-3)
    assert steps == [(done, 11) for done in range(1, 12)]


def test_fp16_that_overflows_is_refused(model: SpaceClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fp16_emulation, "LARGEST", 1.0)
    with pytest.raises(ExportError, match=r"a\.onnx: not written, as a value reaches \S+, and fp16 ends at 1; export"):
        export(model, tmp_path / "a.onnx", *SIZE, precision="fp16", images=IMAGES[:1])
    assert not list(tmp_path.iterdir())


def test_fp16_whose_weights_do_not_fit_is_refused(model: SpaceClip, tmp_path: Path) -> None:
    large = build(model.config)
    large.load_state_dict(model.state_dict())
    with torch.no_grad():
        large.decoder.semantic_projections[0].weight.fill_(1e5)
    with pytest.raises(ExportError, match=r"a\.onnx: not written, as weight \S+ holds 1e\+05, more than fp16's 65504"):
        export(large, tmp_path / "a.onnx", *SIZE, precision="fp16")
    assert not list(tmp_path.iterdir())


def test_a_changed_abs_rel_is_refused_with_the_numbers(model: SpaceClip, tmp_path: Path) -> None:
    errors = iter((0.1, 0.1015))

    def worse(predict: Predict) -> float:
        predict(IMAGES[1])
        return next(errors)

    with pytest.raises(ExportError, match=r"not written, as abs_rel on 1 .* from 0\.1000 to 0\.1015, by \+1\.50%"):
        export(model, tmp_path / "a.onnx", *SIZE, precision="int8", evidence=drive(worse))
    assert not list(tmp_path.iterdir())


def test_a_mean_difference_beyond_the_tolerance_is_refused(
    model: SpaceClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(precisions.DEPTH_TOLERANCES, "int8", precisions.DEPTH_TOLERANCES["int8"]._replace(mean=1e-9))
    with pytest.raises(ExportError, match=r"ONNX Runtime differs from PyTorch by \S+ relative on average, more than"):
        export(model, tmp_path / "a.onnx", *SIZE, precision="int8", evidence=drive(from_ten_metres))


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("bf16", "'bf16' cannot be exported; available: fp32, fp16, int8"),
        ("int8", "int8 is calibrated on the frames of a drive .* with --drive"),
    ],
)
def test_what_a_precision_needs(model: SpaceClip, tmp_path: Path, precision: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a.onnx", precision=precision)


def test_only_int8_is_symmetric(model: SpaceClip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="symmetric is a kind of int8, and precision is fp16"):
        export(model, tmp_path / "a.onnx", precision="fp16", symmetric=True)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_uncertainty_is_exported_and_proved(
    precision: str, tiny_model: Callable[..., SpaceClip], tmp_path: Path
) -> None:
    model = tiny_model(uncertainty=True, uncertainty_factor=1.3)
    with torch.no_grad():
        model.uncertainty_head.log_scale.weight.mul_(5.0)  # so that it varies over the picture
    evidence = None if precision == "fp32" else drive(from_ten_metres)
    report = export(model, tmp_path / "a.onnx", *SIZE, precision=precision, evidence=evidence)
    assert report.proof.uncertainty is not None and report.proof.uncertainty.mean < 0.05
    sessions = OnnxSessions(report.path)
    assert sessions.metadata.config.uncertainty_factor == 1.3
    assert sessions.metadata.uncertainty_difference == pytest.approx(report.proof.uncertainty.mean, rel=0.01)
    found = sessions.estimate(IMAGES[1][None])
    assert list(found) == ["depth", "uncertainty"]
    depth, sigma = found.values()
    with torch.inference_mode():
        _, expected = ImageToEstimate(model)(torch.from_numpy(IMAGES[1][None]))
    assert expected.std() > 0.02 * expected.mean()
    tolerance = {"fp32": 1e-4, "fp16": 0.05, "int8": 0.2}[precision]
    np.testing.assert_allclose(sigma, expected.numpy(), rtol=tolerance, atol=tolerance * float(expected.mean()))
    np.testing.assert_array_equal(depth, sessions.run(IMAGES[1][None]))


def test_an_export_whose_uncertainty_is_wrong_is_refused() -> None:
    good, bad = Difference(0.0, 1e-6, 1e-6, 1), Difference(1.0, 0.3, 0.2, 1)
    precisions.check_differences(Differences(good, good), "fp32", "ONNX Runtime")
    with pytest.raises(ExportError, match=r"the uncertainty of ONNX Runtime differs from PyTorch by 0\.3 relative"):
        precisions.check_differences(Differences(good, bad), "fp32", "ONNX Runtime")
