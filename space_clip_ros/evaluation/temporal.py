"""How steady depth is: how its error changes between consecutive frames, where the truth does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.distance_bands import BANDS, EDGES_M
from space_clip_ros.evaluation.metrics import crop_window
from space_clip_ros.evaluation.protocol import EvaluationProtocol
from space_clip_ros.geometry.depth import Depth

STATIC = 0.05
"""Largest change of log depth, between two frames, of truth that counts as static: 5 %."""

REACH_PX = 2.0
"""Largest distance between two pixels with truth, one in each frame, that are taken for one place, pixels."""

_NUMBERED = re.compile(r"(.*?)(\d+)", re.DOTALL)


class BandFlicker(NamedTuple):
    """Mean changes between consecutive frames in a band, over pixels with static truth.

    With e = log(prediction / truth), a dash for the later of two frames and i over the pixels:

    Attributes:
        share: share of all pixels compared that the band holds.
        flicker: mean of \\|e'_i - e_i\\|, which is the change of log prediction less that of log truth.
        prediction: mean of \\|log prediction'_i - log prediction_i\\|.
        truth: mean of \\|log truth'_i - log truth_i\\|.
    """

    share: float
    flicker: float
    prediction: float
    truth: float


class TemporalReport(NamedTuple):
    """How steady depth is.

    Attributes:
        pairs: number of pairs of consecutive frames averaged.
        bands: mean changes by the names in :data:`~space_clip_ros.evaluation.distance_bands.BANDS` that have pixels;
            pairs weigh the same, and so do the pixels within a pair.
        whole: mean, over the pairs, of \\|median over i of e'_i - e_i\\|: the part of the flicker that the whole
            image shares, as if its scale changed.
    """

    pairs: int
    bands: dict[str, BandFlicker]
    whole: float


class _KnownDepth(NamedTuple):
    """A frame's prediction and truth, (H, W) float32 metres; truth is NaN where nothing is compared."""

    prediction: Depth
    truth: Depth


class TemporalAverage:
    """Compares each frame with the one before, and averages over all pairs of consecutive frames.

    A pixel counts if the truth of the earlier frame is known there, and that of the later frame at most
    :data:`REACH_PX` away; the nearest such pixel is its partner. Dense depth is thus compared pixel by pixel, and a
    scanner's point with the nearest point of the next scan. The prediction is read at the same two pixels as the
    truth, so that a slope between them cancels out. Pixels whose truth changes by more than :data:`STATIC` do not
    count: moving things, depth edges, and what the camera approaches fast. On a moving camera's flat road, depth at a
    pixel stays the same.

    Args:
        protocol: resizes and crops frames, and limits their depth.
    """

    def __init__(self, protocol: EvaluationProtocol) -> None:
        """Start with no frames."""
        self._protocol = protocol
        self._before: tuple[int, _KnownDepth] | None = None
        self._sums: list[NDArray[np.float64]] = []
        self._medians: list[float] = []

    def add(self, number: int, frame: RgbdFrame, prediction: Depth, consecutive: bool) -> None:
        """Add the next frame.

        Args:
            number: its number; frames are added in order.
            frame: as the protocol prepares it.
            prediction: (h, w) float32 metres.
            consecutive: whether it follows the frame with the number before it.
        """
        known = self._known(frame, prediction)
        if consecutive and self._before is not None and self._before[0] == number - 1:
            self._compare(self._before[1], known)
        self._before = number, known

    def report(self) -> TemporalReport:
        """Return the averages.

        Raises:
            DataError: no pixel could be compared.
        """
        if not self._sums:
            raise DataError(
                "--temporal",
                "no two consecutive frames with static truth in reach of each other",
                "give a drive or a folder whose pictures are numbered one by one",
            )
        sums = np.stack(self._sums)
        shares = sums[:, 0] / sums[:, 0, :1]
        bands = {}
        for index, name in enumerate(BANDS):
            count = sums[:, 0, index]
            counted = count > 0
            if counted.any():
                means = sums[counted, 1:, index] / count[counted, None]
                average = np.average(means, axis=0, weights=shares[counted, index])
                bands[name] = BandFlicker(float(shares[:, index].mean()), *average.tolist())
        return TemporalReport(len(self._sums), bands, float(np.mean(np.abs(self._medians))))

    def _known(self, frame: RgbdFrame, prediction: Depth) -> _KnownDepth:
        protocol = self._protocol
        truth = np.full_like(frame.depth, np.nan)
        window = crop_window(protocol.crop, *truth.shape)
        inside = frame.depth[window]
        counts = (inside > protocol.min_depth) & (inside < protocol.max_depth)
        truth[window] = np.where(counts, inside, np.nan)
        fitted = protocol.fit(prediction, truth)
        truth[np.isnan(fitted)] = np.nan
        return _KnownDepth(np.clip(fitted, protocol.min_depth, protocol.max_depth), truth)

    def _compare(self, before: _KnownDepth, now: _KnownDepth) -> None:
        if before.truth.shape != now.truth.shape:
            return
        start_pixels, end_pixels = partners(before.truth, now.truth)
        start = before.truth.ravel()[start_pixels].astype(np.float64)
        truth = np.log(now.truth.ravel()[end_pixels] / start)
        static = np.abs(truth) <= STATIC
        if not static.any():
            return
        start, truth = start[static], truth[static]
        earlier = before.prediction.ravel()[start_pixels[static]]
        prediction = np.log(now.prediction.ravel()[end_pixels[static]].astype(np.float64) / earlier)
        change = prediction - truth
        places = np.digitize(start, EDGES_M)
        columns = (np.ones(change.size), np.abs(change), np.abs(prediction), np.abs(truth))
        sums = np.stack([np.bincount(places, weights, len(EDGES_M) + 1) for weights in columns])
        self._sums.append(np.column_stack((sums.sum(axis=1), sums[:, 1:-1])))
        self._medians.append(float(np.median(change)))


def partners(before: Depth, now: Depth) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair each pixel with depth before with the nearest pixel with depth now, at most :data:`REACH_PX` away.

    Args:
        before: (H, W) float32 metres, NaN where unknown.
        now: (H, W) float32 metres, NaN where unknown.

    Returns:
        Two (pixels,) arrays of indices into the flattened maps.
    """
    known = ~np.isnan(now)
    if not known.any():
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    distance, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # OpenCV numbers the known pixels itself; each pixel's number can be read from the label map.
    nearest = np.zeros(int(labels.max()) + 1, np.intp)
    nearest[labels[known]] = np.flatnonzero(known)
    pixels = np.flatnonzero(~np.isnan(before) & (distance <= REACH_PX))
    return pixels, nearest[labels.ravel()[pixels]]


def follows(before: Sequence[Path], now: Sequence[Path]) -> bool:
    """Return whether a frame comes right after another: its picture's name has the next number, in the same folder.

    Args:
        before: the earlier frame's files, its picture first; none where it is in shards elsewhere.
        now: the later frame's files, likewise.
    """
    if not before or not now:
        return False
    earlier, later = before[0], now[0]
    names = _NUMBERED.fullmatch(earlier.stem), _NUMBERED.fullmatch(later.stem)
    if earlier.parent != later.parent or names[0] is None or names[1] is None:
        return False
    (text, number), (next_text, next_number) = names[0].groups(), names[1].groups()
    return text == next_text and int(next_number) == int(number) + 1
