from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros.errors import InputError
from space_clip_ros.training.losses import (
    band_loss,
    class_loss,
    depth_loss,
    far_loss,
    gradient_loss,
    log_gradient_loss,
    log_l1_loss,
    silog_loss,
    ssim_loss,
    uncertainty_loss,
    valid_mask,
)
from space_clip_ros.training_config import LossConfig


@pytest.fixture(scope="module")
def arrays(reference_dir: Path) -> dict[str, np.ndarray]:
    with np.load(reference_dir / "losses_metrics.npz") as file:
        return {name: file[name] for name in ("pred", "gt", "silog", "ssim", "grad", "silog_nomask", "ssim_nomask")}


def test_the_reference_s_losses_with_its_mask(arrays):
    prediction, truth = torch.from_numpy(arrays["pred"]), torch.from_numpy(arrays["gt"])
    mask = valid_mask(truth, 0.001, 80.0)
    assert float(silog_loss(prediction, truth, mask)) == pytest.approx(float(arrays["silog"]), rel=1e-5)
    assert float(ssim_loss(prediction, truth, mask)) == pytest.approx(float(arrays["ssim"]), rel=1e-5)
    assert float(gradient_loss(prediction, truth, mask)) == pytest.approx(float(arrays["grad"]), rel=1e-5)


def test_the_reference_s_losses_without_a_mask(arrays):
    prediction, truth = torch.from_numpy(arrays["pred"]), torch.from_numpy(arrays["gt"])
    # Its number for SILog was taken on truth held at 0.1 m and above, where logarithms of unknown pixels are tame.
    loss = silog_loss(prediction, truth.clamp_min(0.1))
    assert float(loss) == pytest.approx(float(arrays["silog_nomask"]), rel=1e-5)
    assert float(ssim_loss(prediction, truth)) == pytest.approx(float(arrays["ssim_nomask"]), rel=1e-5)


def maps(*shape: int) -> torch.Tensor:
    """Return random depth in metres, in float64 so that no processor's rounding matters."""
    return torch.rand(shape, dtype=torch.float64) * 50 + 1


def test_silog_by_hand():
    truth = torch.full((1, 1, 1, 2), 2.0, dtype=torch.float64)
    prediction = truth * torch.tensor([math.e, 1.0], dtype=torch.float64)
    # g is 1 and 0: variance 1/4, mean 1/2.
    assert float(silog_loss(prediction, truth)) == pytest.approx(10 * math.sqrt(0.25 + 0.15 * 0.25), rel=1e-12)


def test_equal_maps_cost_next_to_nothing():
    truth = maps(2, 1, 20, 30)
    assert float(silog_loss(truth, truth)) == pytest.approx(10 * math.sqrt(1e-7), rel=1e-12)
    assert float(ssim_loss(truth, truth)) == pytest.approx(0.0, abs=1e-10)
    assert float(gradient_loss(truth, truth)) == 0.0


def test_the_gradient_term_counts_pairs_of_valid_pixels_by_hand():
    truth = torch.zeros(1, 1, 2, 3)
    prediction = torch.tensor([[[[0.0, 1.0, 9.0], [3.0, 5.0, 9.0]]]])
    mask = torch.tensor([[[[True, True, False], [True, True, False]]]])
    # Horizontal steps 1 and 2, vertical steps 3 and 4.
    assert float(gradient_loss(prediction, truth, mask)) == pytest.approx((1.5 + 3.5) / 2)


def test_unknown_truth_is_nan_zero_or_too_far():
    truth = torch.tensor([float("nan"), 0.0, 0.001, 0.5, 79.0, 80.0])
    assert valid_mask(truth, 0.001, 80.0).tolist() == [False, False, False, True, True, False]


@pytest.mark.parametrize("unknown", [0.0, float("nan")])
def test_what_unknown_pixels_hold_changes_nothing(unknown):
    truth, prediction = maps(2, 1, 16, 24), maps(2, 1, 16, 24).requires_grad_()
    truth[:, :, :5] = unknown
    losses = depth_loss(prediction, (prediction,), truth, LossConfig(gradient=0.1), 0.001, 80.0)
    assert set(losses) == {"silog", "ssim", "gradient", "aux1", "total"}
    losses["total"].backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert torch.isfinite(prediction.grad).all()


