"""From a model's name or file to a predictor: which backend, which device, which precision."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from space_clip_ros.config import PRECISIONS
from space_clip_ros.errors import BackendError, DeviceLostError, InputError, ModelError
from space_clip_ros.inference import model_files
from space_clip_ros.inference.backend import Backend
from space_clip_ros.inference.candidates import Candidate, candidates
from space_clip_ros.inference.cpu import has_vnni
from space_clip_ros.inference.gpu.cuda_errors import never_free
from space_clip_ros.inference.integrity import read_properties
from space_clip_ros.inference.metadata import OnnxMetadata
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.inference.registry import BackendFactory, Opener, OpenRequest, backend_factories
from space_clip_ros.libraries import import_error, pip_install

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_MOST_ERROR_CHANGE = 0.01
_MOST_THREADS = 1024


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
            exported ``.onnx`` or ``.pt2`` file or of a checkpoint.
        backend: auto, onnxruntime, torch or tensorrt. auto takes the fastest one available: for exported files
            TensorRT if ``space_clip engine`` has built an engine, then ONNX Runtime on a GPU, then on the CPU; for
            checkpoints TensorRT if there is an engine of a file exported from it, then PyTorch; for packages (.pt2)
            PyTorch. ``info.passed_over`` lists what was not used, and why.
        device: auto (a GPU if there is one; what a package was compiled for), cpu, cuda or cuda:N.
        precision: auto (an exported file's own, or tf32 for an fp32 file's engine that passed its check with it; for
            checkpoints fp16 on a GPU, fp32 on the CPU), fp32, fp16 or int8. With a name, int8 takes ``NAME_int8.onnx``
            if it lies beside ``NAME.onnx``, and fp32 and fp16 likewise; auto takes ``NAME_fp16.onnx`` on a GPU, and
            ``NAME_int8.onnx`` on a CPU with VNNI if its error was measured and is within 1 % of the fp32 file's.
        threads: CPU threads; 0 for one per physical core.
        thread_spinning: ONNX Runtime's CPU threads wait for each other by spinning while an image runs: faster on a
            machine with idle cores.

    Raises:
        InputError: an argument that is none of these.
        ModelError: no such model, or a file that is damaged or not one of ours.
        BackendError: the backend is not installed, cannot run this kind of file, or has no such device or precision.
        DeviceLostError: only a new process can use the GPU; auto tries nothing else then.
    """
    _check(backend, device, precision, threads)
    file = model_files.resolve(name_or_file, precision)
    # Only a name leaves the choice of the file open.
    open_choice = str(name_or_file) == file.stem and precision == "auto"
    tried = candidates(backend, device, file)
    if open_choice:
        tried = _with_faster_files(tried, file)
    request = OpenRequest(file, device, precision, threads, thread_spinning)
    opened = _first_that_opens(tried, request, falls_back=backend == "auto")
    if precision not in ("auto", opened.info.precision):
        opened.close()
        raise BackendError(
            f"precision {precision}",
            f"{file} runs in {opened.info.precision} on {opened.info.backend}",
            f"give precision auto, or a file exported with --precision {precision}",
        )
    return Predictor(opened)


def _with_faster_files(tried: Sequence[Candidate], file: Path) -> list[Candidate]:
    """Return the candidates, some preceded by a file of the same model that they run faster."""
    half, small = (model_files.in_precision(file, precision) for precision in ("fp16", "int8"))
    takes_int8 = small is not None and has_vnni()
    faster: list[Candidate] = []
    for candidate in tried:
        if half and candidate.device.startswith("cuda"):
            faster.append(candidate._replace(file=half))
        if takes_int8 and candidate.device == "cpu":
            faster.append(candidate._replace(file=small))
        faster.append(candidate)
    return faster


def _check(backend: str, device: str, precision: str, threads: int) -> None:
    for name, value, choices in (
        ("backend", backend, ("auto", *backend_factories())),
        ("precision", precision, PRECISIONS),
    ):
        if value not in choices:
            raise InputError(name, f"must be one of {', '.join(choices)}, got {value!r}")
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise InputError("device", f"must be auto, cpu, cuda or cuda:N, got {device!r}")
    if not isinstance(threads, int) or not 0 <= threads <= _MOST_THREADS:
        raise InputError("threads", f"must be a whole number from 0 to {_MOST_THREADS}, got {threads!r}")


def _first_that_opens(tried: Sequence[Candidate], request: OpenRequest, falls_back: bool) -> Backend:
    failures: dict[tuple[str, ...], tuple[Candidate, BackendError]] = {}
    for index, candidate in enumerate(tried):
        _, device, other_file = candidate
        rest = tried[index + 1 :]
        fallback = partial(_first_that_opens, rest, request, falls_back) if falls_back and rest else None
        try:
            opened = _open(candidate, replace(request, device=device, fallback=fallback, alternative=bool(rest)))
        except DeviceLostError as error:
            never_free(error)
            raise
        except BackendError as error:
            # The frames of its traceback hold what was opened, whose memory on the GPU the next one may need.
            failure = type(error)(error.what, error.reason, error.remedy) if rest else error
            _add_failure(failures, candidate, failure)
            continue
        except ModelError as error:
            if other_file is None:
                raise
            _add_failure(failures, candidate, BackendError(other_file, error.problem))
            continue
        passed_over = [_passed_over(*failure, request.file) for failure in failures.values()]
        if other_file is not None and device == "cpu":
            gain = f"VNNI runs int8 faster, abs_rel {opened.info.error_change:+.1%} on its test frames"
            passed_over.append(f"{request.file.stem} in fp32 ({gain})")
        opened.info = replace(opened.info, passed_over=tuple(passed_over))
        if other_file is not None and _has_fallback_file(candidate.factory, fallback):
            # images of other sizes run on the file that was asked for
            opened.info = replace(opened.info, fixed_size=None)
        return opened
    errors = [error for _, error in failures.values()]
    # The last candidate usually works wherever it is installed, so its message alone says what to do.
    if tried[-1].device in ("cpu", "auto") or len(errors) == 1:
        raise errors[-1]
    raise BackendError("; or ".join(map(str, errors))) from errors[-1]


