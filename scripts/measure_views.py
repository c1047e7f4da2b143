"""Measures ways to use a model with another camera than it was trained with.

``python scripts/measure_views.py MODEL CONFIG`` takes the validation frames of a settings file as ``space_clip
evaluate`` does, one table for each folder; ``synthetic`` in place of CONFIG draws drives of cameras of 40 to 120
degrees. ``--kitti-crops`` cuts frames of KITTI's camera narrower, so that real frames of several shapes can be
compared.

Ways:

- none: the whole image, depth as it comes.
- factor: that depth times the focal factor.
- view: the part of the image that the training camera would have seen, cropped or padded to its field of view. The rest
  of the image has no depth.
- view, filled: the rest is from a run on the whole image, multiplied so that the two agree where they overlap.
- wide view, filled: like it, but columns are never cropped and rows never padded: the view is grown or shrunk, in the
  training camera's shape, and depth multiplied by the factor that this leaves.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.cli.console import say
from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.evaluation.metrics import compute_metrics
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.geometry.focal_factor import TrainingCamera, focal_factor
from space_clip_ros.inference import load_predictor
from space_clip_ros.settings import load
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training_config import SourceConfig, TrainingConfig, sources

Predict = Callable[[NDArray[np.uint8]], Depth]
Named = tuple[str, RgbdFrame]

MIN_M, MAX_M = 1e-3, 80.0
KITTI_CENTER = (0.491, 0.461)
"""Where KITTI's principal point lies, as shares of the image's width and height. Models' files do not say."""
CROPS = ((1242, 375), (900, 375), (660, 375), (500, 375), (700, 210))
"""Widths and heights for --kitti-crops."""


def ways(
    predict: Predict,
    rgb: NDArray[np.uint8],
    camera: PinholeCamera,
    trained: TrainingCamera,
    center: tuple[float, float],
) -> dict[str, Depth]:
    """Return the depth of each way, (H, W) float32 metres, NaN where there is none.

    Args:
        predict: the model.
        rgb: (H, W, 3) uint8 RGB.
        camera: the image's camera.
        trained: the training camera.
        center: where its principal point lies, as shares of its width and height.
    """
    whole = predict(rgb)
    # The training camera's view in this camera's pixels.
    width, height = camera.fx * trained[0] / trained[2], camera.fy * trained[1] / trained[3]
    view = seen_through(predict, rgb, camera, (width, height), center)
    size = max(camera.width / width, min(1.0, camera.height / height))
    wide = seen_through(predict, rgb, camera, (size * width, size * height), center) / np.float32(size)
    return {
        "none": whole,
        "factor": whole * np.float32(focal_factor(camera, trained)),
        "view": view,
        "view, filled": filled(view, whole),
        "wide view, filled": filled(wide, whole),
    }


def seen_through(
    predict: Predict,
    rgb: NDArray[np.uint8],
    camera: PinholeCamera,
    size: tuple[float, float],
    center: tuple[float, float],
) -> Depth:
    """Return depth as a view of ``size``, width and height in this camera's pixels, gives it.

    The principal point lies at ``center`` of the view, unless the view would then show less of the image than it could.
    Beside the image, it repeats the image's last row or column.
    """
    columns, rows = round(size[0]), round(size[1])
    left = _start(camera.cx, center[0], columns, camera.width)
    top = _start(camera.cy, center[1], rows, camera.height)
    inside = (
        slice(max(top, 0), min(top + rows, camera.height)),
        slice(max(left, 0), min(left + columns, camera.width)),
    )
    cut = rgb[inside]
    above, before = max(-top, 0), max(-left, 0)
    below, behind = rows - above - cut.shape[0], columns - before - cut.shape[1]
    padded = cv2.copyMakeBorder(cut, above, below, before, behind, cv2.BORDER_REPLICATE)
    seen = predict(padded.astype(np.uint8, copy=False))
    depth = np.full(rgb.shape[:2], np.nan, np.float32)
    depth[inside] = seen[above : above + cut.shape[0], before : before + cut.shape[1]]
    return depth


def _start(point: float, share: float, size: int, available: int) -> int:
    low, high = sorted((0, available - size))
    return min(max(round(point - share * size), low), high)