def test_the_total_is_the_recipe_s_weighting():
    truth, depth, *auxiliary = (maps(1, 1, 16, 24) for _ in range(5))
    losses = depth_loss(depth, auxiliary, truth, LossConfig(), 0.001, 80.0)
    expected = (
        0.5 * silog_loss(depth, truth)
        + 0.5 * ssim_loss(depth, truth)
        + 0.10 * silog_loss(auxiliary[0], truth)
        + 0.05 * silog_loss(auxiliary[1], truth)
    )
    assert float(losses["total"]) == pytest.approx(float(expected), rel=1e-12)


def test_a_batch_without_truth_costs_nothing_but_keeps_its_gradient():
    prediction = torch.ones(1, 1, 8, 8, requires_grad=True)
    losses = depth_loss(prediction, (), torch.zeros(1, 1, 8, 8), LossConfig(gradient=1.0), 0.001, 80.0)
    assert losses["total"].item() == 0.0
    losses["total"].backward()
    assert prediction.grad.abs().sum() == 0.0


def test_a_sample_without_truth_leaves_the_others_alone():
    truth, prediction = maps(2, 1, 12, 12), maps(2, 1, 12, 12)
    truth[1] = 0.0
    mask = valid_mask(truth, 0.001, 80.0)
    expected = float(ssim_loss(prediction[:1], truth[:1]))
    assert float(ssim_loss(prediction, truth, mask)) == pytest.approx(expected, rel=1e-10)


def test_half_precision_predictions_are_compared_in_single():
    truth = torch.rand(1, 1, 8, 8) * 40 + 1
    assert silog_loss(truth.bfloat16(), truth).dtype == torch.float32


@pytest.mark.parametrize(
    ("prediction", "truth", "mask", "message"),
    [
        (torch.ones(1, 8, 8), torch.ones(1, 1, 8, 8), None, r"must be \(B, 1, H, W\)"),
        (torch.ones(2, 1, 8, 8), torch.ones(1, 1, 8, 8), None, r"got \(2, 1, 8, 8\) and \(1, 1, 8, 8\)"),
        (torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8), "mask: must be bool"),
        (torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8), torch.ones(8, 8, dtype=torch.bool), "mask: must be bool"),
    ],
)
def test_arguments_that_do_not_fit(prediction, truth, mask, message):
    for loss in (silog_loss, ssim_loss, gradient_loss):
        with pytest.raises(InputError, match=message):
            loss(prediction, truth, mask)


NEW_TERMS = {"log_l1": log_l1_loss, "bands": band_loss, "log_gradient": log_gradient_loss}


def test_every_frame_counts_the_same_however_sparse_its_truth():
    truth = torch.full((2, 1, 4, 8), 10.0)
    truth[1] = math.nan
    truth[1, 0, 0, 0] = 10.0
    prediction = torch.stack([truth[0] * math.e, torch.full((1, 4, 8), 10.0)])
    assert float(log_l1_loss(prediction, truth, valid_mask(truth, 0.1, 80.0))) == pytest.approx(0.5)


def test_bands_weigh_the_few_far_pixels_like_the_many_near_ones():
    truth = torch.full((1, 1, 4, 8), 3.0)
    truth[0, 0, 0, 0] = 60.0
    prediction = truth.clone()
    prediction[0, 0, 0, 0] = 60.0 / math.e
    assert float(band_loss(prediction, truth)) == pytest.approx(0.5)
    assert float(log_l1_loss(prediction, truth)) == pytest.approx(1 / 32)


def test_log_gradients_see_edges_and_not_scale():
    truth = torch.full((1, 1, 4, 8), 5.0)
    truth[..., 4:] = 20.0
    assert float(log_gradient_loss(truth * 3.0, truth)) == pytest.approx(0.0, abs=1e-6)
    flat = torch.full_like(truth, 10.0)
    # One of the seven differences along a row is missed, none along a column.
    assert float(log_gradient_loss(flat, truth)) == pytest.approx(math.log(4.0) / 7 / 2)


def test_small_classes_count_as_much_as_large_ones():
    truth = torch.ones(2, 1, 4, 8)
    labels = torch.zeros(2, 4, 8, dtype=torch.uint8)
    labels[0, :, 7] = 1
    labels[1] = 3
    labels[1, 0, 0], labels[1, 0, 1] = 2, 255
    prediction = torch.ones_like(truth)
    prediction[0, 0, :, 7], prediction[1, 0, 0, 0], prediction[1, 0, 0, 1] = math.e, math.e**3, 50.0
    # In the first frame class 0 is right and class 1 off by 1, in the second class 2 by 3. 3 and 255 are not classes.
    assert float(class_loss(prediction, truth, labels=labels, classes=3)) == pytest.approx((0.0 + 1.0 + 3.0) / 3)
    hidden = prediction[:, 0].isclose(torch.tensor(1.0))[:, None]
    assert float(class_loss(prediction, truth, hidden, labels=labels, classes=3)) == pytest.approx(0.0)


