"""``space_clip predict``: depth of image files, as files, or of a bag's images, as topics."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from space_clip_ros.cli import predict_bag
from space_clip_ros.cli.console import complain, progress, say
from space_clip_ros.config import ColorConfig
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import made_folder

if TYPE_CHECKING:
    from space_clip_ros.geometry.calibration import CameraCalibration
    from space_clip_ros.geometry.color import Rgb
    from space_clip_ros.perception.calibration import RectifiedView
    from space_clip_ros.perception.frame import DepthFrame

_DARK_REMEDY = "if its camera stores 10 or 12 bits in 16, first spread them over all 16"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "predict",
        help="metric depth of images, or of a bag's images",
        description="Estimate metric depth of image files, or of a bag's images (--bag). For NAME.png, writes "
        "NAME_depth.png (16 bits, 0 where invalid or too far for them), NAME_color.png and, with --camera, the cloud "
        "NAME.ply. It replaces the files of an earlier run, and no other depth. A folder stands for the images "
        "directly in it. Images are turned upright as their EXIF orientation says; with --camera they are taken as "
        "stored, which is what its calibration is for. Images of a camera with distortion are rectified first, and "
        "all files show the rectified image. With --bag, --out is a copy of the bag with the topics that depth_node "
        "would publish; run the command again to resume after an interruption.",
        epilog="example: space_clip predict street.png --out depth --camera camera.yaml",
    )
    parser.add_argument(
        "images", type=Path, nargs="*", metavar="IMAGE", help="image file (PNG, JPEG), or a folder of them"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder to write to (default: here); with --bag, the folder of the new bag or bags"
    )
    predict_bag.add_shared(parser)
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
        help="depth PNG in millimetres, up to 65.535 m, or, as KITTI, metres * 256, up to 256 m; depth beyond is 0, "
        "invalid (default: %(default)s)",
    )
    predict_bag.add_arguments(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Predict every image file, or every image of a bag.

    Raises:
        SpaceClipError: an image, the bag, the camera or the model cannot be used, or a file cannot be written. Of
            several images, those that cannot be read or do not fit their camera are left out first.
    """
    _check_usage(args)
    if args.bag:
        return predict_bag.run(args)

    import numpy as np

    from space_clip_ros.cli.camera_file import read_camera_file
    from space_clip_ros.cli.image_files import check_results, find_images
    from space_clip_ros.geometry.image_file import read_rgb
    from space_clip_ros.inference import load_predictor
    from space_clip_ros.perception.core import DepthCore
    from space_clip_ros.perception.frame import DepthRequest

    images = find_images(args.images, say)
    calibration = read_camera_file(args.camera) if args.camera else None
    check_results(images, Path(args.out or ""))
    out = made_folder(Path(args.out or ""))
    settings = predict_bag.settings_of(args)
    with load_predictor(settings.model, **settings.running()) as predictor:
        info = predictor.info
        settings = dataclasses.replace(settings, min_depth=info.min_depth, max_depth=info.max_depth)
        core = DepthCore(predictor)
        say(f"{info.name} on {info.backend}, {info.device}, {info.precision}")
        if info.units_text:
            say(info.units_text)
        printed, left_out, turned = "", 0, False
        for file, name in progress(images, len(images), "depth"):
            try:
                rgb, view = _read(file, calibration)
            except (DataError, InputError) as error:
                if len(images) == 1:
                    raise
                left_out += 1
                complain(f"left out: {error}")
                continue
            if calibration and not turned and not np.array_equal(rgb, read_rgb(file, upright=True)):
                turned = True
                complain(f"{file}: its EXIF orientation is ignored, because --camera is for pixels as stored")
            (frame,) = core.run([DepthRequest(rgb, view, settings, outputs=())])
            if isinstance(frame, Exception):
                raise frame
            if frame.focal.problem:
                raise InputError(settings.model, frame.focal.problem, "give --focal-scaling auto")
            if frame.focal.text != printed:
                printed = frame.focal.text
                say(printed if calibration or settings.focal_scaling == "never" else f"{printed}; --camera gives them")
            result = _Result(out / name, frame)
            result.write(args.format)
            if args.ply is not False:
                result.write_cloud()
    if left_out:
        raise DataError(f"{left_out} of {len(images)} images", "were left out, and have no depth")
    return 0


