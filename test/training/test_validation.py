from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.evaluation.evaluator import Estimate, evaluate, mean_metrics
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.perception.focal_scaling import focal_scaling
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.processes import Processes
from space_clip_ros.training.step import to_input
from space_clip_ros.training.validation import Validation, Validator, protocol_of
from space_clip_ros.training_config import TrainingConfig, sources

ALONE = Processes(0, 1, torch.device("cpu"))
CAMERA = PinholeCamera(310, 94, 180.0, 180.0, 152.4, 43.2)
WIDE = (310.0, 94.0, 90.0, 90.0)
"""A training camera whose pictures show everything half as large as CAMERA's."""


def opened(config: TrainingConfig) -> FrameCollection:
    return FrameCollection(open_sources(sources(config.data.validation)), skip_broken=config.data.skip_broken)


def validator(model: SpaceClip, config: TrainingConfig) -> Validator:
    return Validator(model, WeightAverage(model, 0.9), opened(config), ALONE, config)


def by_the_command_s_way(model: SpaceClip, config: TrainingConfig) -> dict[str, float]:
    """Score as ``space_clip evaluate`` does with ``--focal-scaling auto``."""

    @torch.no_grad()
    def predict(images: list[np.ndarray]) -> list[Estimate]:
        inputs = torch.cat([to_input(torch.from_numpy(image)[None], config.model) for image in images])
        return [Estimate(depth) for depth in model.eval()(inputs).depth[:, 0].numpy()]

    def scaled(frame, estimate):
        factor = focal_scaling("auto", frame.camera, config.model.training_camera or None).factor
        return estimate._replace(depth=estimate.depth * np.float32(factor))

    return mean_metrics(evaluate(predict, opened(config), protocol_of(config), correct=scaled))


@pytest.mark.parametrize(("trained", "factor"), [((), 1.0), (WIDE, 2.0)])
def test_depth_is_scaled_for_the_camera_as_in_the_command(tiny, tmp_path: Path, trained, factor):
    drive = write_drive(tmp_path, 2, 7, CAMERA, scans=False)
    config = tiny(model__training_camera=list(trained), data__validation=[{"path": str(drive)}])
    assert focal_scaling("auto", opened(config)[0].camera, trained or None).factor == pytest.approx(factor)
    model = build(config.model)
    model.depth_head.depth.bias.data.fill_(5.0)
    found = validator(model, config).run(lambda: None)
    assert found.metrics["raw"] == pytest.approx(by_the_command_s_way(model, config), rel=1e-5)


def test_uncertainty_is_scaled_with_depth(tiny, tmp_path: Path):
    """A share of depth stays the same share, so the counts within one and two sigmas depend on depth alone."""
    drive = write_drive(tmp_path, 1, 7, CAMERA, scans=False)
    config = tiny(model__uncertainty=True, data__validation=[{"path": str(drive)}])
    model = build(config.model)
    model.depth_head.scale(2.0)
    doubled = validator(model, config).run(lambda: None).metrics["raw"]
    model.depth_head.scale(0.5)
    scaled = replace(config, model=replace(config.model, training_camera=WIDE))
    assert validator(model, scaled).run(lambda: None).metrics["raw"] == pytest.approx(doubled, rel=1e-4)


def test_a_stop_is_asked_for_before_each_batch(tiny):
    config = tiny(validation__batch_size=4)
    model = build(config.model).train()
    done = []
    assert validator(model, config).run(lambda: done.append(1), lambda: len(done) >= 8) is None
    assert len(done) == 8 and model.training


def test_a_broken_frame_is_left_out(tiny, tmp_path: Path):
    drive = write_drive(tmp_path, 3, 7, CAMERA, scans=False)
    without = [{"path": str(drive), "frames": [0, 1]}, {"path": str(drive), "frames": [2, 3]}]
    model = build(tiny().model)
    expected = validator(model, tiny(data__validation=without, validation__batch_size=1)).run(lambda: None)
    (drive / "image_02" / "data" / "0000000001.png").write_bytes(b"no picture")
    config = tiny(data__validation=[{"path": str(drive)}], data__skip_broken=True, validation__batch_size=1)
    done = []
    assert validator(model, config).run(lambda: done.append(1)).metrics == expected.metrics
    assert len(done) == 2


@pytest.mark.parametrize(
    ("raw", "ema", "better", "score"),
    [
        ({"abs_rel": 0.2}, {"abs_rel": 0.1}, "ema", 0.1),
        ({"abs_rel": 0.2}, {"abs_rel": math.nan}, "raw", 0.2),
        ({}, {"abs_rel": 0.3}, "ema", 0.3),
        ({}, {}, "raw", math.inf),
    ],
)
def test_a_criterion_that_is_not_known_is_the_worst(raw, ema, better, score):
    validation = Validation({"raw": raw, "ema": ema}, [], "abs_rel", {})
    assert (validation.better, validation.score) == (better, score)
