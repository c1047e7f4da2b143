"""Sun, sky, clouds and haze of a drive, and the sky's image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.noise import Field, Rng, fractal

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Light:
    """What lights a scene. Colours are linear RGB; 1 is a white sheet that faces the noon sun.

    Attributes:
        to_sun: (3,) unit vector towards the sun.
        sun: (3,) sunlight on a surface that faces it; zero under an overcast sky.
        sky: (3,) light from the sky on a surface that faces up.
        bounce: (3,) light from the ground on a surface that faces down.
        zenith: (3,) colour of the sky overhead.
        horizon: (3,) colour of the sky near the horizon, and of haze.
        haze: share of light lost to haze, 1/metres.
        clouds: share of the sky that clouds cover, 0 to 1.
        cloud_field: (S, S) noise that the clouds are made of.
        occlusion: share of the sky's light that is missing in shadows, because what hides the sun hides sky, too.
        soft_shadows: whether shadows have soft edges.
    """

    to_sun: Vector
    sun: Vector
    sky: Vector
    bounce: Vector
    zenith: Vector
    horizon: Vector
    haze: float
    clouds: float
    cloud_field: Field
    occlusion: float = 0.0
    soft_shadows: bool = False


def random_light(rng: Rng) -> Light:
    """Return clear, cloudy or overcast weather at a random hour of the day."""
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(14, 62))
    to_sun = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    overcast = rng.random() < 0.25
    warm = np.array([1.0, 0.94, 0.84]) ** (1.6 - 1.2 * np.sin(elevation))
    blue = np.array([0.72, 0.9, 1.15])
    if overcast:
        gray = np.array([0.95, 1.0, 1.06])
        sun, sky, zenith = np.zeros(3), 0.75 * gray, rng.uniform(0.6, 1.1) * gray
        horizon, clouds = rng.uniform(0.9, 1.4) * gray, 1.0
    else:
        sun = warm * rng.uniform(0.75, 1.1)
        sky = blue * rng.uniform(0.09, 0.27)
        zenith = np.array([0.22, 0.38, 0.72]) * rng.uniform(0.6, 1.4)
        horizon, clouds = np.array([0.9, 1.0, 1.08]) * rng.uniform(0.7, 1.5), rng.uniform(0, 0.8)
    return Light(
        to_sun=to_sun,
        sun=sun,
        sky=sky,
        bounce=0.12 * (sky + sun * np.sin(elevation)),
        zenith=zenith,
        horizon=horizon,
        haze=float(rng.choice([0.0003, 0.0008, 0.0016, 0.003], p=[0.4, 0.35, 0.2, 0.05])),
        clouds=clouds,
        cloud_field=fractal(rng, 256, 4, 6, 0.6),
    )


def varied_light(rng: Rng) -> Light:
    """Return weather from a wider range than :func:`random_light`'s.

    Hard sun under a sky that may be far too bright for the camera, a low sun, thin and thick cloud, dusk, mist.
    """
    weather = str(rng.choice(["sun", "low_sun", "overcast", "dusk", "mist"], p=(0.64, 0.12, 0.15, 0.06, 0.03)))
    low, high = {"low_sun": (4.0, 14.0)}.get(weather, (14.0, 62.0))
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(low, high))
    to_sun = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    warm = np.array([1.0, 0.94, 0.84]) ** (1.6 - 1.2 * np.sin(elevation))
    gray = np.array([0.95, 1.0, 1.06])
    veil = float(np.exp(rng.uniform(0, np.log(3.5))))  # how much brighter than blue the sky is near the sun
    haze = float(rng.choice([0.0002, 0.0006, 0.0012, 0.0025], p=[0.5, 0.3, 0.15, 0.05]))
    if weather in ("sun", "low_sun"):
        sun = warm * rng.uniform(0.8, 1.3)
        sky = np.array([0.72, 0.9, 1.15]) * rng.uniform(0.05, 0.18)
        zenith = np.array([0.22, 0.38, 0.72]) * rng.uniform(0.6, 1.6) * veil**0.7
        horizon, clouds = np.array([0.93, 1.0, 1.05]) * rng.uniform(0.8, 1.6) * veil, rng.uniform(0, 0.8)
        haze *= 1.5 if weather == "low_sun" else 1.0
    elif weather == "dusk":
        sun, sky = np.zeros(3), np.array([0.7, 0.85, 1.15]) * rng.uniform(0.1, 0.3)
        zenith = np.array([0.1, 0.2, 0.5]) * rng.uniform(0.5, 1.5)
        horizon, clouds = np.array([1.0, 0.7, 0.5]) * rng.uniform(0.3, 0.9), rng.uniform(0, 1)
    else:
        sun, sky = np.zeros(3), rng.uniform(0.5, 0.8) * gray
        zenith = rng.uniform(0.6, 1.6) * gray
        horizon, clouds = rng.uniform(0.9, 1.8) * gray, 1.0
        if weather == "mist":
            haze, horizon = rng.uniform(0.006, 0.015), rng.uniform(0.5, 0.8) * gray
            zenith = horizon
    return Light(
        to_sun=to_sun,
        sun=sun,
        sky=sky,
        bounce=0.12 * (sky + sun * np.sin(elevation)),
        zenith=zenith,
        horizon=horizon,
        haze=haze,
        clouds=clouds,
        cloud_field=fractal(rng, 256, 4, 6, 0.6),
        occlusion=rng.uniform(0.3, 0.75),
        soft_shadows=True,
    )


def sky_image(light: Light, camera: PinholeCamera, rotation: NDArray[np.floating], rows: int) -> NDArray[np.float32]:
    """Return (rows, W, 3) float32 linear RGB of the sky.

    Args:
        light: weather.
        camera: where the pixels are.
        rotation: (3, 3) camera axes to world axes.
        rows: number of rows, from the top of the image.
    """
    step = 6  # the sky is smooth: compute every sixth pixel and enlarge
    x = np.arange(0, camera.width + step, step)
    y = np.arange(0, rows + step, step)
    right, down = np.meshgrid((x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy)
    direction = np.stack([right, down, np.ones_like(right)], axis=-1) @ rotation.T
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    height = direction[..., 2:].clip(0.0, 1.0)
    color = light.horizon + (light.zenith - light.horizon) * (1 - np.exp(-5 * height))
    if light.sun.any():
        toward = (direction @ light.to_sun).clip(0, 1)[..., None]
        color = color + light.sun * (0.7 * toward**8 + 2.5 * toward**60 + 50 * toward**3000)
    ground = direction[..., :2] / (direction[..., 2:] + 0.12).clip(0.05)
    at = (ground * 40).astype(int) % light.cloud_field.shape[0]
    noise = light.cloud_field[at[..., 0], at[..., 1]][..., None]
    cover = ((noise + 3 * light.clouds - 1.8) * 0.8).clip(0, 0.9) * (light.clouds > 0.05)
    cloud = light.horizon * (1.0 + 0.15 * noise)
    color = (color * (1 - cover) + cloud * cover).astype(np.float32)
    large = cv2.resize(color, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[:rows, : camera.width], np.float32)
