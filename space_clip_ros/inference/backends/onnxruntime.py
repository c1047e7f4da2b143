"""Exported graphs on ONNX Runtime: the CPU, or a GPU where an ONNX Runtime for it is installed."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.inference.backend import Depth, Prediction, Rgb, model_info
from space_clip_ros.inference.integrity import check_graph
from space_clip_ros.inference.metadata import (
    BATCH_NAME,
    HEIGHT_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    WIDTH_NAME,
    OnnxMetadata,
)
from space_clip_ros.inference.providers import CPU, Provider, check_available, check_in_use, providers
from space_clip_ros.inference.threads import thread_count

SESSIONS_KEPT = 8
_MOST_TOGETHER = 8
_ERRORS_ONLY = 3

_Shape = tuple[int, int, int]


class OnnxSessions:
    """One exported file, with a session for each of the last few numbers and sizes of images.

    Attributes:
        metadata: what the file says about itself.
    """

    def __init__(
        self,
        file: Path,
        threads: int = 0,
        device: str = "cpu",
        tensorrt: bool = False,
        thread_spinning: bool = False,
    ) -> None:
        """Read the metadata; sessions are made when their number and size of images first come.

        Args:
            file: written by ``space_clip export``.
            threads: CPU threads; 0 for one a physical core.
            device: cpu, cuda or cuda:N.
            tensorrt: on a GPU, prefer the TensorRT provider.
            thread_spinning: while a run lasts, threads without work spin instead of sleeping.

        Raises:
            ModelError: not a whole ONNX file, changed since its export, or without metadata that this package reads.
            BackendError: this ONNX Runtime has no provider for the device, or cannot start it.
        """
        self._file = file
        self._threads = thread_count(threads)
        self._thread_spinning = thread_spinning
        self._sessions: OrderedDict[_Shape, onnxruntime.InferenceSession] = OrderedDict()
        self._lock = threading.Lock()
        available = onnxruntime.get_available_providers()
        check_available(device, available, tensorrt)
        self.metadata = OnnxMetadata.from_properties(_properties(file), file)
        check_graph(file, self.metadata.graph_sha256)
        self._providers = providers(device, available, tensorrt, self.metadata.precision, onnxruntime.__version__)
        if device != "cpu":
            # A GPU that cannot be had is known now, and not at the first image.
            _open(file, _quiet_options(), self._providers)

    def run(self, images: Rgb) -> Depth:
        """Map contiguous (B, H, W, 3) uint8 RGB to (B, H, W) float32 metres.

        Raises:
            InputError: the file is made for images or batches of another size.
            BackendError: the run failed.
        """
        shape = (len(images), images.shape[1], images.shape[2])
        self._check(shape)
        session = self._session(shape)
        try:
            (depth,) = session.run([OUTPUT_NAME], {INPUT_NAME: images})
        except Exception as error:  # the library's own errors share no base class
            raise BackendError(
                f"{self._file}: ONNX Runtime failed on {shape[2]} x {shape[1]} pixels: {error}"
            ) from error
        return np.asarray(depth, dtype=np.float32)

    def profile(self, images: Rgb, runs: int) -> list[dict[str, Any]]:
        """Run ``runs`` times in a session that times every operator, and return the profile's events.

        The timing costs time itself: figures for a whole run are to be had from :meth:`run`.

        Raises:
            InputError: as :meth:`run`.
            BackendError: as :meth:`run`.
        """
        # Refuses what does not fit before anything is written.
        self.run(images)
        with TemporaryDirectory(prefix="space_clip_profile_") as folder:
            options = self._options((len(images), images.shape[1], images.shape[2]))
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "run"))
            session = _open(self._file, options, self._providers)
            for _ in range(runs):
                session.run([OUTPUT_NAME], {INPUT_NAME: images})
            events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return events

    def close(self) -> None:
        """Free every session."""
        with self._lock:
            self._sessions.clear()

    def _check(self, shape: _Shape) -> None:
        batch, *size = shape
        if self.metadata.size not in (None, tuple(size)):
            height, width = self.metadata.size
            raise InputError(
                f"{self._file}: is made for images of {width} x {height} pixels, got {size[1]} x {size[0]}; export it "
                f"again with --height {size[0]} --width {size[1]}, or without both for any size"
            )
        if self.metadata.batch not in (None, batch):
            raise InputError(
                f"{self._file}: takes {self.metadata.batch} images at once, got {batch}; export it again with "
                f"--batch {batch}"
            )

    def _session(self, shape: _Shape) -> onnxruntime.InferenceSession:
        with self._lock:
            if shape not in self._sessions:
                self._sessions[shape] = _open(self._file, self._options(shape), self._providers)
                if len(self._sessions) > SESSIONS_KEPT:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(shape)
            return self._sessions[shape]

    def _options(self, shape: _Shape) -> onnxruntime.SessionOptions:
        options = _quiet_options()
        options.intra_op_num_threads = self._threads
        # Never between runs: that doubles the CPU time of a frame at 10 Hz.
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self._thread_spinning)))
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Without VNNI, sums of int8 products may overflow; there alone, this has ONNX Runtime take a slower, safe way.
        options.add_session_config_entry("session.x64quantprecision", "1")
        # With all sizes known, the weights of the resize and every shape become constants when the session is made.
        for name, value in zip((BATCH_NAME, HEIGHT_NAME, WIDTH_NAME), shape, strict=True):
            options.add_free_dimension_override_by_name(name, value)
        return options


class OnnxRuntimeBackend:
    """Runs an exported file."""

    def __init__(
        self,
        file: Path,
        device: str = "cpu",
        threads: int = 0,
        tensorrt: bool = False,
        thread_spinning: bool = False,
    ) -> None:
        """Open ``file``.

        Args:
            file: written by ``space_clip export``.
            device: cpu, cuda or cuda:N.
            threads: CPU threads; 0 for one a physical core.
            tensorrt: on a GPU, prefer ONNX Runtime's TensorRT provider.
            thread_spinning: while a run lasts, threads without work spin instead of sleeping.

        Raises:
            ModelError: the file is not one of ours, or takes more than one image at once.
            BackendError: this ONNX Runtime has no provider for the device, or cannot start it.
        """
        self._sessions = OnnxSessions(file, threads, device, tensorrt, thread_spinning)
        metadata = self._sessions.metadata
        if metadata.batch not in (None, 1):
            raise ModelError(
                f"{file}: takes {metadata.batch} images at once, live use takes one; export it again without --batch"
            )
        self.info = model_info(
            metadata.config,
            backend="onnxruntime",
            device="cuda:0" if device == "cuda" else device,
            precision=metadata.precision,
            fixed_size=metadata.size,
            file=file,
            fixed_batch=metadata.batch,
        )

    def run(self, image: Rgb) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        start = perf_counter()
        images = np.ascontiguousarray(image)[None]
        copied = perf_counter()
        depth = self._sessions.run(images)[0]
        done = perf_counter()
        return Prediction(depth, {"copy_in": (copied - start) * 1e3, "inference": (done - copied) * 1e3})

    def run_batch(self, images: Sequence[Rgb]) -> list[Prediction]:
        """Estimate depth for several images; see :class:`~space_clip_ros.inference.backend.BatchBackend`.

        They run 8, 4, 2 and 1 at once: few numbers, so that few sessions are made and kept.
        """
        depths: list[Depth] = []
        copy_in = inference = 0.0
        for part in _powers_of_two(images):
            start = perf_counter()
            stacked = np.stack(part)
            copied = perf_counter()
            # copies, so that keeping one image's depth does not keep all
            depths += [depth.copy() for depth in self._sessions.run(stacked)]
            copy_in += (copied - start) * 1e3
            inference += (perf_counter() - copied) * 1e3
        return [Prediction(depth, {"copy_in": copy_in, "inference": inference}) for depth in depths]

    def close(self) -> None:
        """Free every session."""
        self._sessions.close()


def _powers_of_two(images: Sequence[Rgb]) -> Iterator[Sequence[Rgb]]:
    """Cut a sequence into parts of 8, 4, 2 and 1, the largest first."""
    begin = 0
    while rest := len(images) - begin:
        count = min(1 << (rest.bit_length() - 1), _MOST_TOGETHER)
        yield images[begin : begin + count]
        begin += count


def _properties(file: Path) -> dict[str, str]:
    options = _quiet_options()
    # only the metadata is wanted; the real sessions optimise once the image size is known
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return dict(_open(file, options, [CPU]).get_modelmeta().custom_metadata_map)


def _open(
    file: Path, options: onnxruntime.SessionOptions, preferred: Sequence[Provider]
) -> onnxruntime.InferenceSession:
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=list(preferred))
    except Exception as error:  # the library's own errors share no base class
        if preferred[0] != CPU:
            raise BackendError(
                f"{file}: ONNX Runtime could not open it on the GPU: {str(error).splitlines()[0]}"
            ) from error
        raise ModelError(
            f"{file}: is not an ONNX file this ONNX Runtime {onnxruntime.__version__} can run "
            f"({str(error).splitlines()[0]}); export it again"
        ) from error
    check_in_use(preferred, session.get_providers())
    return session


def _quiet_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    return options
