"""The training benchmark's result as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from space_clip_ros.tools.benchmark.report import heading, machine_table, table
from space_clip_ros.tools.benchmark.training import OURS, PLAIN

_NAMES = {OURS: "ours", PLAIN: "plain eager fp32 loop"}


def training_markdown(result: Mapping[str, Any]) -> str:
    """Return the whole report of a JSON result of ``training_command.measure``."""
    training = result["training"]
    return (
        "\n\n".join(
            [heading(_title(training), result), machine_table(result["machine"]), _sides(training), _facts(training)]
        )
        + "\n"
    )


def training_summary(training: Mapping[str, Any]) -> str:
    """Return one line for the terminal."""
    ours, plain = training["sides"][OURS], training["sides"][PLAIN]
    return (
        f"{ours['steps_per_s']:g} steps/s against {plain['steps_per_s']:g} of the plain loop: "
        f"{training['times_faster']:.2f} x as fast, {training['times_less_cpu']:.2f} x less CPU time, "
        f"{training['times_less_memory']:.2f} x less memory; "
        f"reading {training['reading']['samples_per_s_per_worker']:.1f} samples/s per worker"
    )


def _title(training: Mapping[str, Any]) -> str:
    runtime = training["runtime"]
    precision = "bf16 products" if runtime["bf16"] else "fp32"
    return (
        f"Training {training['model']}: batch {training['batch_size']}, {training['steps']} steps, {precision} on "
        f"{runtime['device']}, {runtime['threads']} threads"
    )


def _sides(training: Mapping[str, Any]) -> str:
    names, sides = list(_NAMES), training["sides"]
    rows = [
        ("steps/s", "steps_per_s", ".4g", "times_faster"),
        ("samples/s", "samples_per_s", ".4g", ""),
        ("seconds a step, median", "wall_s_per_step", ".3f", "times_faster"),
        ("CPU seconds a step, mean", "cpu_s_per_step", ".3f", "times_less_cpu"),
        ("peak memory, MB", "resident_mb", ".0f", "times_less_memory"),
        ("peak memory on the GPU, MB", "device_mb", ".0f", ""),
        ("mean loss of the first tenth", "loss_first_tenth", ".4f", ""),
        ("mean loss of the last tenth", "loss_last_tenth", ".4f", ""),
    ]
    lines = [
        (label, *(format(sides[name][key], digits) for name in names), f"{training[ratio]:.2f}" if ratio else "")
        for label, key, digits, ratio in rows
        if sides[OURS][key] is not None
    ]
    return table(("", *_NAMES.values(), "ratio"), lines)


def _facts(training: Mapping[str, Any]) -> str:
    reading = training["reading"]
    return (
        f"Reading frames (decoding, depth, augmentation) with one worker: "
        f"{reading['samples_per_s_per_worker']:.1f} samples/s over {reading['samples']} samples."
    )