def test_without_labels_classes_cost_nothing_and_give_a_gradient():
    prediction = torch.full((1, 1, 4, 8), 2.0, requires_grad=True)
    config = LossConfig(silog=0.0, ssim=0.0, classes=1.0, auxiliary=())
    unlabelled = torch.full((1, 4, 8), 255, dtype=torch.uint8)
    terms = depth_loss(prediction, [], torch.ones(1, 1, 4, 8), config, 0.001, 80.0, unlabelled, 3)
    terms["total"].backward()
    assert terms["classes"].item() == 0.0 and not prediction.grad.any()


def test_the_sky_must_be_beyond_the_limit_and_no_farther():
    truth = torch.full((1, 1, 4, 8), 255.0)
    assert float(far_loss(torch.full_like(truth, 80.0 / math.e), truth, 80.0)) == pytest.approx(1.0)
    assert float(far_loss(torch.full_like(truth, 100.0), truth, 80.0)) == 0.0
    assert float(far_loss(torch.full_like(truth, 3.0), torch.full_like(truth, 70.0), 80.0)) == 0.0


@pytest.mark.parametrize("name", NEW_TERMS)
def test_a_term_beyond_the_recipe_joins_the_total_with_its_weight(name):
    prediction, truth = maps(2, 1, 8, 8).float(), maps(2, 1, 8, 8).float()
    config = LossConfig(silog=0.0, ssim=0.0, auxiliary=(), **{name: 2.0})
    terms = depth_loss(prediction, [], truth, config, 0.001, 80.0)
    expected = NEW_TERMS[name](prediction, truth, valid_mask(truth, 0.001, 80.0))
    assert set(terms) == {name, "total"}
    assert float(terms["total"]) == pytest.approx(2.0 * float(expected))


def test_truth_beyond_the_limit_counts_only_for_far():
    truth = torch.full((1, 1, 4, 8), 255.0)
    config = LossConfig(silog=0.0, ssim=0.0, log_l1=1.0, far=0.5, auxiliary=())
    prediction = torch.full_like(truth, 40.0, requires_grad=True)
    terms = depth_loss(prediction, [], truth, config, 0.001, 80.0)
    assert terms["log_l1"].item() == 0.0
    assert terms["total"].item() == pytest.approx(0.5 * math.log(2.0))
    terms["total"].backward()
    assert (prediction.grad < 0).all()


def test_the_uncertainty_loss_by_hand():
    truth = torch.tensor([[[[1.0, math.e, 5.0]]], [[[1.0, 1.0, 5.0]]]], dtype=torch.float64)
    mask = torch.tensor([[[[True, True, False]]], [[[True, False, False]]]])
    prediction = torch.ones_like(truth)
    scale = torch.full_like(truth, 0.5)
    # Frame 1: errors 0 and 1 over 0.5; frame 2: error 0.
    loss = float(uncertainty_loss(prediction, scale, truth, mask))
    assert loss == pytest.approx(((0.0 + 2.0) / 2 + 0.0) / 2 + math.log(0.5))


def test_the_uncertainty_loss_is_smallest_at_the_mean_error_and_leaves_depth_alone():
    truth = maps(1, 1, 30, 40)
    prediction = (truth * 1.2).requires_grad_()
    log_scale = torch.tensor(math.log(math.log(1.2)), dtype=torch.float64, requires_grad=True)
    uncertainty_loss(prediction, log_scale.exp().expand(truth.shape), truth).backward()
    assert prediction.grad is None
    assert float(log_scale.grad) == pytest.approx(0.0, abs=1e-12)


def test_the_uncertainty_loss_of_no_pixels_is_zero_with_a_gradient():
    scale = torch.ones(1, 1, 4, 4, requires_grad=True)
    nothing = torch.full((1, 1, 4, 4), math.nan)
    loss = uncertainty_loss(torch.ones(1, 1, 4, 4), scale, nothing, valid_mask(nothing, 0.1, 80.0))
    loss.backward()
    assert loss.item() == 0.0 and not scale.grad.any()