@dataclasses.dataclass(frozen=True)
class _Result:
    """One image's depth; ``stem`` is the path that all its files begin with."""

    stem: Path
    frame: DepthFrame

    def write(self, format: str) -> None:
        """Write depth and colours, and print the median."""
        import numpy as np

        from space_clip_ros.cli.image_files import COLOR, DEPTH, result_file
        from space_clip_ros.geometry.color import colorize
        from space_clip_ros.geometry.depth import LARGEST_M, write_depth_png
        from space_clip_ros.geometry.image_file import write_rgb

        target, depth, settings = result_file(self.stem, DEPTH), self.frame.depth, self.frame.settings
        # Colours first: check_results knows depth with colours beside it as a result.
        colors = colorize(depth, ColorConfig().colormap, settings.min_depth, settings.max_depth)
        write_rgb(result_file(self.stem, COLOR), colors)
        write_depth_png(target, depth, format)
        valid = depth[np.isfinite(depth)]
        median = f"median {np.median(valid):.2f} m" if valid.size else "no valid depth"
        say(f"{target}: {median}, {valid.size / depth.size:.0%} valid")
        if too_far := np.count_nonzero(valid > LARGEST_M[format]):
            remedy = f"; --format kitti holds up to {LARGEST_M['kitti']:.0f} m" if format == "mm" else ""
            share = too_far / depth.size
            say(f"{target}: {share:.1%} of the pixels are beyond {LARGEST_M[format]:.5g} m, and 0 in the file{remedy}")

    def write_cloud(self) -> None:
        """Write the coloured cloud where the camera is known, and print its size."""
        from space_clip_ros.cli.image_files import CLOUD, result_file
        from space_clip_ros.geometry.ply import write_ply

        projector = self.frame.projector(1)
        if projector is None:
            return
        target = result_file(self.stem, CLOUD)
        count = write_ply(target, projector.project(self.frame.depth), self.frame.rgb)
        say(f"{target}: {count} points")


def _check_usage(args: argparse.Namespace) -> None:
    predict_bag.check_usage(args)
    if args.ply and not args.camera:
        args.parser.error("--ply needs --camera")
    if args.focal_scaling == "always" and not args.bag and not args.camera:
        args.parser.error("--focal-scaling always needs --camera")


def _read(file: Path, calibration: CameraCalibration | None) -> tuple[Rgb, RectifiedView]:
    """Return an image, upright unless its calibration is for the stored pixels, and its camera."""
    from space_clip_ros.geometry.image_file import ALMOST_BLACK, read_rgb
    from space_clip_ros.perception.calibration import RectifiedView

    rgb = read_rgb(file, upright=calibration is None)
    view = _view(rgb, calibration, file) if calibration else RectifiedView()
    if rgb.max() < ALMOST_BLACK:
        complain(f"{file}: almost black, brightest value {rgb.max()} of 255; {_DARK_REMEDY}")
    return rgb, view


def _view(rgb: Rgb, calibration: CameraCalibration, file: Path) -> RectifiedView:
    """Return an image's camera, and the rectification that undistorts it."""
    from space_clip_ros.perception.calibration import RectifiedView

    height, width = rgb.shape[:2]
    try:
        rectifier = calibration.rectifier(width, height)
    except InputError as error:
        remedy = "calibrate at this size, or leave out --camera"
        raise InputError(file, f"does not fit its camera: {error.problem}", remedy) from error
    if (width, height) != (calibration.width, calibration.height):
        say(f"{file}: the camera of {calibration.width}x{calibration.height} pixels is scaled to {width}x{height}")
    return RectifiedView(rectifier.camera, rectifier)
