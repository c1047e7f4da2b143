"""The recipe's losses on metric depth maps: scale-invariant log error, structural similarity, finite differences.

Every loss takes ``prediction`` (B, 1, h, w) and ``truth`` (B, 1, H, W), both in metres, and returns a scalar. A
prediction of another size is resized to the truth's bilinearly with ``align_corners=True``. ``mask`` is a bool tensor
of the truth's shape; without one, every pixel counts. A batch without any valid pixel gives a loss of zero that still
has a gradient (of zero), so that every process of a run takes part in the same reductions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from space_clip_ros.errors import InputError
from space_clip_ros.model.blocks import resize_bilinear
from space_clip_ros.training_config import LossConfig

_FLOOR = 1e-7
_RARITY = -0.25
_VARIANCE_WEIGHT = 0.15
_BAND_EDGES_M = (5.0, 10.0, 20.0, 40.0)
_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_K1 = 0.01
_SSIM_K2 = 0.03


def valid_mask(truth: Tensor, min_depth: float, max_depth: float) -> Tensor:
    """Return where ``truth`` (any shape, metres) lies strictly between the limits; NaN never does."""
    return (truth > min_depth) & (truth < max_depth)


def silog_loss(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scale-invariant log loss, ``10 * sqrt(var(g) + 0.15 * mean(g)^2)`` with ``g = log(prediction) - log(truth)``.

    The variance is the biased one over all valid pixels of the batch (Eigen et al. 2014, as AdaBins weights it).

    Raises:
        InputError: the shapes do not fit.
    """
    prediction, truth, mask = _prepare(prediction, truth, mask)
    difference = prediction.clamp_min(_FLOOR).log() - truth.clamp_min(_FLOOR).log()
    mean = _mean(difference, mask)
    variance = _mean((difference - mean).square(), mask)
    loss = 10.0 * (variance + _VARIANCE_WEIGHT * mean.square()).clamp_min(_FLOOR).sqrt()
    return loss * mask.any()


