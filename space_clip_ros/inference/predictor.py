"""Runs a model, whatever its backend: an image in, metric depth out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from space_clip_ros.errors import BackendError, DeviceLostError, InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.backend import Backend, BatchBackend, ModelInfo, Prediction
from space_clip_ros.inference.gpu.cuda_errors import never_free
from space_clip_ros.inference.locate import THRESHOLD, LocatedQuery, located, model_queries
from space_clip_ros.language.queries import QuerySet

_MOST_SHAPE = 16
"""Most pixels for a network that keeps an image's shape, as a multiple of its nominal size's."""


class Predictor:
    """Runs a model on images of any size, or of the one size it was exported for.

    Safe to call from several threads. Also a context manager that closes itself.
    """

    def __init__(self, backend: Backend) -> None:
        """Use :func:`space_clip_ros.inference.load_predictor` to make one."""
        self._backend: Backend | None = backend
        self._info = backend.info
        self._lost = False

    @property
    def info(self) -> ModelInfo:
        """The model's facts; after :meth:`close` the last ones."""
        if self._backend is not None:
            self._info = self._backend.info
        return self._info

    def __call__(self, rgb: Rgb) -> Depth:
        """Estimate depth.

        Args:
            rgb: (H, W, 3) uint8 RGB, undistorted, of any memory layout; read only.

        Returns:
            (H, W) float32 metres along the optical axis, finite and at least 0. This is the network's raw output, not
            cut to ``info.min_depth`` and ``info.max_depth``. The array is the caller's own.

        Raises:
            InputError: not an RGB image, or not of the size the model was exported for.
            BackendError: the run failed, or the predictor is closed.
            DeviceLostError: only a new process can use the GPU; what the model holds there is never freed.
        """
        return self.run(rgb, language=False).depth

    def run(self, rgb: Rgb, language: bool = True) -> Prediction:
        """Estimate depth as :meth:`__call__` does, and return everything else that the model gives, too.

        Args:
            rgb: as :meth:`__call__` takes it.
            language: whether language features are wanted, if the model gives any.
        """
        self._check(rgb)
        with self._running() as backend:
            return backend.run(rgb, language)

    def with_uncertainty(self, rgb: Rgb) -> tuple[Depth, Depth]:
        """Estimate depth and how far off it may be.

        Args:
            rgb: as :meth:`__call__` takes it.

        Returns:
            Depth as :meth:`__call__` returns it, and one standard deviation of it, (H, W) float32 metres.

        Raises:
            InputError: the model has no uncertainty (``info.uncertainty`` says so before), or as :meth:`__call__`.
            BackendError: as :meth:`__call__`.
        """
        prediction = self.run(rgb, language=False)
        uncertainty = prediction.uncertainty
        if uncertainty is None:
            raise no_uncertainty(self.info)
        return prediction.depth, uncertainty

    def locate(
        self, rgb: Rgb, queries: QuerySet | Sequence[str], camera: PinholeCamera, threshold: float = THRESHOLD
    ) -> list[LocatedQuery]:
        """Find where in an image, and where in front of the camera, each query is.

        Args:
            rgb: as :meth:`__call__` takes it.
            queries: of a file of ``space_clip text`` (:meth:`QuerySet.read`) or of a
                :class:`~space_clip_ros.language.text_encoder.TextEncoder`; names for a model with a closed list.
            camera: the image's; it has the image's size.
            threshold: least probability, in the softmax over queries and background, of a pixel that shows a query.

        Returns:
            One result for each query, in their order; see :class:`LocatedQuery`.

        Raises:
            InputError: the model gives no features of patches; the queries are for another model, not in its list, or
                cannot be told apart; the camera is missing or of another size; the threshold is not a probability; or
                as :meth:`__call__`.
            BackendError: as :meth:`__call__`.
        """
        wanted = model_queries(queries, self.info)
        return located(self.run(rgb), wanted, self.info, camera, threshold)

    @property
    def batches(self) -> bool:
        """Whether :meth:`run_batch` is a single run of the model, and so faster than running images one by one."""
        return isinstance(self._backend, BatchBackend) and self.info.fixed_batch is None

    def run_batch(self, images: Sequence[Rgb], language: bool = True) -> list[Prediction]:
        """Estimate depth of several images of one size: in one run if the backend can, else one by one.

        Args:
            images: each as :meth:`__call__` takes it.
            language: whether language features are wanted, if the model gives any.

        Returns:
            One prediction per image, in their order; each has the stages of the whole run.

        Raises:
            InputError: an image that :meth:`__call__` would reject, or images of different sizes.
            BackendError: the run failed, or the predictor is closed.
        """
        for image in images:
            self._check(image)
        sizes = sorted({image.shape[:2] for image in images})
        if len(sizes) > 1:
            raise InputError("images", f"must be of one size to run together, got {sizes}")
        with self._running() as backend:
            if isinstance(backend, BatchBackend) and self.batches and len(images) > 1:
                return backend.run_batch(images, language)
            return [backend.run(image, language) for image in images]

    def _check(self, rgb: Rgb) -> None:
        check_image(rgb)
        height, width = rgb.shape[:2]
        wanted = self.info.network_size
        if wanted is None:
            return
        rows, columns = wanted.content(height, width)
        if rows * columns > _MOST_SHAPE * wanted.height * wanted.width:
            name, size = self.info.name, f"{width} x {height}"
            seen = f"{name} keeps an image's shape, and would see {columns} x {rows} pixels of {size}"
            raise InputError("image", seen, "cut the image into less elongated parts")

    def device_memory(self) -> int | None:
        """Return the bytes of device memory held for the model; None if it runs in the process's own memory."""
        held: int | None = getattr(self._backend, "device_memory", lambda: None)()
        return held

    def warm_up(self, height: int, width: int, together: int = 1) -> None:
        """Run black images of a size, because the first images of a size take a second or so longer.

        Language features are left out: the first image that needs them takes longer once more.

        Args:
            height: of the images to come, pixels.
            width: of the images to come, pixels.
            together: how many images may run at once; 1, 2, 4 and so on are tried if the backend runs several.
        """
        black = np.zeros((height, width, 3), np.uint8)
        self.run(black, language=False)
        count = 2
        while self.batches and count <= together:
            self.run_batch([black] * count, language=False)
            count *= 2

    def close(self) -> None:
        """Free what the backend holds; further calls raise. Closing twice is fine."""
        if self._backend is not None:
            if not self._lost:
                self._backend.close()
            self._backend = None

    @contextmanager
    def _running(self) -> Iterator[Backend]:
        """Give the backend; if the GPU is lost, never free it."""
        backend = self._backend
        if backend is None:
            raise BackendError(self.info.file, "this predictor is closed", "load it again")
        try:
            yield backend
        except DeviceLostError:
            self._lost = True
            never_free(backend)
            raise

    def __enter__(self) -> Predictor:
        """Return the predictor itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def no_uncertainty(info: ModelInfo) -> InputError:
    """Return the error for uncertainty asked of a model that gives none."""
    return InputError(f"model {info.name}", "gives no uncertainty", "take one trained with model.uncertainty: true")


def check_image(rgb: Rgb) -> None:
    """Reject anything that is not an RGB image.

    Raises:
        InputError: not a NumPy array, or not (H, W, 3) uint8 with H and W at least 1.
    """
    if not isinstance(rgb, np.ndarray):
        raise InputError(
            "image", f"must be a NumPy array of shape (H, W, 3) and dtype uint8, got a {type(rgb).__name__}"
        )
    shape = tuple(rgb.shape)
    if rgb.ndim != 3 or shape[2] != 3:
        raise InputError("image", f"must have shape (H, W, 3), got {shape}", _shape_remedy(shape))
    if rgb.dtype != np.uint8:
        raise InputError("image", f"must have dtype uint8 (0-255), got {rgb.dtype}")
    if not rgb.size:
        raise InputError("image", f"is empty, shape {shape}")


def _shape_remedy(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 or shape[2:] == (1,):
        return "a grey image must be spread to three channels first"
    if shape[2:] == (4,):
        return "drop the alpha channel first"
    if len(shape) == 4:
        return "give one image at a time"
    return ""
