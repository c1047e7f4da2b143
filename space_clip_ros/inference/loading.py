"""From a model's name or file to a predictor: which backend, which device, which precision."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from space_clip_ros.config import BACKENDS, PRECISIONS
from space_clip_ros.errors import BackendError, InputError, describe
from space_clip_ros.inference import model_files
from space_clip_ros.inference.backend import Backend
from space_clip_ros.inference.candidates import Candidate, candidates
from space_clip_ros.inference.cpu import has_vnni
from space_clip_ros.inference.predictor import Predictor

_TRAIN = "'space_clip_ros[train]'"
_INSTALL = {"onnxruntime": "onnxruntime", "torch": _TRAIN, "tensorrt": "tensorrt"}
"""What to install for a backend, or for the package that it misses."""
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class _Wanted:
    """What every backend is told, each takes of it what concerns it."""

    file: Path
    precision: str
    threads: int
    thread_spinning: bool


def load_predictor(
    name_or_file: str | Path,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    thread_spinning: bool = False,
) -> Predictor:
    """Load a model.

    Args:
        name_or_file: the name of a bundled model (``road_tiny``) or of one in the user's folder, or the path of an
            exported ``.onnx`` file or of a checkpoint.
        backend: auto, onnxruntime, torch or tensorrt. auto takes the fastest that is there: for exported files
            TensorRT where ``space_clip engine`` has built an engine, then ONNX Runtime on a GPU, then on the CPU; for
            checkpoints PyTorch. ``info.passed_over`` says what was not taken, and why.
        device: auto (a GPU where there is one), cpu, cuda or cuda:N.
        precision: auto (an exported file's own; for checkpoints fp16 on a GPU, fp32 on the CPU), fp32, fp16 or int8.
            With a name, int8 takes ``NAME_int8.onnx`` where it lies beside ``NAME.onnx``, and fp32 and fp16 likewise.
        threads: CPU threads; 0 for one a physical core.
        thread_spinning: ONNX Runtime's CPU threads wait for each other by spinning while an image runs: quicker on a
            machine with cores to spare.

    Raises:
        InputError: an argument that is none of these.
        ModelError: no such model, or a file that is damaged or not one of ours.
        BackendError: the backend is not installed, cannot run this kind of file, or has no such device or precision.
    """
    _check(backend, device, precision, threads)
    file = model_files.resolve(name_or_file, precision)
    wanted = _Wanted(file, precision, threads, thread_spinning)
    loaded = _first_that_opens(candidates(backend, device, file), wanted)
    if precision not in ("auto", loaded.info.precision):
        loaded.close()
        raise BackendError(
            f"precision {precision}: {file} runs in {loaded.info.precision} on {loaded.info.backend}; give precision "
            f"auto, or a file exported with --precision {precision}"
        )
    # Only a name leaves the choice of the file open.
    small = model_files.in_precision(file, "int8") if str(name_or_file) == file.stem and precision == "auto" else None
    if small is not None and loaded.info.device == "cpu" and has_vnni():
        hint = f"{small.stem} on cpu (quicker with VNNI, which this machine has; give precision int8)"
        loaded.info = replace(loaded.info, passed_over=(*loaded.info.passed_over, hint))
    return Predictor(loaded)


def _check(backend: str, device: str, precision: str, threads: int) -> None:
    for name, value, choices in (("backend", backend, BACKENDS), ("precision", precision, PRECISIONS)):
        if value not in choices:
            raise InputError(f"{name}: must be one of {', '.join(choices)}, got {value!r}")
    if not _DEVICE.fullmatch(device):
        raise InputError(f"device: must be auto, cpu, cuda or cuda:N, got {device!r}")
    if threads < 0:
        raise InputError(f"threads: must be at least 0, got {threads}")


def _first_that_opens(tried: Sequence[Candidate], wanted: _Wanted) -> Backend:
    failures: list[BackendError] = []
    for index, candidate in enumerate(tried):
        otherwise = partial(_first_that_opens, tried[index + 1 :], wanted)
        try:
            opened = _open(candidate, wanted, otherwise)
        except BackendError as error:
            failures.append(error)
            continue
        reasons = [_reason(*failure, wanted.file) for failure in zip(tried, failures, strict=False)]
        opened.info = replace(opened.info, passed_over=tuple(reasons))
        return opened
    # The last is what always works where it is installed: its message alone says what to do.
    if tried[-1].device in ("cpu", "auto") or len(tried) == 1:
        raise failures[-1]
    raise BackendError("; or ".join(map(str, failures))) from failures[-1]


def _reason(candidate: Candidate, error: BackendError, file: Path) -> str:
    """Return what is missing, in few words: without the file's name and without the remedies."""
    text = str(error).partition("; ")[0].replace(f" to run {file}", "")
    for context in (f"{file}: ", f"backend {candidate.library}: ", f"device {candidate.device}: "):
        text = text.removeprefix(context)
    return f"{candidate.library} on {candidate.device} ({text})"


def _open(candidate: Candidate, wanted: _Wanted, otherwise: Callable[[], Backend]) -> Backend:
    library, device = candidate.library, candidate.device
    file, threads = wanted.file, wanted.threads
    # Each library is loaded only where it is used: none must be installed for the others.
    if library == "tensorrt":
        with _loading(library, file):
            from space_clip_ros.inference.backends.tensorrt import TensorRtBackend
        return TensorRtBackend(file, device, threads, otherwise if candidate.chosen_by_us else None)
    if library == "torch":
        with _loading(library, file):
            from space_clip_ros.inference.backends.torch import TorchBackend
        return TorchBackend(file, device, threads, wanted.precision)
    with _loading(library, file):
        from space_clip_ros.inference.backends.onnxruntime import OnnxRuntimeBackend
    return OnnxRuntimeBackend(file, device, threads, candidate.through_onnxruntime, wanted.thread_spinning)


@contextmanager
def _loading(library: str, file: Path) -> Iterator[None]:
    """Turn a library that is missing or broken into a backend that cannot be had."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = str(error.name or error).partition(".")[0]
        package = _INSTALL.get(name, _INSTALL[library])
        raise BackendError(
            f"backend {library}: needs the Python package {name!r} to run {file}; pip install {package}"
        ) from error
    except (ImportError, OSError) as error:
        raise BackendError(
            f"backend {library}: is installed, but cannot be loaded to run {file} ({describe(error)}); install it "
            f"again, for this machine's versions"
        ) from error
