"""The process that measures a GPU's roofline: matrix products and copies with PyTorch, one line of JSON."""

from __future__ import annotations

import json
import sys

import torch

from space_clip_ros.tools.benchmark.roofline import best_rate

_TYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16}
_SIDE = 4096
_COPY_NUMBERS = 64 << 20


def rates(name: str, precision: str, side: int = _SIDE, numbers: int = _COPY_NUMBERS) -> tuple[float, float]:
    """Return 10^9 operations per second of a matrix product (fp32: no TF32) and 10^9 bytes per second of a copy.

    Args:
        name: a PyTorch device, such as ``cuda:0``.
        precision: fp32, tf32 or fp16.
        side: rows and columns of the matrices to multiply.
        numbers: how many float32 numbers to copy.
    """
    device = torch.device(name)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    left, right = (torch.rand((side, side), device=device).to(_TYPES[precision]) for _ in range(2))
    source = torch.rand(numbers, device=device)
    target = torch.empty_like(source)

    def multiply() -> None:
        torch.matmul(left, right)
        wait(device)

    def copy() -> None:
        target.copy_(source)
        wait(device)

    return best_rate(2.0 * side**3, multiply) / 1e9, best_rate(2.0 * 4 * numbers, copy) / 1e9


def wait(device: torch.device) -> None:
    """Wait until a GPU has finished its work; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure the device and precision on the command line, and write one line of JSON."""
    device, precision = sys.argv[1:]
    gflops, gbytes = rates(device, precision)
    measured_by = f"PyTorch {torch.__version__} on {device}"
    json.dump({"gflops": round(gflops, 1), "gbytes": round(gbytes, 2), "measured_by": measured_by}, sys.stdout)


if __name__ == "__main__":
    main()
