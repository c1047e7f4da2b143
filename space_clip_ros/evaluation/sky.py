"""How much of the sky a prediction calls near."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from space_clip_ros.data.kitti_raw_frames import FARTHEST_M
from space_clip_ros.evaluation.metrics import Map

NEAR_M = 40.0
"""The sky is called near if it is predicted nearer than this, metres."""


class SkyShares(NamedTuple):
    """How near a prediction puts the sky.

    Attributes:
        share: share of the picture that is sky.
        near: share of the sky's pixels predicted nearer than :data:`NEAR_M`.
        in_range: share of the sky's pixels predicted nearer than the largest depth.
    """

    share: float
    near: float
    in_range: float


def sky_shares(prediction: Map, truth: Map, max_depth: float) -> SkyShares | None:
    """Return how near a prediction puts the sky; None if the truth shows no sky.

    Sky is where the truth is :data:`~space_clip_ros.data.kitti_raw_frames.FARTHEST_M` or more, as sources with
    ``unknown: far`` give it. A prediction that is NaN there is right: it claims no distance.

    Args:
        prediction: (H, W) metres.
        truth: (H, W) metres, NaN where unknown.
        max_depth: the largest depth, metres.
    """
    sky = truth >= FARTHEST_M
    if not sky.any():
        return None
    above = prediction[sky]
    return SkyShares(float(sky.mean()), float(np.mean(above < NEAR_M)), float(np.mean(above < max_depth)))