def filled(depth: Depth, whole: Depth) -> Depth:
    """Fill NaN with the whole image's depth times the median ratio of the two."""
    both = np.isfinite(depth) & (depth > 0) & (whole > 0)
    ratio = np.exp(np.median(np.log(depth[both] / whole[both])))
    return np.where(np.isfinite(depth), depth, whole * ratio)


def configured(config: str) -> Iterator[Named]:
    """Yield the validation frames of a settings file, with their folders' names."""
    frames = FrameCollection(open_sources(sources(load(TrainingConfig, config).data.validation)))
    for index in range(len(frames)):
        yield frames.files(index)[0].parent.name, frames[index]


def cropped(frames: Iterable[Named]) -> Iterator[Named]:
    """Yield each frame in each of :data:`CROPS`."""
    for _, frame in frames:
        if frame.camera is None:
            continue
        for width, height in CROPS:
            width, height = min(width, frame.camera.width), min(height, frame.camera.height)
            left, top = (frame.camera.width - width) // 2, (frame.camera.height - height) // 2
            window = slice(top, top + height), slice(left, left + width)
            image = np.ascontiguousarray(frame.image[window])
            camera = frame.camera.cropped(left, top, width, height)
            yield f"{width // 10 * 10} x {height // 10 * 10}", RgbdFrame(image, frame.depth[window], camera)


def drawn(folder: Path) -> Iterator[Named]:
    """Yield frames of synthetic drives of several cameras."""
    for degrees in (40, 60, 80, 100, 120):
        for width, height in ((640, 360), (640, 480)):
            focal = width / 2 / math.tan(math.radians(degrees / 2))
            camera = PinholeCamera(width, height, focal, focal, width / 2 + 0.5, height / 2 + 0.5)
            name = f"{degrees} degrees, {width} x {height}"
            for seed, layout in enumerate(("city", "residential", "country"), 9101):
                drive = write_drive(folder / name, 6, seed, camera, stride=10, layout=layout, scans=False)
                frames = FrameCollection(open_sources([SourceConfig(path=str(drive))]))
                for index in range(len(frames)):
                    yield name, frames[index]


def measure(model: str, frames: Iterable[Named], center: tuple[float, float]) -> None:
    """Print a table for each name: abs_rel, delta1, abs_rel with median scaling, share of the truth with depth."""
    tables: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    with load_predictor(model) as predict:
        trained = predict.info.training_camera
        if trained is None:
            raise SystemExit(f"{model} does not say which camera it was trained with")
        for name, frame in frames:
            if frame.camera is None:
                raise SystemExit(f"a frame of {name} has no camera")
            for way, depth in ways(predict, frame.image, frame.camera, trained, center).items():
                truth = frame.depth
                known = (truth > MIN_M) & (truth < MAX_M)
                metrics, scaled = (compute_metrics(depth, truth, MIN_M, MAX_M, "none", fit) for fit in (False, True))
                covered = float(np.isfinite(depth[known]).mean())
                figures = metrics["abs_rel"], metrics["a1"], scaled["abs_rel"], covered
                tables.setdefault(name, {}).setdefault(way, []).append(figures)
    for name, table in tables.items():
        say(f"{name}, {len(table['none'])} frames\n  {'way':<20}{'abs_rel':>9}{'a1':>9}{'scaled':>9}{'covered':>9}")
        for way, rows in table.items():
            say(f"  {way:<20}" + "".join(f"{figure:9.3f}" for figure in np.mean(rows, axis=0)))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="bundled model, .onnx file or checkpoint")
    parser.add_argument("config", help="settings file whose data.validation is used, or synthetic")
    parser.add_argument("--kitti-crops", action="store_true", help="cut every frame to several sizes")
    parser.add_argument(
        "--center",
        type=float,
        nargs=2,
        default=KITTI_CENTER,
        metavar=("X", "Y"),
        help="where the training camera's principal point lies, as shares of its image (default: KITTI's)",
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        frames = drawn(Path(folder)) if args.config == "synthetic" else configured(args.config)
        measure(args.model, cropped(frames) if args.kitti_crops else frames, tuple(args.center))


if __name__ == "__main__":
    main()
