"""A request for depth of one image, and the frame that all its outputs are made from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector, without_discontinuities
from space_clip_ros.geometry.depth import invalidate, resize_bilinear
from space_clip_ros.geometry.detections import DetectedObject
from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround, fit_ground_plane
from space_clip_ros.geometry.obstacles import ObstacleFinder, ObstacleLimits, Obstacles
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.perception.calibration import RectifiedView
from space_clip_ros.perception.camera_mount import CameraMount, configured_mount
from space_clip_ros.perception.focal_scaling import FocalScaling
from space_clip_ros.perception.ground import Ground, GroundTracker
from space_clip_ros.perception.scale import FrameEvidence, MetricScale, ScaleEstimate
from space_clip_ros.perception.semantics import LanguageFeatures, SemanticGrid, Tokens, place_tokens
from space_clip_ros.perception.stopwatch import Stopwatch

Allocate: TypeAlias = Callable[[str, tuple[int, ...], DTypeLike], NDArray[Any]]
"""Returns the memory for an output: its name, shape and dtype. It may be what the previous image used."""

MakeProjector: TypeAlias = Callable[[PinholeCamera, int], Projector]
"""Returns the projector of a camera and a stride."""

MakeFinder: TypeAlias = Callable[[PinholeCamera], ObstacleFinder]
"""Returns what finds the obstacles of a camera."""


def new_array(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return new memory for an output."""
    return np.empty(shape, dtype)


@dataclass(frozen=True)
class ScaleRequest:
    """Asks for a metric scale.

    Attributes:
        scale: the camera's.
        known: what is known about the frame.
    """

    scale: MetricScale
    known: FrameEvidence


@dataclass(frozen=True)
class DepthRequest:
    """An image and the outputs to make of it.

    Attributes:
        rgb: (H, W, 3) uint8, as the camera delivered it.
        view: what is known about its camera.
        settings: the parameters, the same for the whole image.
        outputs: names of :data:`~space_clip_ros.perception.outputs.OUTPUTS`; those that need a camera are left out
            where it is unknown.
        allocate: gives each output its memory, so that a caller can have arrays written where it needs them.
        watch: times the image's stages.
        stamp_s: when the image was taken, seconds; None where unknown.
        ground: the ground that the camera's images so far have shown.
        scan_pose: (4, 4) the camera's pose in ``scan.frame_id``, or why it is not known; None where there is no such
            frame.
        scale: how to find a metric scale; None to leave depth as the model and the settings make it.
        queries: what is looked for by name; None for nothing.
    """

    rgb: NDArray[np.uint8]
    view: RectifiedView
    settings: NodeConfig
    outputs: tuple[str, ...]
    allocate: Allocate = new_array
    watch: Stopwatch = field(default_factory=Stopwatch)
    stamp_s: float | None = None
    ground: GroundTracker = field(default_factory=GroundTracker)
    scan_pose: NDArray[np.float64] | str | None = None
    scale: ScaleRequest | None = None
    queries: QuerySet | None = None


def obstacle_limits(settings: NodeConfig) -> ObstacleLimits:
    """Return what counts as an obstacle, no further than ``max_depth``: depth beyond it is unknown."""
    limits = settings.obstacles
    return ObstacleLimits(
        limits.min_height, limits.max_height, min(limits.max_range, settings.max_depth), limits.max_slope
    )