def ssim_loss(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """One minus the mean structural similarity over valid pixels (Wang et al. 2004, 11 x 11 Gaussian, zero padding).

    Both maps of a sample are first scaled to [0, 1] by the smallest and largest valid truth of that sample.

    Raises:
        InputError: the shapes do not fit.
    """
    prediction, truth, mask = _prepare(prediction, truth, mask)
    low = truth.where(mask, torch.inf).amin(dim=(1, 2, 3), keepdim=True)
    high = truth.where(mask, -torch.inf).amax(dim=(1, 2, 3), keepdim=True)
    # A sample without valid pixels has an infinite range; any finite range works, since none of its pixels count.
    empty = ~torch.isfinite(low)
    low, high = low.masked_fill(empty, 0.0), high.masked_fill(empty, 1.0)
    span = (high - low).clamp_min(_FLOOR)
    similarity = _ssim_map(((prediction - low) / span).clamp(0.0, 1.0), ((truth - low) / span).clamp(0.0, 1.0))
    return _mean(1.0 - similarity, mask)


def gradient_loss(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference of the maps' finite differences, averaged over both directions.

    A difference counts if both of its pixels are valid.

    Raises:
        InputError: the shapes do not fit.
    """
    prediction, truth, mask = _prepare(prediction, truth, mask)
    error = prediction - truth
    vertical = _mean(error.diff(dim=2).abs(), mask[:, :, 1:] & mask[:, :, :-1])
    horizontal = _mean(error.diff(dim=3).abs(), mask[:, :, :, 1:] & mask[:, :, :, :-1])
    return (vertical + horizontal) / 2.0


def log_l1_loss(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Absolute difference of log depth, averaged over each frame's valid pixels and then over the frames with any.

    Frames with sparse truth count as much as frames with dense truth.

    Raises:
        InputError: the shapes do not fit.
    """
    difference, mask = _log_difference(*_prepare(prediction, truth, mask))
    return _mean_of_means(difference.abs(), mask)


def band_loss(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Absolute difference of log depth, averaged over each frame's distance bands, then over bands and frames.

    Near ground fills most of a road picture; here the few far pixels count as much.

    Raises:
        InputError: the shapes do not fit.
    """
    prediction, truth, mask = _prepare(prediction, truth, mask)
    band = torch.bucketize(truth, truth.new_tensor(_BAND_EDGES_M))
    return _mean_of_groups(*_log_difference(prediction, truth, mask), band, len(_BAND_EDGES_M) + 1)


def class_loss(
    prediction: Tensor, truth: Tensor, mask: Tensor | None = None, *, labels: Tensor, classes: int
) -> Tensor:
    """Absolute error of log depth, averaged within each class of a frame first, then over classes and frames.

    So cars and people, which cover few pixels, count as much as the road.

    Args:
        prediction: (B, 1, h, w) metres.
        truth: (B, 1, H, W) metres.
        mask: as in the module's docstring.
        labels: (B, H, W) uint8 classes; ``classes`` or more is unlabelled and does not count.
        classes: how many there are.

    Raises:
        InputError: the shapes do not fit.
    """
    return _mean_of_groups(*_log_difference(*_prepare(prediction, truth, mask)), labels[:, None], classes)


def log_gradient_loss(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference of the finite differences of log depth, per frame; it sharpens edges.

    Raises:
        InputError: the shapes do not fit.
    """
    difference, mask = _log_difference(*_prepare(prediction, truth, mask))
    vertical = _mean_of_means(difference.diff(dim=2).abs(), mask[:, :, 1:] & mask[:, :, :-1])
    horizontal = _mean_of_means(difference.diff(dim=3).abs(), mask[:, :, :, 1:] & mask[:, :, :, :-1])
    return (vertical + horizontal) / 2.0


def far_loss(prediction: Tensor, truth: Tensor, max_depth: float) -> Tensor:
    """How far below ``max_depth`` the prediction is, in log depth, where the truth lies at it or beyond.

    Args:
        prediction: (B, 1, h, w) metres.
        truth: (B, 1, H, W) metres; NaN where unknown.
        max_depth: upper limit of depth, metres.

    Raises:
        InputError: the shapes do not fit.
    """
    prediction, truth, mask = _prepare(prediction, truth, truth >= max_depth)
    return _mean_of_means((math.log(max_depth) - prediction.clamp_min(_FLOOR).log()).clamp_min(0.0), mask)


def uncertainty_loss(prediction: Tensor, laplace_scale: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of the true log depth under a Laplace distribution around the predicted one.

    ``|log(prediction) - log(truth)| / b + log(b)``, without the constant log(2), averaged over each frame's valid
    pixels and then over the frames with any (Kendall and Gal, 2017, arXiv:1703.04977). The prediction gets no gradient:
    trained by a likelihood, depth would learn less where it is uncertain (Seitzer et al., 2022, arXiv:2203.09168).

    Args:
        prediction: (B, 1, h, w) metres.
        laplace_scale: (B, 1, h, w) the scale b, above 0.
        truth: (B, 1, H, W) metres.
        mask: as in the module's docstring.

    Raises:
        InputError: the shapes do not fit.
    """
    scale, _, _ = _prepare(laplace_scale, truth, mask)
    difference, mask = _log_difference(*_prepare(prediction.detach(), truth, mask))
    return _mean_of_means(difference.abs() / scale + scale.log(), mask)


def language_loss(dense: Tensor, labels: Tensor, logit_scale: float) -> Tensor:
    """Cross-entropy of a closed vocabulary's features, weighted by how rare a class is in the batch.

    A pixel's class has the probability softmax(``logit_scale`` * features), the features resized to the labels. Its
    weight is its class's share of the labelled pixels to the power of -1/4, so that poles and people, which cover few
    pixels, are learnt too. Zero, with a gradient of zero, if no pixel is labelled.

    Args:
        dense: (B, rows, columns, D) features of length 1, one axis for each class.
        labels: (B, H, W) uint8, the classes; D or more is unlabelled.
        logit_scale: factor on the features.
    """
    count = dense.shape[-1]
    logits = resize_bilinear(dense.float().permute(0, 3, 1, 2) * logit_scale, labels.shape[1:])
    target = labels.long().where(labels < count, torch.full((), count, device=labels.device))
    shares = torch.bincount(target.flatten(), minlength=count + 1)[:count].clamp_min(1).float()
    weights = (shares / shares.sum()).pow(_RARITY)
    total = functional.cross_entropy(logits, target, weights, ignore_index=count, reduction="sum")
    return total / (shares * weights * (shares > 0)).sum()


def depth_loss(
    prediction: Tensor,
    auxiliary: Sequence[Tensor],
    truth: Tensor,
    config: LossConfig,
    min_depth: float,
    max_depth: float,
    labels: Tensor | None = None,
    classes: int = 0,
) -> dict[str, Tensor]:
    """Return the weighted terms of the recipe and their sum, ``total``.

    Args:
        prediction: (B, 1, h, w) metres.
        auxiliary: the auxiliary heads' maps, (B, 1, h, w) metres each, shallow decoder block first; may be empty.
        truth: (B, 1, H, W) metres; pixels not strictly between the limits do not count.
        config: the weights.
        min_depth: lower limit of the truth, metres.
        max_depth: upper limit of the truth, metres.
        labels: (B, H, W) uint8 classes, for ``config.classes``; None leaves that term out.
        classes: number of classes in them.

    Returns:
        Scalars by name: ``silog``, ``ssim``, ``gradient``, ``aux1``... unweighted and without terms of weight zero, and
        ``total``.

    Raises:
        InputError: the shapes do not fit.
    """
    mask = valid_mask(truth, min_depth, max_depth)
    weighted: list[tuple[str, float, Callable[[Tensor, Tensor, Tensor], Tensor], Tensor]] = [
        ("silog", config.silog, silog_loss, prediction),
        ("ssim", config.ssim, ssim_loss, prediction),
        ("gradient", config.gradient, gradient_loss, prediction),
        ("log_l1", config.log_l1, log_l1_loss, prediction),
        ("bands", config.bands, band_loss, prediction),
        ("log_gradient", config.log_gradient, log_gradient_loss, prediction),
        *(
            (f"aux{number}", weight, silog_loss, maps)
            for number, (weight, maps) in enumerate(zip(config.auxiliary, auxiliary, strict=False), start=1)
        ),
    ]
    if labels is not None:
        weighted.append(("classes", config.classes, partial(class_loss, labels=labels, classes=classes), prediction))
    terms = {name: loss(maps, truth, mask) for name, weight, loss, maps in weighted if weight}
    total = sum((weight * terms[name] for name, weight, _, _ in weighted if weight), start=prediction.new_zeros(()))
    if config.far:
        terms["far"] = far_loss(prediction, truth, max_depth)
        total = total + config.far * terms["far"]
    return {**terms, "total": total}


def _prepare(prediction: Tensor, truth: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if prediction.ndim != 4 or truth.ndim != 4 or prediction.shape[:2] != truth.shape[:2]:
        raise InputError(
            "prediction and truth",
            f"must be (B, 1, H, W) of one batch, got {tuple(prediction.shape)} and {tuple(truth.shape)}",
        )
    if mask is None:
        mask = torch.ones_like(truth, dtype=torch.bool)
    elif mask.shape != truth.shape or mask.dtype != torch.bool:
        raise InputError("mask", f"must be bool {tuple(truth.shape)}, got {mask.dtype} {tuple(mask.shape)}")
    # Half precision is too coarse for logarithms and variances of depth.
    prediction = prediction.float() if prediction.dtype in (torch.float16, torch.bfloat16) else prediction
    if prediction.shape[2:] != truth.shape[2:]:
        prediction = functional.interpolate(prediction, truth.shape[2:], mode="bilinear", align_corners=True)
    # Invalid pixels are computed too, and one NaN among them would make every gradient NaN.
    return prediction, truth.nan_to_num(0.0, 0.0, 0.0), mask


def _log_difference(prediction: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return prediction.clamp_min(_FLOOR).log() - truth.clamp_min(_FLOOR).log(), mask


def _mean_of_groups(difference: Tensor, mask: Tensor, group: Tensor, groups: int) -> Tensor:
    """Mean absolute difference of each group of a frame's pixels, then of the groups that have any, from 0 on."""
    masks = torch.stack([mask & (group == number) for number in range(groups)])
    return _mean_of_means(difference.abs().expand(masks.shape).flatten(0, 1), masks.flatten(0, 1))


def _mean_of_means(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the valid pixels of each sample, then over the samples that have any; zero without any."""
    counts = mask.sum(dim=(1, 2, 3))
    means = values.where(mask, 0.0).sum(dim=(1, 2, 3)) / counts.clamp_min(1)
    return means.sum() / (counts > 0).sum().clamp_min(1)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the valid pixels, zero without any; indexing them instead would make a GPU wait to count them."""
    return values.where(mask, 0.0).sum() / mask.sum().clamp_min(1)


def _ssim_map(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each pixel of two (B, 1, H, W) maps in [0, 1]."""
    mean_p, square_p, product = _blur(torch.stack([prediction, prediction * prediction, prediction * truth])).unbind()
    # Separate from the blur above, so that no gradient is computed for the truth.
    mean_t, square_t = _blur(torch.stack([truth, truth * truth])).unbind()
    variance_p, variance_t = square_p - mean_p.square(), square_t - mean_t.square()
    covariance = product - mean_p * mean_t
    c1, c2 = _SSIM_K1**2, _SSIM_K2**2
    numerator = (2.0 * mean_p * mean_t + c1) * (2.0 * covariance + c2)
    denominator = (mean_p.square() + mean_t.square() + c1) * (variance_p + variance_t + c2)
    return torch.div(numerator, denominator)


def _blur(maps: Tensor) -> Tensor:
    """Blur (..., H, W) with the Gaussian window, zero beyond the edges.

    Two products with banded matrices are several times faster than one-channel convolutions, mainly in the backward
    pass.
    """
    return _band(maps, maps.shape[-2]) @ maps @ _band(maps, maps.shape[-1])


def _band(like: Tensor, size: int) -> Tensor:
    """Return the symmetric (size, size) matrix that blurs along one axis."""
    offsets = torch.arange(_SSIM_WINDOW, dtype=torch.float64) - _SSIM_WINDOW // 2
    taps = torch.exp(-offsets.square() / (2.0 * _SSIM_SIGMA**2))
    taps = (taps / taps.sum()).to(dtype=like.dtype, device=like.device)
    positions = torch.arange(size, device=like.device)
    reach = positions[:, None] - positions[None, :] + _SSIM_WINDOW // 2
    return torch.where((reach >= 0) & (reach < _SSIM_WINDOW), taps[reach.clamp(0, _SSIM_WINDOW - 1)], 0.0)
