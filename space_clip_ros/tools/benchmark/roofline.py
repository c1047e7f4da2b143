"""The machine's roofline: its matrix peak and its memory bandwidth, measured in a separate process.

The process is separate because the number of threads of NumPy's matrix library can only be set before it loads, and
because the measurement's buffers, and PyTorch on GPUs, would otherwise count as the model's memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import BackendError

_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_SIDES = (256, 512, 1024, 2048)
"""Sides of the matrices: many cores need large ones, and on a busy machine only small ones run undisturbed."""
_COPY_BYTES = 256 << 20
_PEAK = "the machine's peak"
_MEASURE_S = 0.75
_TIMEOUT_S = 120.0
_DEVICE_PROCESS = "space_clip_ros.tools.benchmark.device_roofline"


@dataclass(frozen=True)
class Roofline:
    """A machine's limits.

    Attributes:
        gflops: 10^9 operations per second of a large matrix product, two per multiply-add.
        gbytes: 10^9 bytes per second of copying a large array, reads and writes added.
        threads: CPU threads that both used; 0 on a GPU.
        measured_by: library that measured.
        precision: number format of the product, fp32 or fp16.
    """

    gflops: float
    gbytes: float
    threads: int
    measured_by: str
    precision: str = "fp32"


def measure_cpu(threads: int) -> Roofline:
    """Measure the CPU with ``threads`` threads; takes about four seconds.

    Raises:
        BackendError: the measuring process failed.
    """
    environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
    rates = _measure([__name__, str(threads), str(_MEASURE_S)], environment)
    return Roofline(**rates, threads=threads, measured_by=f"NumPy {np.__version__}")


def measure_device(name: str, precision: str) -> Roofline:
    """Measure a GPU with PyTorch, which must be installed.

    Args:
        name: cuda:N.
        precision: the model's; the peak of its products is measured, and for int8 that of fp32.

    Raises:
        BackendError: the measuring process failed.
    """
    measured = precision if precision in ("fp16", "tf32") else "fp32"
    return Roofline(**_measure([_DEVICE_PROCESS, name, measured], os.environ), threads=0, precision=measured)


def _measure(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        rates: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise BackendError(
            _PEAK, f"could not be measured within {_TIMEOUT_S:g} s", "try again when the machine is less busy"
        ) from error
    except ValueError as error:
        (reason,) = done.stderr.strip().splitlines()[-1:] or [f"the process ended with status {done.returncode}"]
        raise BackendError(_PEAK, f"could not be measured ({reason})", "1 GB of free memory is needed") from error
    return rates


def best_rate(amount: float, act: Callable[[], object], seconds: float | None = None) -> float:
    """Return the best ``amount`` per second of ``act``, repeated for ``seconds`` after one run that does not count."""
    act()
    best, end = float("inf"), time.perf_counter() + (_MEASURE_S if seconds is None else seconds)
    while time.perf_counter() < end:
        start = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - start)
    return amount / best


def _matrix_gflops(seconds: float) -> float:
    return max(_product_gflops(side, seconds) for side in _SIDES)


def _product_gflops(side: int, seconds: float) -> float:
    generator = np.random.default_rng(0)
    left, right = (generator.random((side, side), np.float32) for _ in range(2))
    out = np.empty_like(left)
    return best_rate(2.0 * side**3, lambda: np.matmul(left, right, out=out), seconds) / 1e9


def _copy_gbytes(threads: int, seconds: float) -> float:
    source = np.zeros(_COPY_BYTES, np.uint8)
    target = np.ones_like(source)
    # Copying releases the interpreter's lock, so threads copy at the same time.
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    return best_rate(2.0 * _COPY_BYTES, lambda: _copy_at_once(parts), seconds) / 1e9


def _copy_at_once(parts: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]) -> None:
    copies = [threading.Thread(target=np.copyto, args=part) for part in parts[1:]]
    for copy in copies:
        copy.start()
    np.copyto(*parts[0])
    for copy in copies:
        copy.join()


def main() -> None:
    """Measure with the number of threads and the seconds a rate on the command line, and write one line of JSON."""
    threads, seconds = int(sys.argv[1]), float(sys.argv[2])
    rates = {"gflops": round(_matrix_gflops(seconds), 1), "gbytes": round(_copy_gbytes(threads, seconds), 2)}
    json.dump(rates, sys.stdout)


if __name__ == "__main__":
    main()