class DepthFrame:
    """Metric depth of one image.

    Args:
        request: the image and the outputs wanted of it.
        image: (H, W, 3) uint8, rectified where that applies.
        metres: (h, w) float32 scaled depth of the grid's pixels, not yet cut to the range.
        scale: the factor that is in ``metres``.
        projector: makes the projector of the frame's camera.
        focal: the part of ``scale`` that is for the camera's field of view.
        grid: the image's pixels that have depth.
        relative_deviation: float32, one standard deviation as a share of depth, a map of any size over the whole image;
            None where the model gives none.
        features: what the model says of the image in a space that it shares with words; None if nothing.
        detail: the pixels of ``metres`` that the network has estimated: nothing finer is in it.
        finder: makes what finds obstacles.

    Attributes:
        request: as given.
        scale: as given.
        focal: as given.
        estimate: the metric scale in ``scale``; None where none was asked for.
        features: as given.
        left_out: why an output that was asked for was not made, by its name.
    """

    def __init__(
        self,
        request: DepthRequest,
        image: NDArray[np.uint8],
        metres: NDArray[np.float32],
        scale: float,
        projector: MakeProjector,
        focal: FocalScaling,
        estimate: ScaleEstimate | None = None,
        grid: PixelGrid = EVERY_PIXEL,
        relative_deviation: NDArray[np.float32] | None = None,
        features: LanguageFeatures | None = None,
        detail: PixelGrid = EVERY_PIXEL,
        finder: MakeFinder = ObstacleFinder,
    ) -> None:
        """Keep the arguments."""
        self.request = request
        self._image = image
        self._grid = grid
        self.scale = scale
        self.focal = focal
        self.estimate = estimate
        self.features = features
        self.left_out: dict[str, str] = {}
        self._metres = metres
        self._relative_deviation = relative_deviation
        self._detail = detail
        self._finder = finder
        self._projector = projector

    @functools.cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8, the image's pixels that have depth."""
        return self._grid.of(self._image)

    @functools.cached_property
    def camera(self) -> PinholeCamera | None:
        """Camera of :attr:`depth` and :attr:`rgb`; None where unknown."""
        return None if self.request.view.camera is None else self._grid.camera(self.request.view.camera)

    @property
    def settings(self) -> NodeConfig:
        """The parameters."""
        return self.request.settings

    @functools.cached_property
    def depth(self) -> NDArray[np.float32]:
        """(h, w) float32 metres, NaN outside ``min_depth`` to ``max_depth`` and where the camera did not see."""
        out = self.request.allocate("depth", self._metres.shape, np.float32)
        return self._cut(self.settings.max_depth, out)

    @functools.cached_property
    def uncertainty(self) -> NDArray[np.float32] | None:
        """(h, w) float32, one standard deviation of :attr:`depth`, metres, NaN where depth is; None where unknown."""
        if self._relative_deviation is None:
            return None
        out = self.request.allocate("uncertainty", self._metres.shape, np.float32)
        # NaN where depth is NaN.
        return np.multiply(self.depth, self._share_of(self._relative_deviation, out), out=out)

    @property
    def has_uncertainty(self) -> bool:
        """Whether the model says how far off depth may be."""
        return self._relative_deviation is not None

    def without_uncertain(self, depth: NDArray[np.float32], max_share: float) -> NDArray[np.float32]:
        """Return (h, w) depth with NaN where its standard deviation is a larger share of it than ``max_share``.

        Where the model gives no uncertainty, depth stays as it is.
        """
        share = self._deviation_share
        return depth if share is None else np.where(share <= np.float32(max_share), depth, np.float32(np.nan))

    @functools.cached_property
    def solid_depth(self) -> NDArray[np.float32]:
        """:attr:`depth`, with NaN where it floats between two surfaces if ``points.max_jump`` asks for that."""
        return self._solid(self.depth)

    @functools.cached_property
    def ground(self) -> Ground:
        """The ground in view, or the one that the camera's frames before this one have shown.

        Raises:
            ValueError: the camera is unknown.
        """
        request, mount = self.request, self._mount()
        if self.camera is None:
            raise ValueError("the ground needs its camera")
        fitted: GroundPlane | NoGround
        if self.estimate is None or self.estimate.ground is None:
            fitted = fit_ground_plane(self.depth, self.camera, up=mount.up)
        else:
            fitted = self.estimate.ground
            fitted = fitted if isinstance(fitted, NoGround) else fitted.scaled(self.estimate.factor)
        return request.ground.update(
            fitted, request.stamp_s, self.settings.obstacles.ground_max_age, mount, self.scale, self.focal.factor
        )

    @functools.cached_property
    def obstacle_grid(self) -> PixelGrid:
        """The pixels of :attr:`depth` in which :attr:`obstacles` are looked for.

        They are every ``points.stride``-th, as in the cloud, but no more than the network has estimated.
        """
        return self._detail.at_least(min(self.settings.points.stride, *self._metres.shape))

    @functools.cached_property
    def obstacles(self) -> Obstacles | None:
        """What stands above :attr:`ground`, of the pixels of :attr:`obstacle_grid`; None where there is no ground."""
        plane, camera, grid = self.ground.plane, self.camera, self.obstacle_grid
        if plane is None or camera is None:
            return None
        limit, outside = self.settings.obstacles.max_uncertainty, self._outside
        sure = self.without_uncertain(self.solid_depth, limit) if limit else self.solid_depth
        depth, doubtful = grid.nearest(sure), None
        if sure is not self.depth:
            anything = grid.nearest(self.depth)
            doubtful = np.where(depth <= anything, np.float32(np.nan), anything)
        # What lies beyond the range is known to be far, not unknown.
        far = grid.of(self.without_uncertain(self._metres, limit) if limit else self._metres)
        beyond = np.isnan(depth) & (far > np.float32(self.settings.max_depth)) & (far < np.inf)
        if outside is not None:
            beyond &= ~grid.of(outside)
        return self._finder(grid.camera(camera)).find(
            np.where(beyond, far, depth),
            plane,
            obstacle_limits(self.settings),
            doubtful,
            None if outside is None else ~grid.of(outside),
        )

    @functools.cached_property
    def semantics(self) -> SemanticGrid:
        """What the queries make of the image, on every ``points.stride``-th pixel, as the cloud has them.

        Raises:
            ValueError: the model gives no features of patches, or nothing is looked for.
        """
        features, queries = self.features, self.request.queries
        if features is None or features.dense is None or queries is None:
            raise ValueError("labels need features of patches, and queries")
        height, width = self._image.shape[:2]
        rows, columns = self._grid.shares(height, width, self.settings.points.stride)
        return SemanticGrid(features.dense, queries, self.settings.semantic, features.logit_scale, rows, columns)

    @functools.cached_property
    def objects(self) -> list[DetectedObject]:
        """What the queries found, with boxes in the camera's optical frame.

        Raises:
            ValueError: the camera is unknown, or as :attr:`semantics`.
        """
        projector = self.projector(self.settings.points.stride)
        if projector is None:
            raise ValueError("boxes need their camera")
        return self.semantics.objects(projector.project(self.solid_depth, tested=True), self.ground.plane)

    @functools.cached_property
    def tokens(self) -> Tokens:
        """The image's patches in space.

        Raises:
            ValueError: the camera is unknown, or the model gives no features of patches.
        """
        if self.camera is None or self.features is None or self.features.dense is None:
            raise ValueError("tokens need their camera and features of patches")
        return place_tokens(self.features.dense, self.depth, self.camera)

    def unbounded_depth(self) -> NDArray[np.float32]:
        """Return :attr:`solid_depth` without its upper limit: what lies beyond is known to be far, not unknown."""
        return self._solid(self._cut(math.inf))

    def projector(self, stride: int) -> Projector | None:
        """Return the projector of every ``stride``-th pixel; None where the camera is unknown."""
        return None if self.camera is None else self._projector(self.camera, stride)

    def _mount(self) -> CameraMount:
        """Return what is known about the camera's mount: as the metric scale knows it, else the parameters and TF."""
        scale = self.request.scale
        if scale is not None and isinstance(scale.known.mount, CameraMount):
            return scale.known.mount
        return configured_mount(self.settings.scale, self.request.scan_pose)

    @functools.cached_property
    def _deviation_share(self) -> NDArray[np.float32] | None:
        return None if self._relative_deviation is None else self._share_of(self._relative_deviation)

    def _share_of(self, deviation: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return a deviation of any size for the pixels of depth; ``out`` may be written to."""
        height, width = self._image.shape[:2]
        # A share below 0 says nothing.
        deviation = np.where(deviation >= 0, deviation, np.float32(np.nan))
        out = out if self._grid == EVERY_PIXEL else None
        return self._grid.of(resize_bilinear(deviation, width, height, out=out))

    @functools.cached_property
    def _outside(self) -> NDArray[np.bool_] | None:
        """(h, w) bool, true for pixels of depth that the camera does not see; None if it sees all."""
        rectifier = self.request.view.rectifier
        return None if rectifier is None or rectifier.outside is None else self._grid.of(rectifier.outside)

    def _solid(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        max_jump = self.settings.points.max_jump
        return without_discontinuities(depth, max_jump) if max_jump else depth

    def _cut(self, max_depth: float, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        depth = invalidate(self._metres, self.settings.min_depth, max_depth, out=out)
        if self._outside is not None:
            np.copyto(depth, np.nan, where=self._outside)
        return depth
