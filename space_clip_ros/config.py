"""Settings of the ROS nodes, which are their parameters, and of how a model runs."""

from __future__ import annotations

import math
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from space_clip_ros.settings import group, ordered, setting

_BACKENDS_FOLDER = Path(__file__).parent / "inference" / "backends"
# One file per backend, so that adding one changes nothing here. Listed, not imported: everything imports this module.
BACKENDS = ("auto", *sorted(module.name for module in pkgutil.iter_modules([str(_BACKENDS_FOLDER)])))
PRECISIONS = ("auto", "fp32", "fp16", "int8")
RUNNING = ("backend", "device", "precision", "threads", "thread_spinning")
"""Settings of :class:`NodeConfig` that say how a model runs; ``load_predictor`` takes arguments of the same names."""
HEIGHT_LIMIT = 10_000.0
COLORMAPS = ("turbo", "inferno", "magma", "viridis", "jet")
CROPS = ("none", "garg", "eigen", "nyu")
"""Regions of an image that evaluations compare."""
SCALE_MODES = ("none", "auto", "camera_height", "ranges")
CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""What a camera may be called: topics begin with its name."""


@dataclass(frozen=True)
class PointsConfig:
    """What ``depth/points`` holds."""

    stride: int = setting(2, "take every n-th pixel in both directions", minimum=1, maximum=64)
    color: bool = setting(True, "add the packed rgb field")
    max_range: float = setting(
        60.0, "points farther along z become NaN, metres; 0 for no limit", minimum=0.0, maximum=1e4
    )
    clearing: bool = setting(
        False, "put points beyond max_range at max_range instead of NaN, so that costmaps clear along their rays"
    )
    min_height: float = setting(
        -HEIGHT_LIMIT,
        "points lower than this become NaN, metres above the camera along its -y axis, so negative below it",
        minimum=-HEIGHT_LIMIT,
        maximum=HEIGHT_LIMIT,
    )
    max_height: float = setting(
        HEIGHT_LIMIT,
        "points higher than this become NaN, metres above the camera along its -y axis",
        minimum=-HEIGHT_LIMIT,
        maximum=HEIGHT_LIMIT,
    )
    max_jump: float = setting(
        0.0,
        "at edges where depth changes by more than this fraction within 3x3 pixels, keep the nearest surface and "
        "remove what floats behind it; 0 keeps everything, 0.1 removes points that float between two objects",
        minimum=0.0,
        maximum=100.0,
    )
    max_uncertainty: float = setting(
        0.0,
        "remove points whose standard deviation of depth exceeds this share of depth; 0 keeps all. Ignored with models "
        "that give no uncertainty",
        minimum=0.0,
        maximum=100.0,
    )
    dense: bool = setting(
        False, "leave out invalid points: an unorganized cloud with is_dense set instead of a grid with NaN"
    )

    @property
    def heights(self) -> tuple[float, float] | None:
        """The heights to keep, metres, or None to keep all."""
        everything = (-HEIGHT_LIMIT, HEIGHT_LIMIT)
        return None if (self.min_height, self.max_height) == everything else (self.min_height, self.max_height)

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.clearing and not self.max_range:
            yield "clearing: needs max_range above 0"
        yield from ordered(self, "min_height", "max_height")


@dataclass(frozen=True)
class ObstaclesConfig:
    """What counts as an obstacle, for ``depth/obstacles`` and ``depth/scan``."""

    min_height: float = setting(
        0.2,
        "lowest obstacle, metres above the ground; the noise of the ground's depth is added",
        minimum=0.01,
        maximum=100.0,
    )
    max_height: float = setting(
        2.0,
        "highest obstacle, metres above the ground; the robot passes below anything higher",
        minimum=0.02,
        maximum=100.0,
    )
    max_range: float = setting(
        30.0, "furthest obstacle, metres from the camera along the ground", minimum=0.1, maximum=1e4
    )
    max_slope: float = setting(
        0.1,
        "steepest ground, metres of rise per metre; anything steeper is an obstacle once it is min_height high",
        minimum=0.0,
        maximum=0.5,
    )
    max_uncertainty: float = setting(
        0.0,
        "leave out pixels whose standard deviation of depth exceeds this share of depth; 0 keeps all. Ignored with "
        "models that give no uncertainty",
        minimum=0.0,
        maximum=100.0,
    )
    ground_max_age: float = setting(
        2.0, "keep the last ground for this long while images show none, seconds", minimum=0.0, maximum=3600.0
    )

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        yield from ordered(self, "min_height", "max_height")


@dataclass(frozen=True)
class ScanConfig:
    """Frame and resolution of ``depth/scan``."""

    frame_id: str = setting(
        "",
        "frame of the scan, in TF, z up; empty for the camera's level one, its frame_id with _level appended: at the "
        "camera, x forward, z away from the ground",
    )
    angle_increment: float = setting(
        0.0087,
        "angle from one bearing to the next, radians; at least that of the pixels that are looked at",
        minimum=0.0005,
        maximum=0.5,
    )


@dataclass(frozen=True)
class ColorConfig:
    """What ``depth/color`` looks like; the colours always span min_depth to max_depth."""

    colormap: str = setting("turbo", "colour map, near to far", choices=COLORMAPS)


@dataclass(frozen=True)
class ScaleConfig:
    """How the scale of depth is corrected while the node runs."""

    mode: str = setting(
        "none",
        "evidence for the scale: the ground in view and the camera's known height, ranges (scale/points and "
        "scale/range), or auto (whatever there is)",
        choices=SCALE_MODES,
    )
    camera_height: float = setting(
        0.0, "the camera's height above the ground, metres; 0 to take it from TF", minimum=0.0, maximum=100.0
    )
    camera_pitch: float = setting(
        0.0,
        "pitch of the camera, positive looks down, radians; used with camera_height",
        minimum=-1.5,
        maximum=1.5,
    )
    camera_roll: float = setting(
        0.0,
        "roll of the camera, positive is clockwise seen from behind it, radians; used with camera_height",
        minimum=-3.2,
        maximum=3.2,
    )
    ground_frame: str = setting(
        "base_footprint", "TF frame whose x y plane is the ground, used if camera_height is 0; empty for no TF"
    )
    extrinsics: tuple[float, ...] = setting(
        (),
        "pose of the range sensor in the camera's optical frame: x y z (metres) roll pitch yaw (radians); empty to "
        "take it from TF",
    )
    max_rate: float = setting(
        0.2, "largest change of the factor within a second, as a share of it", minimum=0.001, maximum=100.0
    )

    @property
    def wants_height(self) -> bool:
        """Whether the ground is used as evidence."""
        return self.mode in ("auto", "camera_height")

    @property
    def wants_ranges(self) -> bool:
        """Whether measured ranges are used as evidence."""
        return self.mode in ("auto", "ranges")

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.extrinsics and not (len(self.extrinsics) == 6 and all(map(math.isfinite, self.extrinsics))):
            yield f"extrinsics: must be empty or x y z roll pitch yaw, got {list(self.extrinsics)}"
        if self.mode == "camera_height" and not self.camera_height and not self.ground_frame:
            yield "camera_height: mode camera_height needs it, or ground_frame"


@dataclass(frozen=True)
class SemanticConfig:
    """Queries by name, for models with language features."""

    queries: tuple[str, ...] = setting(
        (),
        "names to look for, e.g. [car, person]; semantic/query changes them at run time. Empty for all that query_file "
        "holds; a text tower then waits for semantic/query",
    )
    query_file: str = setting(
        "",
        "file of queries written by space_clip text, or a text tower (.onnx) that encodes any query; models with a "
        "closed list of names need none",
    )
    background: tuple[str, ...] = setting(
        (),
        "names that compete with the queries but are never reported, unless queried. Empty for all other names in "
        "query_file. Models with a closed list always use its other names",
    )
    threshold: float = setting(
        0.5,
        "least probability of a label, in the softmax over queries and background",
        minimum=0.0,
        maximum=1.0,
    )
    temperature: float = setting(
        1.0,
        "divides the model's logit_scale, which multiplies the cosines: above 1 the probabilities are closer to each "
        "other, below 1 further apart",
        minimum=0.01,
        maximum=100.0,
    )
    min_patches: float = setting(
        1.0,
        "smallest detection, by its area in patches of the model; fractions are allowed",
        minimum=0.0,
        maximum=1e4,
    )


@dataclass(frozen=True)
class DiagnosticsConfig:
    """How often ``/diagnostics`` is published, and when it warns."""

    period: float = setting(1.0, "seconds between reports", minimum=0.1, maximum=60.0)
    min_rate: float = setting(0.0, "warn below this many published frames per second; 0 for never", minimum=0.0)
    max_age: float = setting(
        0.0, "warn when the 95th percentile of the age at publishing is above this, seconds; 0 for never", minimum=0.0
    )
    max_dropped: float = setting(
        1.0,
        "warn when more than this fraction of the received images is dropped; 1 for never",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class NodeConfig:
    """Parameters of ``depth_node``."""

    model: str = setting(
        "road_tiny", "bundled model's name, or path of an .onnx, .pt2 or checkpoint file", read_only=True
    )
    backend: str = setting("auto", "library that runs the model", choices=BACKENDS, read_only=True)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N", read_only=True)
    precision: str = setting(
        "auto",
        "number format of the model. For a model given by name, int8 loads NAME_int8 if it exists, and so does auto "
        "on a CPU with VNNI if its error on its test frames is within 1 % of NAME's",
        choices=PRECISIONS,
        read_only=True,
    )
    threads: int = setting(0, "CPU threads of the model; 0 for one per core", minimum=0, maximum=256, read_only=True)
    thread_spinning: bool = setting(
        False,
        "ONNX Runtime's CPU threads spin instead of sleeping within an image: lower median latency on idle cores, "
        "higher p99 when other processes compete for them",
        read_only=True,
    )
    engine_retries: int = setting(
        5,
        "attempts, with growing pauses, to reload a model that keeps failing before it is reported as failed; the "
        "node stays up and tries again every 30 s",
        minimum=0,
        maximum=1000,
    )
    cameras: tuple[str, ...] = setting(
        ("",),
        "names of several cameras that share the model, e.g. [front, rear]; their topics are under front/ and rear/; "
        "[''] for one camera with the plain topics",
        read_only=True,
    )
    batch_wait: float = setting(
        0.0,
        "seconds an image waits for images of other cameras to run in one batch with them, if the backend can; "
        "0 to run what has arrived",
        minimum=0.0,
        maximum=1.0,
    )
    image_transport: str = setting("raw", "transport of the input topic", choices=("raw", "compressed"), read_only=True)
    rectify: str = setting(
        "auto",
        "auto: undistort images whose camera_info has distortion; never: images are rectified already, P describes "
        "them (off and false mean never)",
        choices=("auto", "never"),
        # YAML reads off as false.
        aliases={False: "never", "off": "never"},
    )
    depth_encoding: str = setting(
        "32FC1",
        "32FC1 metres or 16UC1 millimetres, in which depth beyond 65.535 m is 0, invalid",
        choices=("32FC1", "16UC1"),
    )
    min_depth: float = setting(0.1, "depth below this is invalid, metres", minimum=0.0)
    max_depth: float = setting(80.0, "depth above this is invalid, metres", minimum=0.001, maximum=10_000.0)
    depth_scale: float = setting(1.0, "every depth is multiplied by this", minimum=0.001, maximum=1000.0)
    depth_resolution: str = setting(
        "image",
        "resolution of depth, camera_info, cloud and colours: every pixel, every second row and column, or about that "
        "of the network's own depth",
        choices=("image", "half", "network"),
    )
    focal_scaling: str = setting(
        "auto",
        "multiply depth by the ratio of this camera's focal length to the training camera's. auto: if both are known; "
        "always: the same, and warn if one is missing; never",
        choices=("auto", "always", "never"),
        aliases={True: "always", False: "never"},
    )
    scale: ScaleConfig = group(ScaleConfig, "metric scale while running")
    points: PointsConfig = group(PointsConfig, "point cloud")
    color: ColorConfig = group(ColorConfig, "colour picture")
    obstacles: ObstaclesConfig = group(ObstaclesConfig, "obstacles")
    scan: ScanConfig = group(ScanConfig, "planar scan")
    semantic: SemanticConfig = group(SemanticConfig, "queries by name")
    max_age: float = setting(0.0, "drop images older than this on arrival, seconds; 0 for never", minimum=0.0)
    diagnostics: DiagnosticsConfig = group(DiagnosticsConfig, "diagnostics")
    autostart: bool = setting(True, "configure and activate at start, without a lifecycle manager", read_only=True)

    def running(self) -> dict[str, Any]:
        """Return the arguments of :func:`space_clip_ros.inference.load_predictor` other than the model."""
        return {name: getattr(self, name) for name in RUNNING}

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        yield from ordered(self, "min_depth", "max_depth")
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            yield f"cameras: must be names that differ, or [''] for one camera, got {list(self.cameras)}"
        if len(self.cameras) > 1 and self.scale.extrinsics:
            yield "scale.extrinsics: is for one camera; several take their sensors' poses from TF"
        for name in self.cameras:
            if not CAMERA_NAME.fullmatch(name) and self.cameras != ("",):
                yield f"cameras: names consist of letters, digits and _ and begin with a letter, got {name!r}"


@dataclass(frozen=True)
class PlayerConfig:
    """Parameters of ``kitti_player``."""

    drive: str = setting("", "folder of one KITTI raw drive (…_drive_NNNN_sync)", read_only=True)
    rate: float = setting(1.0, "playback speed; 1 is the drive's own", minimum=0.01, maximum=100.0, read_only=True)
    loop: bool = setting(False, "start again at the end", read_only=True)
    clock: bool = setting(False, "publish /clock with the drive's time", read_only=True)
    stamps: str = setting(
        "drive",
        "stamps of the messages: the drive's own, or the current time",
        choices=("drive", "now"),
        read_only=True,
    )
    frame_id: str = setting("camera_color_optical_frame", "frame of images and ground truth", read_only=True)
    scan_frame_id: str = setting("velodyne", "frame of velodyne_points", read_only=True)
    frames: int = setting(0, "play only this many frames of the drive; 0 for all", minimum=0, read_only=True)
    wait_for_subscribers: float = setting(
        10.0,
        "seconds to wait for an image subscriber before the first frame; 0 does not wait",
        minimum=0.0,
        read_only=True,
    )
    subscribers: int = setting(1, "how many image subscribers to wait for", minimum=1, maximum=100, read_only=True)
    settle: float = setting(
        0.5,
        "then wait until no new image subscriber has come for this long, seconds",
        minimum=0.0,
        maximum=60.0,
        read_only=True,
    )
    wait_for_depth: float = setting(
        0.0,
        "wait up to this long until depth_node says on /diagnostics that it is ready for the drive's images, seconds; "
        "0 to play at once",
        minimum=0.0,
        maximum=3600.0,
        read_only=True,
    )

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        if self.clock and self.stamps == "now":
            yield "clock: carries the drive's time, so it needs stamps: drive"


@dataclass(frozen=True)
class EvaluatorConfig:
    """Parameters of ``depth_evaluator``."""

    min_depth: float = setting(0.001, "ground truth below this is left out, metres", minimum=1e-6, read_only=True)
    max_depth: float = setting(80.0, "ground truth above this is left out, metres", minimum=0.001, read_only=True)
    crop: str = setting("garg", "image region compared", choices=CROPS, read_only=True)
    period: float = setting(1.0, "seconds between reports", minimum=0.1, maximum=60.0, read_only=True)
    json: str = setting("", "file to write the final table to; empty for none", read_only=True)
    sync_tolerance: float = setting(
        0.0,
        "seconds that the stamps of depth and ground truth may be apart; less than half the time between two frames",
        minimum=0.0,
        maximum=10.0,
        read_only=True,
    )

    def problems(self) -> Iterator[str]:
        """Yield each setting that conflicts with another."""
        yield from ordered(self, "min_depth", "max_depth")
