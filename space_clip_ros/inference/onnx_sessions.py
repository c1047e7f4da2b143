"""An exported graph in ONNX Runtime: one session for each number and size of images."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime

from space_clip_ros.errors import BackendError, DeviceLostError, ModelError, SpaceClipError, first_line, one_line
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.gpu.cuda_errors import cuda_error_in_text
from space_clip_ros.inference.integrity import check_graph
from space_clip_ros.inference.metadata import (
    BATCH_NAME,
    HEIGHT_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    WIDTH_NAME,
    OnnxMetadata,
)
from space_clip_ros.inference.onnx_cuda import preload_libraries, sleep_while_waiting
from space_clip_ros.inference.onnx_gpu_session import GPU_TURN, OnnxGpuSession
from space_clip_ros.inference.partial_graph import partial_graph
from space_clip_ros.inference.providers import (
    CPU,
    TENSORRT,
    Provider,
    check_available,
    check_in_use,
    check_placement,
    providers,
)
from space_clip_ros.inference.threads import thread_count
from space_clip_ros.model_config import LANGUAGE_OUTPUTS

SESSIONS_KEPT = 8
_ERRORS_ONLY = 3

_Shape = tuple[int, int, int]
_Key = tuple[_Shape, tuple[str, ...]]
_log = logging.getLogger(__name__)


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
        """Read the metadata; a session is made when images of its number and size first arrive.

        Whether a GPU can be used is checked by :meth:`check_gpu`.

        Args:
            file: written by ``space_clip export``.
            threads: CPU threads; 0 for one per physical core.
            device: cpu, cuda or cuda:N.
            tensorrt: on a GPU, prefer the TensorRT provider.
            thread_spinning: during a run, threads without work spin instead of sleeping.

        Raises:
            ModelError: not a whole ONNX file, changed since its export, or without metadata that this package reads.
            BackendError: this ONNX Runtime has no provider for the device.
        """
        self._file = file
        self._threads = thread_count(threads)
        self._thread_spinning = thread_spinning
        self._device = device
        self._sessions: OrderedDict[_Key, onnxruntime.InferenceSession | OnnxGpuSession] = OrderedDict()
        self._lock = threading.Lock()
        available = onnxruntime.get_available_providers()
        check_available(device, available, tensorrt)
        self.metadata = OnnxMetadata.from_properties(_properties(file), file)
        check_graph(file, self.metadata.graph_sha256)
        described = (device, available, tensorrt, self.metadata.precision, onnxruntime.__version__)
        self._providers = providers(*described)
        # The TensorRT provider makes graphs of its own engines.
        self._graph_providers = None if device == "cpu" or tensorrt else providers(*described, graph=True)

    def run(self, images: Rgb) -> Depth:
        """Map contiguous (B, H, W, 3) uint8 RGB to (B, H, W) float32 metres.

        Raises:
            InputError: the file is made for images or batches of another size.
            BackendError: the run failed.
        """
        return self._run(images, (OUTPUT_NAME,))[OUTPUT_NAME]

    def estimate(self, images: Rgb, language: bool = True) -> dict[str, Depth]:
        """Map contiguous (B, H, W, 3) uint8 RGB to everything that the file gives.

        Args:
            images: the images.
            language: whether language features are wanted; if not, operators that only they need are left out.

        Returns:
            By the outputs' names: ``depth``, (B, H, W) float32 metres; perhaps ``uncertainty``, (B, h, w) float32, one
            standard deviation as a share of depth, at the size that the network makes it; perhaps ``embedding``,
            (B, D), and ``dense``, (B, rows, columns, D), float32 of length 1.

        Raises:
            InputError: as :meth:`run`.
            BackendError: as :meth:`run`.
        """
        return self.run_only(
            images, [name for name in self.metadata.outputs if language or name not in LANGUAGE_OUTPUTS]
        )

    def run_only(self, images: Rgb, names: Sequence[str]) -> dict[str, Depth]:
        """Compute some outputs alone, in a session without whatever only others need.

        Returns:
            By the outputs' names, as :meth:`estimate`.

        Raises:
            InputError: as :meth:`run`.
            BackendError: as :meth:`run`.
        """
        return self._run(images, names, tuple(names))

    def check_gpu(self) -> None:
        """Run a black image on the GPU, so that loading fails if images would, and look at where operators run.

        It runs in a session that is closed again; a file for one size then runs in the session that it will use, too.
        With the TensorRT provider a file of any size is only opened, since running builds an engine for that size.

        Raises:
            BackendError: it cannot run there, its depth is not finite, or the GPU's provider leaves more than a tenth
                of the operators to the CPU.
            DeviceLostError: only a new process can use the GPU.
        """
        size, name = self.metadata.size, _name(self._providers[0])
        if size is None and name == TENSORRT:
            with GPU_TURN:
                _open(self._file, self._file, quiet_options(), self._providers)
            return
        black = np.zeros((1, *(size or self.metadata.config.input_size), 3), np.uint8)
        events, maps = self._profiled(black, 1)
        check_placement(events, name)
        if size is not None:
            maps = self.estimate(black)
        if not np.isfinite(maps[OUTPUT_NAME]).all():
            raise BackendError(self._file, f"depth of a black image is not finite on {self._device}")

    def profile(self, images: Rgb, runs: int) -> list[dict[str, Any]]:
        """Run ``runs`` times in a session that times every operator, and return the profile's events.

        Timing slows the run down: time :meth:`run` to measure a whole run.

        Raises:
            InputError: as :meth:`run`.
            BackendError: as :meth:`run`, or the profile cannot be written.
        """
        events, _ = self._profiled(images, runs)
        return events

    def close(self) -> None:
        """Free every session."""
        with self._lock:
            self._sessions.clear()

    def _profiled(self, images: Rgb, runs: int) -> tuple[list[dict[str, Any]], dict[str, Depth]]:
        """Return what :meth:`profile` does, and the outputs of the last run."""
        shape = (len(images), images.shape[1], images.shape[2])
        self.metadata.check_images(self._file, *shape)
        options = self._options(shape)
        options.enable_profiling = True
        names = list(self.metadata.outputs)
        try:
            with TemporaryDirectory(prefix="space_clip_profile_") as folder:
                options.profile_file_prefix = str(Path(folder, "run"))
                with GPU_TURN if self._device != "cpu" else nullcontext():
                    session = _open(self._file, self._file, options, self._providers)
                    for _ in range(runs):
                        maps = session.run(names, {INPUT_NAME: images})
                events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        except SpaceClipError:
            raise
        except OSError as error:
            remedy = "set TMPDIR to a folder that can be written to"
            raise BackendError(self._file, f"cannot write the profile of its run ({error})", remedy) from error
        except Exception as error:  # the library's own errors share no base class
            raise self._failed_run(shape, error) from error
        return events, dict(zip(names, maps, strict=True))

    def _failed_run(self, shape: _Shape, error: Exception) -> BackendError:
        return cuda_error_in_text(self._file, f"ONNX Runtime failed on {shape[2]} x {shape[1]} pixels: {error}")

    def _run(self, images: Rgb, names: Sequence[str], computed: tuple[str, ...] | None = None) -> dict[str, Depth]:
        """Return the named outputs of a session that computes ``computed``, or everything."""
        shape = (len(images), images.shape[1], images.shape[2])
        self.metadata.check_images(self._file, *shape)
        session = self._session(shape, computed or self.metadata.outputs)
        try:
            maps = session.run(list(names), {INPUT_NAME: images})
        except Exception as error:  # the library's own errors share no base class
            raise self._failed_run(shape, error) from error
        return {name: np.asarray(values, dtype=np.float32) for name, values in zip(names, maps, strict=True)}

    def _session(self, shape: _Shape, names: tuple[str, ...]) -> onnxruntime.InferenceSession | OnnxGpuSession:
        key = (shape, names)
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = self._made(shape, names)
                if len(self._sessions) > SESSIONS_KEPT:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(key)
            return self._sessions[key]

    def _made(self, shape: _Shape, names: tuple[str, ...]) -> onnxruntime.InferenceSession | OnnxGpuSession:
        """Open a session for a shape; on a GPU with memory of its own, and with a CUDA graph if that works."""
        whole = names == self.metadata.outputs
        model = self._file if whole else partial_graph(self._file.read_bytes(), names)
        outputs = {name: self.metadata.config.outputs[name] for name in names}
        if self._device == "cpu":
            return _open(self._file, model, self._options(shape), self._providers)
        if self._graph_providers is not None:
            recorded = self._with_graph(model, shape, outputs, self._graph_providers)
            if recorded is not None:
                return recorded
        opener = partial(_open, self._file, model, self._options(shape), self._providers)
        try:
            return OnnxGpuSession(opener, shape, outputs, self._device, graph=False)
        except SpaceClipError:
            raise
        except Exception as error:
            raise cuda_error_in_text(self._file, f"ONNX Runtime has no memory on {self._device}: {error}") from error

    def _with_graph(
        self,
        model: Path | bytes,
        shape: _Shape,
        outputs: Mapping[str, Sequence[int] | None],
        preferred: Sequence[Provider],
    ) -> OnnxGpuSession | None:
        """Open a session with a CUDA graph; if that fails, log why, free it and return None."""
        try:
            opener = partial(_open, self._file, model, self._options(shape), preferred)
            return OnnxGpuSession(opener, shape, outputs, self._device, graph=True)
        except DeviceLostError:
            raise
        except Exception as error:  # the library's own errors share no base class
            failure = cuda_error_in_text(self._file, str(error))
            if isinstance(failure, DeviceLostError):
                raise failure from error
            _log.warning("%s: no CUDA graph, which makes every run slower (%s)", self._device, first_line(error))
            return None

    def _options(self, shape: _Shape) -> onnxruntime.SessionOptions:
        options = quiet_options()
        options.intra_op_num_threads = self._threads
        # Spinning between runs would double the CPU time of a frame at 10 Hz.
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self._thread_spinning)))
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Without VNNI, sums of int8 products may overflow; this selects slower kernels that are safe, only there.
        options.add_session_config_entry("session.x64quantprecision", "1")
        # With all sizes known, resize weights and shapes are folded into constants when the session is made.
        for name, value in zip((BATCH_NAME, HEIGHT_NAME, WIDTH_NAME), shape, strict=True):
            options.add_free_dimension_override_by_name(name, value)
        return options


def _properties(file: Path) -> dict[str, str]:
    options = quiet_options()
    # only the metadata is read here; the real sessions optimise once the image size is known
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return dict(_open(file, file, options, [CPU]).get_modelmeta().custom_metadata_map)


def _open(
    file: Path, model: Path | bytes, options: onnxruntime.SessionOptions, preferred: Sequence[Provider]
) -> onnxruntime.InferenceSession:
    """Open a file, or a graph cut out of it."""
    if not isinstance(preferred[0], str):
        preload_libraries()
        sleep_while_waiting(preferred[0][1]["device_id"])
    try:
        given = model if isinstance(model, bytes) else str(model)
        # Otherwise it goes on to the CPU by itself, prints that, and keeps the reason.
        session = onnxruntime.InferenceSession(given, options, providers=list(preferred), enable_fallback=0)
    except Exception as error:  # the library's own errors share no base class
        if preferred[0] != CPU:
            raise cuda_error_in_text(file, f"ONNX Runtime could not open it on the GPU: {one_line(error)}") from error
        raise ModelError(
            file,
            f"is not an ONNX file this ONNX Runtime {onnxruntime.__version__} can run ({first_line(error)})",
            "export it again",
        ) from error
    check_in_use(preferred, session.get_providers())
    return session


def _name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]


def quiet_options() -> onnxruntime.SessionOptions:
    """Return the options of a session that logs nothing but errors."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    return options
