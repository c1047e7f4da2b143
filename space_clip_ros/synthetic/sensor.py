"""From linear light to the bytes of a colour camera: exposure, vignetting, response, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.synthetic.noise import Rng

_NOISE_FRAME = (512, 2048)
_PIXEL_BLUR = 0.45  # standard deviation of a blur that softens edges like the mean over a pixel's area, pixels


@dataclass(frozen=True)
class Sensor:
    """Traits of the colour camera during one drive.

    Attributes:
        brightness: auto-exposure's target, mean byte value over the lower two thirds.
        contrast: exponent on dark tones; 1 changes nothing.
        balance: (3,) white balance factors.
        saturation: 1 leaves colours as they are.
        vignette: light lost in the corners, 0 to 1.
        blur: standard deviation, pixels.
        noise: standard deviation, byte values.
        grain: (512, 2048, 3) int16 noise; each frame takes a random window of it.
    """

    brightness: float = 95.0
    contrast: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    vignette: float = 0.1
    blur: float = 0.6
    noise: float = 2.0
    grain: NDArray[np.int16] = field(default_factory=lambda: np.zeros((*_NOISE_FRAME, 3), np.int16))

    def scaled(self, factor: float) -> Sensor:
        """Return the camera's traits once its pictures are shrunk by ``factor`` (below 1).

        Blur and noise shrink with the picture, the blur down to that of averaging over a pixel.
        """
        grain = np.rint(self.grain * np.float32(factor)).astype(np.int16)
        blur = float(np.hypot(self.blur * factor, _PIXEL_BLUR))
        return replace(self, blur=blur, noise=self.noise * factor, grain=grain)


def random_sensor(rng: Rng) -> Sensor:
    """Return a camera with random settings."""
    noise = rng.uniform(0.6, 3.0)
    grain = _grain(rng, noise)
    warm = rng.normal(0, 0.05)
    return Sensor(
        brightness=float(rng.uniform(75, 120)),
        contrast=float(rng.uniform(1.0, 1.65)),
        balance=(float(1 + warm), float(1 + rng.normal(0, 0.015)), float(1 - warm)),
        saturation=float(rng.uniform(0.55, 1.1)),
        vignette=float(rng.uniform(0, 0.3)),
        blur=float(rng.uniform(0.45, 0.85)),
        noise=float(noise),
        grain=grain,
    )


def varied_sensor(rng: Rng) -> Sensor:
    """Return a camera from a wider range than :func:`random_sensor`; most are sharp and contrasty, like KITTI's."""
    noise = float(np.exp(rng.uniform(np.log(0.5), np.log(5.0))))
    warm = rng.normal(0, 0.06)
    return Sensor(
        brightness=float(rng.triangular(65, 115, 150)),
        contrast=float(rng.triangular(1.1, 1.7, 2.1)),
        balance=(float(1 + warm), float(1 + rng.normal(0, 0.02)), float(1 - warm)),
        saturation=float(rng.uniform(0.5, 1.4)),
        vignette=float(rng.uniform(0, 0.35)),
        blur=float(rng.triangular(0.3, 0.35, 0.9)),
        noise=noise,
        grain=np.rint(_unit_grain() * np.float32(noise)).astype(np.int16),
    )


def expose(light: NDArray[np.float32], sensor: Sensor, rng: Rng) -> NDArray[np.uint8]:
    """Return the (H, W, 3) uint8 RGB image that a camera makes of linear light.

    Args:
        light: (H, W, 3) float32 linear RGB; a view of three planes is fastest.
        sensor: the camera's traits.
        rng: source of randomness, for exposure and noise.
    """
    height, width = light.shape[:2]
    sample = light[height // 3 :: 7, ::7].mean(axis=-1)
    gain = _gain(sample, sensor.brightness / 255.0 * rng.normal(1.0, 0.04))
    falloff = _vignette(height, width, sensor.vignette)
    channels = []
    for plane, balance in zip(np.moveaxis(light, 2, 0), sensor.balance, strict=True):
        bright = plane * (np.float32(balance) * np.float32(gain))
        if sensor.vignette:
            bright *= falloff
        channels.append(cv2.convertScaleAbs(cv2.sqrt(bright, dst=bright), alpha=255.0))
    image = cv2.merge(channels)
    if sensor.saturation != 1.0:
        image = cv2.transform(image, _saturation(sensor.saturation))
    if sensor.contrast != 1.0:
        image = cv2.LUT(image, _response(sensor.contrast))
    image = cv2.GaussianBlur(image, (5, 5), sensor.blur)
    top, left = (
        int(rng.integers(0, max(size - used, 0) + 1)) for size, used in zip(_NOISE_FRAME, light.shape, strict=False)
    )
    grain = sensor.grain[top : top + height, left : left + width]
    if grain.shape != image.shape:
        grain = np.tile(sensor.grain, (height // _NOISE_FRAME[0] + 1, width // _NOISE_FRAME[1] + 1, 1))[:height, :width]
    return np.asarray(cv2.add(image, grain, dtype=cv2.CV_8U))


@lru_cache(maxsize=1)
def _unit_grain() -> NDArray[np.float32]:
    """Return noise of standard deviation 1, the same every time: frames differ by the window they take of it."""
    rng = np.random.default_rng(0)
    grain = rng.standard_normal((*_NOISE_FRAME, 3), dtype=np.float32)
    return np.asarray(np.float32(0.8) * grain + np.float32(0.6) * rng.standard_normal((*_NOISE_FRAME, 1), np.float32))


def _grain(rng: Rng, noise: float) -> NDArray[np.int16]:
    """Return noise whose standard deviation is ``noise`` byte values; part of it is the same in all channels."""
    grain = rng.standard_normal((*_NOISE_FRAME, 3), dtype=np.float32)
    shared = rng.standard_normal((*_NOISE_FRAME, 1), dtype=np.float32)
    for part in (grain, shared):
        part *= np.float32(noise)
        part *= np.float32(0.6)
    grain += shared
    return np.asarray(np.rint(grain, out=grain).astype(np.int16))


def _gain(sample: NDArray[np.float32], target: float) -> float:
    """Return the exposure that brings the mean near its target; six iterations converge."""
    gain = target**2 / max(float(sample.mean()), 1e-4)
    for _ in range(6):
        mean = float(np.sqrt(np.minimum(sample * gain, 1.0)).mean())
        gain *= (target / max(mean, 1e-3)) ** 1.5
    return min(gain, 50.0)


def _vignette(height: int, width: int, strength: float) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.asarray(1 - strength * 0.5 * (x**2 + y**2), np.float32)


def _saturation(amount: float) -> NDArray[np.float32]:
    gray = np.full((3, 3), [0.3, 0.59, 0.11], np.float32)
    return np.asarray(gray * (1 - amount) + np.eye(3, dtype=np.float32) * amount, np.float32)


def _response(contrast: float) -> NDArray[np.uint8]:
    values = np.linspace(0, 1, 256)
    # A power law darkens dark tones; its exponent fades to 1 towards white, which keeps highlights.
    return np.asarray((255 * values ** (1 + (contrast - 1) * (1 - values))).round(), np.uint8)
