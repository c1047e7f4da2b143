"""``space_clip predict``: depth of image files, as files, or of a bag's images, as topics."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from space_clip_ros.cli import predict_bag
from space_clip_ros.cli.console import progress, say
from space_clip_ros.config import ColorConfig
from space_clip_ros.errors import InputError

if TYPE_CHECKING:
    from space_clip_ros.geometry.calibration import CameraCalibration
    from space_clip_ros.geometry.camera import PinholeCamera
    from space_clip_ros.geometry.rectification import Rectifier
    from space_clip_ros.inference.backend import Depth, Rgb
    from space_clip_ros.inference.predictor import Predictor


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "predict",
        help="metric depth of images, or of a bag's images",
        description="Estimate metric depth of image files, or of a bag's images (--bag). For NAME.png, writes "
        "NAME_depth.png (16 bits, 0 where invalid), NAME_color.png and, with --camera, the cloud NAME.ply. Of a "
        "folder, it takes the images in it, not those in its subfolders. Images of a camera with distortion are "
        "rectified first, and all files show the rectified image. With --bag, --out is a copy of the bag with the "
        "topics that depth_node would publish; run the command again to resume after an interruption.",
        epilog="example: space_clip predict street.png --out depth --camera camera.yaml",
    )
    parser.add_argument(
        "images", type=Path, nargs="*", metavar="IMAGE", help="image file (PNG, JPEG), or a folder of them"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: here); with --bag that of the new bag"
    )
    predict_bag.add_loading(parser)
    parser.add_argument(
        "--camera",
        type=Path,
        metavar="K.yaml",
        help="the images' calibration, as ROS's camera_calibration writes it",
    )
    parser.add_argument(
        "--ply",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write the cloud (default: with --camera, which it needs)",
    )
    parser.add_argument(
        "--format",
        choices=("mm", "kitti"),
        default="mm",
        help="depth PNG in millimetres or, as KITTI, metres * 256 (default: %(default)s)",
    )
    predict_bag.add_arguments(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Predict every image file, or every image of a bag.

    Raises:
        SpaceClipError: an image, the bag, the camera or the model cannot be used, or a file cannot be written.
    """
    _check_usage(args)
    if args.bag:
        return predict_bag.run(args)
    out = args.out or Path()

    from space_clip_ros.cli.camera_file import read_camera_file
    from space_clip_ros.cli.image_files import find_images
    from space_clip_ros.geometry.image_file import read_rgb
    from space_clip_ros.inference import load_predictor

    images = find_images(args.images, say)
    calibration = read_camera_file(args.camera) if args.camera else None
    out.mkdir(parents=True, exist_ok=True)
    settings = predict_bag.settings_of(args)
    with load_predictor(settings.model, **settings.running()) as predictor:
        info = predictor.info
        say(f"{info.name} on {info.backend}, {info.device}, {info.precision}")
        for file, name in progress(images, len(images), "depth"):
            rgb = read_rgb(file)
            rectifier = _rectifier(rgb, calibration, file) if calibration else None
            if rectifier is not None:
                rgb = rectifier(rgb).astype(rgb.dtype, copy=False)
            result = _Result(out / name, rgb, _valid_depth(predictor, rgb, rectifier))
            result.write(args.format, info.min_depth, info.max_depth)
            if rectifier is not None and args.ply is not False:
                result.write_cloud(rectifier.camera)
    return 0


@dataclass(frozen=True)
class _Result:
    """One image with its depth; ``stem`` is the path that all its files begin with."""

    stem: Path
    rgb: Rgb
    depth: Depth

    def write(self, format: str, min_depth: float, max_depth: float) -> None:
        """Write depth and colours, and print the median."""
        import numpy as np

        from space_clip_ros.geometry.color import colorize
        from space_clip_ros.geometry.depth import write_depth_png
        from space_clip_ros.geometry.image_file import write_rgb

        target = self._file("_depth.png")
        write_depth_png(target, self.depth, format)
        write_rgb(self._file("_color.png"), colorize(self.depth, ColorConfig().colormap, min_depth, max_depth))
        valid = self.depth[np.isfinite(self.depth)]
        median = f"median {np.median(valid):.2f} m" if valid.size else "no valid depth"
        say(f"{target}: {median}, {valid.size / self.depth.size:.0%} valid")

    def write_cloud(self, camera: PinholeCamera) -> None:
        """Write the coloured cloud, and print its size."""
        from space_clip_ros.geometry.cloud import Projector
        from space_clip_ros.geometry.ply import write_ply

        target = self._file(".ply")
        count = write_ply(target, Projector(camera).project(self.depth), self.rgb)
        say(f"{target}: {count} points")

    def _file(self, ending: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}{ending}")


def _check_usage(args: argparse.Namespace) -> None:
    predict_bag.check_usage(args)
    if args.ply and not args.camera:
        args.parser.error("--ply needs --camera")
    files = [path for path in args.images if not path.is_dir()]
    repeated = [stem for stem, count in Counter(file.stem for file in files).items() if count > 1]
    if repeated:
        args.parser.error(f"several images are named {repeated[0]}, and would overwrite each other's results")


def _rectifier(rgb: Rgb, calibration: CameraCalibration, file: Path) -> Rectifier:
    """Return what takes an image's distortion out."""
    height, width = rgb.shape[:2]
    try:
        rectifier = calibration.rectifier(width, height)
    except InputError as error:
        raise InputError(file, f"does not fit its camera: {error}") from error
    if (width, height) != (calibration.width, calibration.height):
        say(f"{file}: the camera of {calibration.width}x{calibration.height} pixels is scaled to {width}x{height}")
    return rectifier


def _valid_depth(predictor: Predictor, rgb: Rgb, rectifier: Rectifier | None) -> Depth:
    """Return the depth, NaN where it is out of the model's range or the camera saw nothing."""
    import numpy as np

    from space_clip_ros.geometry.depth import invalidate

    depth = predictor(rgb)
    if rectifier is not None and rectifier.outside is not None:
        depth[rectifier.outside] = np.nan
    return invalidate(depth, predictor.info.min_depth, predictor.info.max_depth, out=depth)
