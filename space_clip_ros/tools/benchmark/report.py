"""A benchmark's result as Markdown tables."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from space_clip_ros.tools.machine import describe_machine

SCHEMA = 1
"""Version of the JSON file's layout."""
_TIMES = ("p50", "p95", "p99")


def opening() -> dict[str, Any]:
    """Return what every result begins with: the file's version, the time, the command and the machine."""
    return {
        "schema": SCHEMA,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["space_clip", *sys.argv[1:]]),
        "machine": describe_machine(),
    }


def markdown(result: Mapping[str, Any]) -> str:
    """Return the whole report of a JSON result, without tables of what was not measured."""
    parts = [heading(_title(result["model"]), result), machine_table(result["machine"], result["roofline"])]
    parts += [_case(case) for case in result["cases"]]
    parts += [_end_to_end(part) for part in result["end_to_end"]]
    return "\n\n".join(parts) + "\n"


def summary(case: Mapping[str, Any]) -> str:
    """Return one line for the terminal."""
    width, height = case["size"]
    total, line = case["total_ms"], f"{width}x{height}, batch {case['batch']}: "
    line += f"p50 {total['p50']:.2f}, p95 {total['p95']:.2f}, p99 {total['p99']:.2f} ms, {case['throughput_hz']:.1f}/s"
    if case["floor"]:
        line += f", floor {case['floor']['ms']:.2f} ms (at {case['floor']['share']:.1%} of its speed)"
    if case["eager"]:
        line += f", {case['eager']['times_faster']:.2f} x eager PyTorch"
    for outputs, figures in list(case["outputs_ms"].items())[1:]:
        line += f"; {outputs} {figures['ratio']:.3f} x depth alone"
    return line


def end_to_end_summary(part: Mapping[str, Any]) -> str:
    """Return one line for the terminal."""
    width, height = part["size"]
    times = ", ".join(
        f"{output} p50 {latency['p50']:.1f} p99 {latency['p99']:.1f} ms" if latency else f"{output} never arrived"
        for output, latency in part["latency_ms"].items()
    )
    answered = f"{part['frames_received']} of {part['frames_sent']} images answered"
    overhead = f"node overhead {part['overhead_ms']:.2f} ms"
    return f"{width}x{height} at {part['rate_hz']:g} Hz: {times}; {overhead}; {answered}"


def heading(title: str, result: Mapping[str, Any]) -> str:
    """Return a title with the time and the command of a result."""
    return f"# {title}\n\n{result['created']}\n\n```\n{result['command']}\n```"


def machine_table(machine: Mapping[str, str], roofline: Mapping[str, Any] | None = None) -> str:
    """Return a table of the machine, with its limits if they were measured."""
    rows = [(key.replace("_", " "), value) for key, value in machine.items()]
    if roofline is not None:
        peak = f"{roofline['gflops']:g} GFLOP/s ({roofline['measured_by']})"
        rows.append((f"{roofline['precision']} matrix peak", peak))
        rows.append(("memory bandwidth", f"{roofline['gbytes']:g} GB/s"))
    return table(("machine", ""), rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _title(model: Mapping[str, Any]) -> str:
    what = f"{model['backend']} on {model['device']}, {model['precision']}, {model['threads']} threads"
    what += " that spin" if model["thread_spinning"] else ""
    return f"{model['name']}: {what}"


def _case(case: Mapping[str, Any]) -> str:
    width, height = case["size"]
    parts = [f"## {width}x{height}, batch {case['batch']}", _totals(case), _stages(case)]
    if case["outputs_ms"]:
        parts.append(_outputs(case["outputs_ms"]))
    if case["floor"]:
        parts.append(_floor(case["floor"]))
    return "\n\n".join(parts)


def _outputs(outputs: Mapping[str, Any]) -> str:
    rows = [(name, *_times(figures["ms"]), f"{figures['ratio']:.3f}") for name, figures in outputs.items()]
    return table(("outputs of a run, ms", *_TIMES, "times the first"), rows)


def _totals(case: Mapping[str, Any]) -> str:
    memory = case["memory_mb"]
    rows = [("whole run", *_times(case["total_ms"]))]
    if case["eager"]:
        rows.append(("eager fp32 PyTorch", *_times(case["eager"]["total_ms"])))
    facts = [f"{case['throughput_hz']:.1f} images/s over {case['runs']} runs", f"peak {memory['resident']:.0f} MB"]
    if memory["device"] is not None:
        facts.append(f"{memory['device']:.0f} MB on the GPU")
    if case["floor"]:
        facts.append(f"{case['floor']['share']:.1%} of the floor's speed")
    if case["eager"]:
        facts.append(f"{case['eager']['times_faster']:.2f} times as fast as eager")
    return f"{table(('ms', *_TIMES), rows)}\n\n{', '.join(facts)}."


def _stages(case: Mapping[str, Any]) -> str:
    rows = [(stage, *_times(times), "in the run") for stage, times in case["stages_ms"].items()]
    rows += [(stage, *_times(times), case["separated_by"]) for stage, times in case["separated_ms"].items()]
    rows.append(("cloud (every pixel, coloured)", *_times(case["cloud_ms"]), "by itself"))
    rows += [
        (f"{name} (pixels of the network's grid)", *_times(times), "by itself")
        for name, times in case["obstacles_ms"].items()
    ]
    return table(("stage, ms", *_TIMES, "measured"), rows)


def _floor(floor: Mapping[str, Any]) -> str:
    rows = [
        (stage, f"{floor['stages_gigaoperations'][stage]:.3f}", f"{value:.3f}")
        for stage, value in floor["stages_ms"].items()
    ]
    rows.append(("operations over matrix peak", f"{floor['gigaoperations']:.3f}", f"{floor['compute_ms']:.3f}"))
    rows.append((f"{floor['megabytes']:.2f} MB over bandwidth", "", f"{floor['memory_ms']:.3f}"))
    return table(("floor", "10^9 operations", "ms"), rows)


def _end_to_end(part: Mapping[str, Any]) -> str:
    width, height = part["size"]
    answered = "both" if len(part["latency_ms"]) == 2 else "all outputs"
    received = (
        f"{part['frames_received']} of {part['frames_sent']} images answered with {answered} at {part['rate_hz']:g} Hz"
    )
    latencies = [
        (output, *_times(latency)) if latency else (output, *["never"] * len(_TIMES))
        for output, latency in part["latency_ms"].items()
    ]
    above = part["over_engine_ms"].items()
    latencies += [(f"{output}, over the engine's time", *_times(latency)) for output, latency in above if latency]
    stages = [(stage, f"{value:.2f}") for stage, value in part["stages_ms"].items()]
    stages.append(("**node overhead**: all but the engine", f"{part['overhead_ms']:.2f}"))
    conversions = [(name, *_times(latency)) for name, latency in part["conversions_ms"].items()]
    pixels = f"depth_resolution {part['depth_resolution']}, cloud stride {part['stride']}"
    facts = f"{received}; {pixels}; {part['rmw']}, DDS profile {part['dds_profile']}."
    return "\n\n".join(
        [
            f"## End to end, {width}x{height}",
            facts,
            table(("stamp to subscriber, ms", *_TIMES), latencies),
            table(("stage of the node, ms", "p50"), stages),
            table(("conversion by itself, ms", *_TIMES), conversions),
        ]
    )


def _times(percentiles: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"{percentiles[name]:.3f}" for name in _TIMES)
