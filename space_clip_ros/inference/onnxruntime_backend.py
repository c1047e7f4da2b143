"""Exported graphs on ONNX Runtime, CPU."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.inference.backend import Depth, Prediction, Rgb, model_info
from space_clip_ros.inference.metadata import HEIGHT_NAME, INPUT_NAME, OUTPUT_NAME, WIDTH_NAME, OnnxMetadata
from space_clip_ros.inference.threads import thread_count

SESSIONS_KEPT = 4
_ERRORS_ONLY = 3


class OnnxSessions:
    """One exported file, with a session for each of the last few image sizes.

    Attributes:
        metadata: what the file says about itself.
    """

    def __init__(self, file: Path, threads: int = 0) -> None:
        """Read the metadata; sessions are made when their image size first comes.

        Args:
            file: written by ``space_clip export``.
            threads: CPU threads; 0 for one a physical core.

        Raises:
            ModelError: not a whole ONNX file, or without metadata that this package reads.
        """
        self._file = file
        self._threads = thread_count(threads)
        self._sessions: OrderedDict[tuple[int, int], onnxruntime.InferenceSession] = OrderedDict()
        self._lock = threading.Lock()
        self.metadata = OnnxMetadata.from_properties(_properties(file), file)

    def run(self, images: Rgb) -> Depth:
        """Map contiguous (B, H, W, 3) uint8 RGB to (B, H, W) float32 metres.

        Raises:
            InputError: the file is made for images or batches of another size.
            BackendError: the run failed.
        """
        size = (images.shape[1], images.shape[2])
        session = self._session(size)
        if self.metadata.batch not in (None, len(images)):
            raise InputError(
                f"{self._file}: takes {self.metadata.batch} images at once, got {len(images)}; export it again with "
                f"--batch {len(images)}"
            )
        try:
            (depth,) = session.run([OUTPUT_NAME], {INPUT_NAME: images})
        except Exception as error:  # the library's own errors share no base class
            raise BackendError(f"{self._file}: ONNX Runtime failed on {size[1]} x {size[0]} pixels: {error}") from error
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
            options = self._options((images.shape[1], images.shape[2]))
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "run"))
            session = _open(self._file, options)
            for _ in range(runs):
                session.run([OUTPUT_NAME], {INPUT_NAME: images})
            events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return events

    def close(self) -> None:
        """Free every session."""
        with self._lock:
            self._sessions.clear()

    def _session(self, size: tuple[int, int]) -> onnxruntime.InferenceSession:
        if self.metadata.size not in (None, size):
            height, width = self.metadata.size
            raise InputError(
                f"{self._file}: is made for images of {width} x {height} pixels, got {size[1]} x {size[0]}; export it "
                f"again with --height {size[0]} --width {size[1]}, or without both for any size"
            )
        with self._lock:
            if size not in self._sessions:
                self._sessions[size] = _open(self._file, self._options(size))
                if len(self._sessions) > SESSIONS_KEPT:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(size)
            return self._sessions[size]

    def _options(self, size: tuple[int, int]) -> onnxruntime.SessionOptions:
        options = _quiet_options()
        options.intra_op_num_threads = self._threads
        # Spinning doubles the CPU time of a frame at 10 Hz, and beside other processes makes the model slower, too.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # With the size known, the weights of the resize become constants when the session is made.
        options.add_free_dimension_override_by_name(HEIGHT_NAME, size[0])
        options.add_free_dimension_override_by_name(WIDTH_NAME, size[1])
        return options


class OnnxRuntimeBackend:
    """Runs an exported file on the CPU."""

    def __init__(self, file: Path, device: str = "auto", threads: int = 0) -> None:
        """Open ``file``.

        Args:
            file: written by ``space_clip export``.
            device: auto or cpu.
            threads: CPU threads; 0 for one a physical core.

        Raises:
            ModelError: the file is not one of ours, or takes more than one image at once.
            BackendError: another device is asked for.
        """
        if device not in ("auto", "cpu"):
            raise BackendError(
                f"device {device}: the onnxruntime backend runs on the cpu; give device cpu, or a checkpoint file with "
                f"backend torch for a GPU"
            )
        self._sessions = OnnxSessions(file, threads)
        metadata = self._sessions.metadata
        if metadata.batch not in (None, 1):
            raise ModelError(
                f"{file}: takes {metadata.batch} images at once, live use takes one; export it again without --batch"
            )
        self.info = model_info(
            metadata.config,
            backend="onnxruntime",
            device="cpu",
            precision=metadata.precision,
            fixed_size=metadata.size,
            file=file,
        )

    def run(self, image: Rgb) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        start = perf_counter()
        images = np.ascontiguousarray(image)[None]
        copied = perf_counter()
        depth = self._sessions.run(images)[0]
        done = perf_counter()
        return Prediction(depth, {"copy_in": (copied - start) * 1e3, "inference": (done - copied) * 1e3})

    def close(self) -> None:
        """Free every session."""
        self._sessions.close()


def _properties(file: Path) -> dict[str, str]:
    options = _quiet_options()
    # only the metadata is wanted; the real sessions optimise once the image size is known
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return dict(_open(file, options).get_modelmeta().custom_metadata_map)


def _open(file: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own errors share no base class
        raise ModelError(
            f"{file}: is not an ONNX file this ONNX Runtime {onnxruntime.__version__} can run "
            f"({str(error).splitlines()[0]}); export it again"
        ) from error


def _quiet_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    return options
