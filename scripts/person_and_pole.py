"""Measures whether a model's depth shows a person at 10 m and a pole at 8 m in synthetic streets.

For each of a fixed set of streets, it compares the median depth of the person and of the pole with that of what shows
beside them, at their height, and prints the contrast as a share of the true one: 1 if depth is right, 0 if the object
does not stand out at all. Boundaries and the sky are scored as by ``space_clip evaluate --edges``. Numbers of one
processor and ONNX Runtime repeat exactly.

Example: ``python scripts/person_and_pole.py --model road_tiny --json before.json --out out/person_and_pole``
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from contrast.contrast import Contrast, beside, contrast
from contrast.street import StreetView, person_and_pole
from space_clip_ros.cli.console import complain, progress, say
from space_clip_ros.cli.options import add_settings, positive
from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import SpaceClipError
from space_clip_ros.evaluation.boundaries import boundary_scores
from space_clip_ros.evaluation.evaluator import Estimate, FrameScore, mean_metrics, score_frame, with_edges
from space_clip_ros.evaluation.pictures import comparison
from space_clip_ros.evaluation.protocol import EvaluationProtocol, standard_protocol
from space_clip_ros.evaluation.report import mean_edges
from space_clip_ros.files import write_json
from space_clip_ros.geometry.depth import resize_nearest, write_depth_png
from space_clip_ros.geometry.image_file import write_rgb
from space_clip_ros.inference import load_predictor

FIRST_SEED = 500_000
"""Seed of the first street; far from those that drives to train on are usually drawn from."""

GAP_M, REACH_M = 0.1, 0.6
"""What counts as beside an object: from this far to this far from its outline, at its distance, metres."""

STANDS_OUT = 0.5
"""Share of the true contrast from which an object counts as standing out."""


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(
        description="Measure whether a model's depth shows a person at 10 m and a pole at 8 m in synthetic streets.",
        epilog="example: python scripts/person_and_pole.py --model road_tiny --json before.json",
    )
    parser.add_argument("--model", required=True, help="bundled model, .onnx file or checkpoint")
    parser.add_argument("--streets", type=positive, default=12, metavar="N", help="how many (default: %(default)s)")
    add_settings(parser, NodeConfig, "backend", "device", "precision")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the streets, as a source of kind frames, and pictures of depth here",
    )
    args = parser.parse_args()
    try:
        result = measure(args)
    except SpaceClipError as error:
        complain(str(error))
        return 1
    show(result)
    if args.json:
        write_json(args.json, result)
    return 0


def streets(count: int) -> Iterator[tuple[int, StreetView]]:
    """Yield the first ``count`` streets that have room for a person and a pole, with their seeds."""
    views = ((seed, person_and_pole(seed)) for seed in itertools.count(FIRST_SEED))
    return itertools.islice(((seed, view) for seed, view in views if view is not None), count)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return the numbers of a model, averaged and for each street."""
    protocol = standard_protocol("none")
    scores: list[FrameScore] = []
    rows: list[dict[str, Any]] = []
    coarse: list[float] = []
    with load_predictor(args.model, args.backend, args.device, args.precision) as predict:
        for number, (seed, view) in enumerate(progress(streets(args.streets), args.streets, "streets")):
            depth = protocol.fit(predict(view.image), view.depth)
            score = score_frame(number, str(seed), Estimate(depth), view.depth, protocol)
            scores.append(with_edges(score, depth, view.depth, protocol))
            coarse.append(quarter_size_f1(depth, view.depth, protocol))
            contrasts = {name: stands_out(depth, view, name, protocol.max_depth) for name in view.objects}
            rows.append(
                {"seed": seed, **{name: {**item._asdict(), "share": item.share} for name, item in contrasts.items()}}
            )
            if args.out:
                write_street(args.out, f"street_{seed}", view, depth, protocol.max_depth)
        info = predict.info
    return {
        "model": info.name,
        "backend": info.backend,
        "precision": info.precision,
        "objects": {name: average([row[name] for row in rows]) for name in view.objects},
        **mean_edges(scores),
        "quarter_size_f1": float(np.mean(coarse)),
        "metrics": mean_metrics(scores),
        "streets": rows,
    }


def stands_out(depth: Any, view: StreetView, name: str, max_depth: float) -> Contrast:
    """Return the contrast of one object of a street."""
    mask = view.objects[name]
    pixels_per_metre = view.camera.fx / float(np.median(view.depth[mask]))
    behind = beside(mask, view.depth, round(GAP_M * pixels_per_metre), round(REACH_M * pixels_per_metre))
    return contrast(depth, view.depth, mask, behind, max_depth)


def quarter_size_f1(depth: Any, truth: Any, protocol: EvaluationProtocol) -> float:
    """Return boundary F1 with every fourth pixel, about the grid of the bundled model: full size asks more of it."""
    height, width = (side // 4 for side in truth.shape)
    prediction, truth = (resize_nearest(values, width, height) for values in (depth, truth))
    scores = boundary_scores(prediction, truth, protocol.min_depth, protocol.max_depth)
    return scores.f1 if scores else 0.0


def average(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the means over streets, the lowest share, and in how many streets the object stands out."""
    shares = [row["share"] for row in rows]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {**means, "lowest_share": min(shares), "stands_out": sum(share >= STANDS_OUT for share in shares)}


def write_street(folder: Path, name: str, view: StreetView, depth: Any, max_depth: float) -> None:
    """Write a street as a frame of a source of kind ``frames``, and a picture of its image, depth, truth and error."""
    frames, camera = folder / "frames", view.camera
    write_rgb(frames / f"{name}.png", view.image)
    write_depth_png(frames / f"{name}_depth.png", view.depth, "kitti")
    values = {key: getattr(camera, key) for key in ("width", "height", "fx", "fy", "cx", "cy")}
    description = {**values, "scene": name, "truth": "synthetic", "dataset": "person_and_pole"}
    write_json(frames / f"{name}.json", description)
    write_rgb(folder / "pictures" / f"{name}.png", comparison(view.image, depth, view.depth, max_depth))


def show(result: dict[str, Any]) -> None:
    """Print the averages; depths are in metres."""
    count = len(result["streets"])
    say(f"{result['model']} ({result['backend']}, {result['precision']}), {count} streets")
    columns = ("object_m", "predicted_object_m", "behind_m", "predicted_behind_m", "share", "lowest_share")
    headings = ("true", "predicted", "behind", "predicted", "contrast", "lowest")
    say(f"  {'object':<9} {' '.join(f'{heading:>9}' for heading in headings)}  stands out")
    for name, row in result["objects"].items():
        figures = " ".join(f"{row[column]:9.2f}" for column in columns)
        say(f"  {name:<9} {figures}  in {row['stands_out']}")
    boundaries, sky = result["boundaries"], result["sky"]
    say("  boundaries: f1 {f1:.4f}, precision {precision:.4f}, recall {recall:.4f}".format(**boundaries))
    say(f"  boundaries at a quarter of the size: f1 {result['quarter_size_f1']:.4f}")
    say("  sky: {near:.1%} nearer than 40 m, {in_range:.1%} nearer than the largest depth".format(**sky))
    say("  abs_rel {abs_rel:.4f}, a1 {a1:.4f} over the whole picture".format(**result["metrics"]))


if __name__ == "__main__":
    sys.exit(main())
