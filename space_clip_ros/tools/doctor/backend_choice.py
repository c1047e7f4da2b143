"""Loads a model with ``auto`` and prints the chosen backend and why not the others, as one line of JSON."""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import Any

import numpy as np

from space_clip_ros.errors import SpaceClipError
from space_clip_ros.inference import load_predictor, model_files
from space_clip_ros.inference.candidates import candidates
from space_clip_ros.inference.registry import backend_factories

_SIZE = (375, 1242)
_RUNS = 3


def chosen(model: str) -> dict[str, Any]:
    """Load a model on the backend that ``auto`` takes, and run images through it.

    Returns:
        The order in which auto tries backends; the chosen one; the rejected ones with reasons; the backends that cannot
        run such a file; and the milliseconds of the first image and of the quickest later one.

    Raises:
        SpaceClipError: no such model, or no backend runs it here.
    """
    file = model_files.resolve(model)
    order = [f"{candidate.factory.name} on {candidate.device}" for candidate in candidates("auto", "auto", file)]
    others = {
        name: f"runs {', '.join(factory.suffixes)}"
        for name, factory in backend_factories().items()
        if file.suffix not in factory.suffixes
    }
    with load_predictor(model) as predictor:
        info = predictor.info
        height, width = info.fixed_size or _SIZE
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        times = []
        for _ in range(_RUNS):
            start = perf_counter()
            depth = predictor(image)
            times.append((perf_counter() - start) * 1e3)
    return {
        "file": file.name,
        "order": order,
        "backend": info.backend,
        "device": info.device,
        "precision": info.precision,
        "passed_over": list(info.passed_over),
        "for_other_files": others,
        "image": [width, height],
        "first_ms": round(times[0], 1),
        "quickest_ms": round(min(times[1:]), 1),
        "finite": bool(np.isfinite(depth).all()),
    }


def main(model: str) -> int:
    """Print the choice, or ``problem``: why there is none."""
    try:
        choice = chosen(model)
    except SpaceClipError as error:
        choice = {"problem": str(error)}
    sys.stdout.write(f"\n{json.dumps(choice)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
