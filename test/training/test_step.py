from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from space_clip_ros.data.dataset import AugmentedFrames, Draw, collate
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.pillow_resize import resize_bicubic
from space_clip_ros.errors import ConfigError
from space_clip_ros.model import SpaceClip, build, load_checkpoint
from space_clip_ros.model.adapters import adapter_parameters
from space_clip_ros.model.image_to_depth import ImageToDepth
from space_clip_ros.model_config import UNLABELLED
from space_clip_ros.settings import nest, parse
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.processes import Processes
from space_clip_ros.training.step import Stepper, StepResult, build_optimizer, to_input
from space_clip_ros.training_config import TrainingConfig

ALONE = Processes(0, 1, torch.device("cpu"))
RECIPE = {"optimizer.lr": 1e-3, "runtime.device": "cpu", "runtime.channels_last": False}

CHECKPOINTS = ("clip_tiny", "clip_tiny_interpolated", "siglip_tiny")
RUNS = [f"{checkpoint}_bias{bias}" for checkpoint in CHECKPOINTS for bias in (0, 8)]
# SILog's gradient is 1 / depth, and this run predicts some depths next to 0. There the rounding of float32 decides the
# first gradient, and with it all that follows; the reference's own code differs between processors as well.
LOSSES_DEFINED_IN_FLOAT32 = {"clip_tiny_interpolated_bias0": 1}


def stepper(model: SpaceClip, **settings: object) -> tuple[Stepper, WeightAverage]:
    config = parse(TrainingConfig, nest({**RECIPE, **{k.replace("__", "."): v for k, v in settings.items()}}))
    optimizer = build_optimizer(model.train(), config)
    average = WeightAverage(model, config.optimizer.ema_decay)
    return Stepper(model, optimizer, average, ALONE, config), average


@pytest.fixture()
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class FiveSteps(NamedTuple):
    """Five training steps from a checkpoint of the reference, and what the reference computes for them in float64."""

    results: list[StepResult]
    raw: torch.Tensor
    averaged: torch.Tensor
    expected: dict[str, np.ndarray]

    @property
    def losses(self) -> list[float]:
        return [result.losses["total"] for result in self.results]

    @property
    def grad_norms(self) -> list[float]:
        return [result.grad_norm for result in self.results]


def five_steps(reference_dir: Path, run: str, dtype: torch.dtype) -> FiveSteps:
    """Take the steps with weights, inputs, losses and averages of one dtype."""
    checkpoint, _, bias = run.rpartition("_bias")
    with np.load(reference_dir / f"{checkpoint}_io.npz") as file:
        inputs, depth = (torch.from_numpy(file[key]).to(dtype) for key in ("input", "gt"))
    with np.load(reference_dir / "train_steps_float64.npz") as file:
        expected = {key: file[f"{run}_{key}"] for key in ("loss", "grad_norm", "depth", "depth_ema")}
    path = reference_dir / f"{checkpoint}_checkpoint.pt"
    model = load_checkpoint(path, encoder=_encoder(reference_dir, checkpoint)).to(dtype)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for head in (model.depth_head, *model.auxiliary_heads):
            head.depth.bias.add_(float(bias))
    steps, average = stepper(model)
    results = [steps.take_prepared(inputs, depth, 1e-3) for _ in range(5)]
    model.eval()
    with torch.no_grad():
        raw = model(inputs, depth.shape[2:]).depth
        with average.applied():
            averaged = model(inputs, depth.shape[2:]).depth
    return FiveSteps(results, raw, averaged, expected)


