"""Lens models as drivers name them and fill them in, brought into OpenCV's two forms.

``sensor_msgs/CameraInfo`` knows plumb_bob, rational_polynomial and equidistant. Drivers also use other names for the
same models, and vectors with trailing zeros: whatever has one meaning only is taken, the rest is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError

# One function in OpenCV: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tilt x, tilt y]]]]; what is left out is zero.
_PINHOLE_COUNTS = (4, 5, 8, 12, 14)
_PINHOLE = ("plumb_bob", "rational_polynomial", "radtan", "radial_tangential", "brown_conrady")
# k1 k2 k3 k4 of the angle's powers 3, 5, 7 and 9 (Kannala and Brandt, PAMI 2006).
_FISHEYE_COUNT = 4
_FISHEYE = ("equidistant", "fisheye", "kannala_brandt", "kannala_brandt4")
MODELS = (*_PINHOLE, *_FISHEYE)
_ANGLES = 9000


class Lens(NamedTuple):
    """A lens in one of OpenCV's forms.

    Attributes:
        coefficients: 4, 5, 8, 12 or 14 for ``cv2.initUndistortRectifyMap``, 4 for ``cv2.fisheye``; empty where there
            is no distortion.
        fisheye: which of the two.
    """

    coefficients: npt.NDArray[np.float64]
    fisheye: bool

    def largest_radius(self) -> float:
        """Return up to which distance from the axis, in a plane 1 ahead of the lens, its image grows outwards.

        Beyond, the radial polynomial turns round: rays from further out land further in. Tangential and prism terms
        are small and left out.
        """
        angles = np.linspace(0, np.pi / 2, _ANGLES, endpoint=False)
        radii = np.tan(angles)
        if self.fisheye:
            image = angles * np.polynomial.polynomial.polyval(angles**2, [1, *self.coefficients])
        else:
            k1, k2, _, _, k3, k4, k5, k6 = np.pad(self.coefficients, (0, 8))[:8]
            powers = radii**2
            image = radii * np.polynomial.polynomial.polyval(powers, [1, k1, k2, k3])
            image = image / np.polynomial.polynomial.polyval(powers, [1, k4, k5, k6])
        turns = np.flatnonzero(np.diff(image) <= 0)
        return float(radii[turns[0]]) if turns.size else np.inf


def standard_name(model: str) -> str:
    """Return a distortion model's name as :data:`MODELS` writes it."""
    return re.sub(r"[\s-]+", "_", model.strip().lower())


def is_fisheye(model: str) -> bool:
    """Return whether a distortion model is one of fisheye lenses."""
    return standard_name(model) in _FISHEYE


def lens(model: str, D: npt.ArrayLike) -> Lens:
    """Return the lens that a distortion model and its coefficients describe.

    Args:
        model: one of :data:`MODELS`, in any case, with blanks or hyphens for underscores; any name if D is all zero.
        D: its coefficients, in the order of sensor_msgs/CameraInfo.

    Raises:
        InputError: coefficients that are not finite, an unknown model, or more coefficients than the model has.
    """
    given: npt.NDArray[np.float64] = np.asarray(D, dtype=np.float64).ravel()
    if not np.isfinite(given).all():
        raise InputError(f"distortion coefficients must be finite, got {given.tolist()}")
    coefficients = given[: np.flatnonzero(given)[-1] + 1] if given.any() else given[:0]
    if not coefficients.size:
        return Lens(coefficients, fisheye=False)
    name = standard_name(model)
    if name in _FISHEYE:
        return Lens(_padded(name, coefficients, (_FISHEYE_COUNT,)), fisheye=True)
    if name in _PINHOLE:
        if given.size == coefficients.size == 3:
            raise InputError(
                f"{name} with 3 distortion coefficients may mean k1 k2 p1 or k1 k2 k3", remedy="give 4 or 5"
            )
        return Lens(_padded(name, coefficients, _PINHOLE_COUNTS), fisheye=False)
    raise InputError(f"distortion model must be one of {', '.join(MODELS)}, got {model!r}")


def _padded(model: str, coefficients: npt.NDArray[np.float64], counts: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return the coefficients with the zeros that were left out, up to the next of the counts."""
    for count in counts:
        if coefficients.size <= count:
            return np.pad(coefficients, (0, count - coefficients.size))
    raise InputError(
        f"{model} has {counts[-1]} distortion coefficients at most, got {coefficients.size}, the last one not 0"
    )
