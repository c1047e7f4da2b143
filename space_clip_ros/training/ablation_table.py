"""Writes the results of an ablation as one table, in Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from space_clip_ros.evaluation.metrics import METRICS
from space_clip_ros.files import write_json, write_whole
from space_clip_ros.training.ablation import Ablation, RowResult

CRITERION = "abs_rel"
"""The metric that compares rows with the first one."""


def markdown_table(ablation: Ablation, results: Sequence[RowResult]) -> str:
    """Return the finished rows as a table in Markdown, in the order of the ablation's file.

    The last column is the change of abs_rel against the first row, in percent; above 0 is worse. A row whose depth
    could not be compared on any validation frame has no metrics.
    """
    header = ("row", "trained weights", "epoch", *METRICS, f"{CRITERION} against {ablation.rows[0].label}")
    lines = [_line(header), _line(["---", "---:", "---:", *["---:"] * len(METRICS), "---:"])]
    first = next((result for result in results if result.name == ablation.rows[0].name), None)
    for result in results:
        metrics = [f"{result.metrics[name]:.4f}" if name in result.metrics else "" for name in METRICS]
        epoch = f"{result.epoch} ({result.weights})" if result.metrics else ""
        lines.append(_line((result.label, f"{result.trained_parameters:,}", epoch, *metrics, _change(result, first))))
    left = len(ablation.rows) - len(results)
    note = [f"\n{left} of {len(ablation.rows)} rows are not finished."] if left else []
    return "\n".join([*lines, *note]) + "\n"


def write_table(ablation: Ablation, results: Sequence[RowResult]) -> list[Path]:
    """Write ``table.md`` and ``table.json`` into the ablation's folder, and return their paths.

    The JSON holds the settings of the rows in full, besides the results.

    Raises:
        DataError: a file cannot be written.
    """
    left = [row.name for row in ablation.rows[len(results) :]]
    report = {"criterion": CRITERION, "rows": [asdict(result) for result in results], "not_finished": left}
    paths = [ablation.folder / "table.md", ablation.folder / "table.json"]
    write_whole(paths[0], markdown_table(ablation, results).encode())
    write_json(paths[1], report)
    return paths


def _change(result: RowResult, first: RowResult | None) -> str:
    if first is None or result is first or not (result.metrics and first.metrics):
        return ""
    return f"{100.0 * (result.metrics[CRITERION] / first.metrics[CRITERION] - 1.0):+.1f} %"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