@pytest.mark.parametrize("run", RUNS)
def test_five_steps_of_the_reference_in_float64(run: str, reference_dir: Path, one_thread: None) -> None:
    steps = five_steps(reference_dir, run, torch.float64)
    np.testing.assert_allclose(steps.losses, steps.expected["loss"], rtol=1e-8)
    np.testing.assert_allclose(steps.grad_norms, steps.expected["grad_norm"], rtol=1e-8)
    for depth, key in ((steps.raw, "depth"), (steps.averaged, "depth_ema")):
        assert depth.dtype == torch.float64
        np.testing.assert_allclose(depth.numpy(), steps.expected[key], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("run", RUNS)
def test_five_steps_of_the_reference_in_float32(run: str, reference_dir: Path, one_thread: None) -> None:
    steps = five_steps(reference_dir, run, torch.float32)
    defined = LOSSES_DEFINED_IN_FLOAT32.get(run, 5)
    np.testing.assert_allclose(steps.losses[:defined], steps.expected["loss"][:defined], rtol=1e-4)
    if run == "clip_tiny_bias8":
        np.testing.assert_allclose(steps.grad_norms, steps.expected["grad_norm"], rtol=1e-3)


def test_the_frozen_tower_stays_as_it_was(reference_dir: Path):
    model = load_checkpoint(reference_dir / "clip_tiny_checkpoint.pt", encoder=_encoder(reference_dir))
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    steps, _ = stepper(model)
    steps.take_prepared(torch.randn(2, 3, 64, 64), torch.rand(2, 1, 64, 64) * 20 + 1, 1e-2)
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_heads_whose_loss_weighs_nothing_do_not_train(reference_dir: Path):
    model = load_checkpoint(reference_dir / "clip_tiny_checkpoint.pt", encoder=_encoder(reference_dir))
    last = [parameter.clone() for parameter in model.auxiliary_heads[2].parameters()]
    steps, _ = stepper(model)
    steps.take_prepared(torch.randn(2, 3, 64, 64), torch.rand(2, 1, 64, 64) * 20 + 1, 1e-2)
    assert all(torch.equal(a, b) for a, b in zip(last, model.auxiliary_heads[2].parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in model.auxiliary_heads[1].parameters())


def test_a_skipped_step_leaves_no_trace(tiny):
    torch.manual_seed(0)
    model = build(tiny().model)
    steps, average = stepper(model, model__max_depth=80.0)
    inputs, depth = torch.randn(2, 3, 32, 48), torch.rand(2, 1, 32, 48) * 20 + 1
    steps.take_prepared(inputs, depth, 1e-3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    averaged = {name: tensor.clone() for name, tensor in average.state_dict().items()}
    found = steps.take_prepared(inputs * float("inf"), depth, 1e-3)
    assert found.skipped and steps.bad_in_a_row == 1
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) or name.endswith("num_batches_tracked"), name
    assert all(torch.equal(tensor, averaged[name]) for name, tensor in average.state_dict().items())
    assert not steps.take_prepared(inputs, depth, 1e-3).skipped
    assert steps.bad_in_a_row == 0


def test_bfloat16_keeps_weights_in_single_precision(tiny):
    torch.manual_seed(0)
    model = build(tiny().model)
    steps, _ = stepper(model, runtime__bf16=True)
    found = steps.take_prepared(torch.randn(2, 3, 32, 48), torch.rand(2, 1, 32, 48) * 20 + 1, 1e-3)
    assert not found.skipped
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_input_is_pillow_s_resize_normalised(tiny):
    config = tiny(model__input_size=[64, 96]).model
    image = np.random.default_rng(0).integers(0, 256, (120, 300, 3)).astype(np.uint8)
    found = to_input(torch.from_numpy(image)[None], config)
    assert found.shape == (1, 3, 64, 96)
    pillow = (resize_bicubic(image, 64, 96) / 255.0 - np.array(config.mean)) / np.array(config.std)
    # Pillow rounds and clips to 8 bits after each of its two passes; ours stays float.
    difference = np.abs(found[0].permute(1, 2, 0).numpy() - pillow)
    assert np.median(difference) < 0.01 and difference.max() < 0.15


@pytest.mark.parametrize("geometry", ["consistent", "reference"])
def test_what_training_sees_and_what_the_exported_graph_sees(tiny, geometry):
    """The same values in consistent geometry, up to 8-bit rounding; another part of the frame in the reference's."""
    config = tiny(augmentation__geometry=geometry, model__input_size=[32, 48], augmentation__crop=[90, 150])
    still = dataclasses.replace(config.augmentation, rotation=0.0, flip=0.0, color=0.0)
    coarse = np.random.default_rng(0).integers(0, 256, (12, 30, 3)).astype(np.uint8)
    frame = RgbdFrame(cv2.resize(coarse, (300, 120)), np.full((120, 300), 9.0, np.float32))
    batch = collate([AugmentedFrames([frame], still, 0, config.model.input_size)[Draw(0, 0, 0)]])
    seen = to_input(batch.images, config.model)
    torch.manual_seed(0)
    graph = ImageToDepth(build(config.model), (120, 300))
    inferred = graph.preprocess(torch.from_numpy(frame.image)[None])
    grey_level = 1.0 / (255.0 * min(config.model.std))
    if geometry == "consistent":
        torch.testing.assert_close(seen, inferred, rtol=0.0, atol=1.5 * grey_level)
    else:
        assert (seen - inferred).abs().mean() > 20 * grey_level
    assert batch.depth.shape == (1, 1, 90, 150)


def test_adapters_learn_and_the_frozen_tower_stays_to_the_bit(tiny):
    torch.manual_seed(0)
    changes = {"model__encoder__trainable": False, "model__encoder__adapters__rank": 2}
    model = build(tiny(**changes).model)
    frozen = {name: tensor.clone() for name, tensor in model.encoder.frozen_state().items()}
    learned = {name: tensor.detach().clone() for name, tensor in adapter_parameters(model.encoder.tower).items()}
    steps, average = stepper(model, runtime__bf16=True)
    for _ in range(3):
        found = steps.take_prepared(torch.randn(2, 3, 32, 48), torch.rand(2, 1, 32, 48) * 20 + 1, 1e-2)
        assert not found.skipped
    with average.applied():
        assert all(torch.equal(tensor, frozen[name]) for name, tensor in model.encoder.frozen_state().items())
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in model.encoder.frozen_state().items())
    now = adapter_parameters(model.encoder.tower)
    assert all(not torch.equal(now[name], tensor) for name, tensor in learned.items())
    assert {name for name in average.state_dict() if name.startswith("encoder.")} == {
        f"encoder.tower.{name}" for name in learned
    }


def test_an_image_of_the_input_s_size_is_only_normalised(tiny):
    config = tiny(model__input_size=[32, 48]).model
    image = torch.full((1, 32, 48, 3), 51, dtype=torch.uint8)
    found = to_input(image, config)[0, :, 0, 0]
    expected = (0.2 - torch.tensor(config.mean)) / torch.tensor(config.std)
    torch.testing.assert_close(found, expected)


def _encoder(reference_dir: Path, checkpoint: str = "clip_tiny") -> dict:
    return json.loads((reference_dir / "configs.json").read_text())[checkpoint]["encoder"]


def test_depth_is_the_same_to_the_bit_with_and_without_uncertainty(tiny):
    found = []
    for uncertainty in (False, True):
        torch.manual_seed(0)
        model = build(tiny(model__uncertainty=uncertainty).model)
        steps, average = stepper(model, optimizer__clip_norm=0.1)
        torch.manual_seed(1)
        for _ in range(3):
            inputs, depth = torch.randn(2, 3, 32, 48), torch.rand(2, 1, 32, 48) * 20 + 1
            result = steps.take_prepared(inputs, depth, 1e-2)
        found.append((model.state_dict(), average.state_dict(), result))
    (plain, plain_average, before), (uncertain, uncertain_average, after) = found
    assert all(torch.equal(tensor, uncertain[name]) for name, tensor in plain.items())
    assert all(torch.equal(tensor, uncertain_average[name]) for name, tensor in plain_average.items())
    assert before.grad_norm == after.grad_norm and after.losses["silog"] == before.losses["silog"]
    assert after.losses["total"] == pytest.approx(before.losses["total"] + after.losses["uncertainty"], rel=1e-5)
    assert {name.partition(".")[0] for name in uncertain.keys() - plain.keys()} == {"uncertainty_head"}


def test_the_uncertainty_head_alone_learns_where_depth_is_noisy(tiny):
    torch.manual_seed(0)
    config = tiny(model__uncertainty=True, train_only="uncertainty", initial="finished")
    model = build(config.model)
    with torch.no_grad():
        model.depth_head.depth.bias.fill_(10.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steps, _ = stepper(model, model__uncertainty=True, train_only="uncertainty", initial="finished")
    # Bright on the left, where the truth is noisy; dark on the right, where it is what the model says.
    inputs = torch.cat([torch.full((4, 3, 32, 24), 1.5), torch.full((4, 3, 32, 24), -1.5)], dim=3)
    with torch.no_grad():
        said = model.eval()(inputs).depth.clamp_min(0.5)
    model.train()
    noise = torch.ones_like(said)
    noise[..., :24] = torch.randn(4, 1, 32, 24).mul(0.5).exp()
    for _ in range(120):
        result = steps.take_prepared(inputs, said * noise, 3e-2)
    assert set(result.losses) == {"uncertainty", "total"}
    with torch.no_grad():
        output = model.eval()(inputs)
    left, right = output.laplace_scale[..., 1:5], output.laplace_scale[..., 7:11]
    assert 0.2 < float(left.mean()) < 0.8 and float(right.mean()) < 0.5 * float(left.mean())
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and {name.partition(".")[0] for name in changed} == {"uncertainty_head"}


def test_the_refinement_head_alone_learns_a_thin_thing(tiny):
    """A bright line of one pixel, nearer than what is around it; everything else stays as it was."""
    torch.manual_seed(0)
    changes = {"model__refinement": True, "train_only": "refinement", "initial": "finished"}
    changes |= {"loss__silog": 0.0, "loss__log_l1": 1.0}
    model = build(tiny(**changes).model)
    with torch.no_grad():
        model.depth_head.depth.weight.zero_()
        model.depth_head.depth.bias.fill_(10.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steps, _ = stepper(model, **changes)
    inputs, depth = torch.zeros(2, 3, 32, 48), torch.full((2, 1, 32, 48), 10.0)
    for image, column in enumerate((11, 30)):
        inputs[image, :, :, column], depth[image, :, :, column] = 2.0, 5.0
    losses = [steps.take_prepared(inputs, depth, 1e-2).losses for _ in range(60)]
    assert {"log_l1", "total"} <= set(losses[0]) and "uncertainty" not in losses[0]
    with torch.no_grad():
        found = model.eval()(inputs).depth
    assert float(found[0, 0, 8:24, 11].mean()) < 8.0 and float(found[0, 0, 8:24, 36:].mean()) > 9.0
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and {name.partition(".")[0] for name in changed} == {"refinement_head"}


def test_coarse_training_trains_the_head_whose_depth_it_uses(tiny):
    """Its weight in loss.auxiliary, which is for whole steps, does not matter."""
    changes = {"train_only": "coarse", "loss__auxiliary": []}
    model = build(tiny(**changes).model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steps, _ = stepper(model, **changes)
    steps.take_prepared(torch.randn(2, 3, 32, 48), torch.full((2, 1, 32, 48), 5.0), 1e-2)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(name.startswith("auxiliary_heads.1.") for name in changed)
    assert not any(name.startswith(("auxiliary_heads.0.", "auxiliary_heads.2.", "depth_head.")) for name in changed)


LANGUAGE = {"outputs": ["dense"], "embed_dim": 2, "vocabulary": ["dark", "bright"], "logit_scale": 8.0}


def test_the_language_head_alone_learns_the_names_of_what_it_sees(tiny):
    torch.manual_seed(0)
    changes = {"model__language": LANGUAGE, "train_only": "language"}
    model = build(tiny(**changes).model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steps, _ = stepper(model, **changes)
    inputs = torch.cat([torch.full((2, 3, 32, 24), 1.5), torch.full((2, 3, 32, 24), -1.5)], dim=3)
    labels = torch.ones(2, 16, 24, dtype=torch.uint8)
    labels[:, :, 12:] = 0
    labels[:, :4] = UNLABELLED
    depth = torch.full((2, 1, 32, 48), torch.nan)
    losses = [steps.take_prepared(inputs, depth, 1e-2, labels).losses for _ in range(30)]
    assert set(losses[0]) == {"language", "total"} and losses[-1]["total"] < 0.2 * losses[0]["total"]
    with torch.no_grad():
        dense = model.eval()(inputs).dense
    half = dense.shape[2] // 2
    assert (dense.argmax(dim=-1)[:, :, : half - 2] == 1).float().mean() > 0.9
    assert (dense.argmax(dim=-1)[:, :, half + 2 :] == 0).float().mean() > 0.9
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and {name.partition(".")[0] for name in changed} == {"language_head"}


def test_a_batch_without_labels_does_not_move_the_language_head(tiny):
    changes = {"model__language": LANGUAGE, "train_only": "language"}
    steps, _ = stepper(build(tiny(**changes).model), **changes)
    nothing = torch.full((2, 16, 24), UNLABELLED, dtype=torch.uint8)
    found = steps.take_prepared(torch.randn(2, 3, 32, 48), torch.ones(2, 1, 32, 48), 1e-2, nothing)
    assert found.losses["language"] == 0.0 and not found.skipped


def test_only_a_model_with_uncertainty_can_train_it_alone(tiny):
    with pytest.raises(ConfigError, match=r"model\.uncertainty"):
        stepper(build(tiny().model), model__uncertainty=True, train_only="uncertainty", initial="finished")