def _open(candidate: Candidate, request: OpenRequest) -> Backend:
    """Open a candidate, run an image if it is on a GPU, and check what nobody asked for.

    Raises:
        BackendError: it cannot run, or must not be used.
        ModelError: the file is damaged.
    """
    factory, device, other_file = candidate
    file = other_file or request.file
    if other_file is not None:
        _check_same_model(other_file, request.file, sizes=not _has_fallback_file(factory, request.fallback))
    opened = _load(factory, file)(replace(request, file=file))
    if not factory.runs_on_opening:
        _run_on_gpu(opened)
    if other_file is not None and device == "cpu":
        _check_error(opened)
    return opened


def _add_failure(
    failures: dict[tuple[str, ...], tuple[Candidate, BackendError]], candidate: Candidate, error: BackendError
) -> None:
    """Add a failure in place of one of the same backend, device and reason, such as a missing library."""
    key = (candidate.factory.name, candidate.device, error.reason or error.what, error.remedy)
    failures.pop(key, None)
    failures[key] = candidate, error


def _run_on_gpu(opened: Backend) -> None:
    """Run one image if the backend is on a GPU: a library built without this GPU's code fails at its first kernel.

    Raises:
        BackendError: it cannot run; the backend is closed.
    """
    info = opened.info
    if not info.device.startswith("cuda"):
        return
    try:
        depth = opened.run(np.zeros((*(info.fixed_size or info.input_size), 3), np.uint8)).depth
        if not np.isfinite(depth).all():
            raise BackendError(info.file, f"depth of a black image is not finite on {info.device}")
    except DeviceLostError:
        raise
    except BackendError:
        opened.close()
        raise


def _has_fallback_file(factory: BackendFactory, fallback: Callable[[], Backend] | None) -> bool:
    """Return whether images of sizes that a backend has no engine for run on the next candidate's file."""
    return factory.package == "tensorrt" and fallback is not None


def _check_same_model(other: Path, file: Path, sizes: bool) -> None:
    """Refuse a file of a model in another precision that was exported from other weights, or for other sizes.

    Raises:
        BackendError: it was.
        ModelError: one of the two is damaged.
    """
    ours, theirs = (OnnxMetadata.from_properties(read_properties(path), path) for path in (file, other))
    if (ours.source_sha256, ours.config) != (theirs.source_sha256, theirs.config):
        raise BackendError(other, f"was exported from another checkpoint than {file.name}; export both again")
    if sizes and ours.size != theirs.size:
        raise BackendError(other, f"takes images of other sizes than {file.name}; export both again")


def _check_error(opened: Backend) -> None:
    """Refuse an int8 file that nobody asked for unless its error is known to be nearly that of fp32.

    Raises:
        BackendError: it is not; the backend is closed.
    """
    change = opened.info.error_change
    if change is None or change > _MOST_ERROR_CHANGE:
        opened.close()
        finding = "was not measured" if change is None else f"is {change:+.1%}"
        raise BackendError(opened.info.file, f"its error against fp32's {finding}; give precision int8")


def _passed_over(candidate: Candidate, error: BackendError, file: Path) -> str:
    """Return the candidate and why it did not open, without known facts and without the remedy."""
    name, device = candidate.factory.name, candidate.device
    if candidate.file is not None:
        name, file = f"{name} of {candidate.file.name}", candidate.file
    known = (str(file), f"device {device}", _context(candidate.factory, file))
    reason = error.reason if error.what in known else error.problem
    if candidate.file is not None and device == "cpu":
        reason = f"quicker with VNNI, but {reason}"
    return f"{name} on {device} ({reason})"


def _load(factory: BackendFactory, file: Path) -> Opener:
    """Import a backend's library; a library that is missing or broken is a backend that cannot be used."""
    try:
        return factory.load()
    except ModuleNotFoundError as error:
        missing = str(error.name or error).partition(".")[0]
        installs = {known.package: known.install for known in backend_factories().values()}
        install = installs.get(missing, factory.install)
        raise BackendError(
            _context(factory, file), f"needs the Python package {missing!r}", pip_install(install)
        ) from error
    except (ImportError, OSError) as error:
        cause = import_error(error, factory.name)
        raise BackendError(_context(factory, file), cause.reason, cause.remedy) from error


def _context(factory: BackendFactory, file: Path) -> str:
    return f"backend {factory.name} for {file}"
