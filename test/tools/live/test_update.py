"""What an update of the page shows, and how it is encoded."""

from __future__ import annotations

import json
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from space_clip_ros.messages.diagnostics import DepthValues, Drop, EvaluationValues, Level
from space_clip_ros.tools.live.page import depth_bar
from space_clip_ros.tools.live.update import DepthStatus, Figures, choose_figures, encode_jpeg, encode_update

VALUES = DepthValues(
    model="road_tiny",
    backend="onnxruntime",
    published_hz=9.91,
    age_ms_p50=31.4,
    age_ms_p95=44.6,
    dropped=3,
    dropped_by={Drop.REPLACED: 2, Drop.BAD_IMAGE: 1},
    stages_ms={"convert": 1.2, "engine": 22.46},
    memory_mib=512.34,
)
NODE = DepthStatus(Level.WARN, "9.9 Hz, 31 ms from stamp to output (median)", VALUES)


def test_a_message_is_head_and_pictures() -> None:
    figures = Figures("runs", Level.WARN, [("1", "one")], [("two", "2")])
    written = encode_update(
        figures, {"image": b"image", "depth": b"depths", "scan": b"", "uncertainty": b"not so sure"}
    )
    (length,) = struct.unpack("<I", written[:4])
    head = json.loads(written[4 : 4 + length])
    assert head == {
        "state": "runs",
        "level": "warn",
        "cards": [["1", "one"]],
        "facts": [["two", "2"]],
        "scale": "",
        "pictures": {"image": 5, "depth": 6, "scan": 0, "uncertainty": 11},
    }
    assert list(head["pictures"]) == ["image", "depth", "scan", "uncertainty"]
    assert written[4 + length :] == b"imagedepthsnot so sure"


def test_pictures_keep_their_colours_and_have_a_bound() -> None:
    picture = np.zeros((500, 2000, 3), np.uint8)
    picture[..., 0] = 220
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(picture), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (240, 960, 3)
    np.testing.assert_allclose(decoded.reshape(-1, 3).mean(axis=0), [0, 0, 220], atol=3)
    assert cv2.imdecode(np.frombuffer(encode_jpeg(picture[:30, :40]), np.uint8), 1).shape == (30, 40, 3)


def test_the_main_figures_are_chosen() -> None:
    shown = choose_figures(NODE, EvaluationValues(abs_rel=0.12345, a1=0.9, frames=12, rmse=4.0))
    assert (shown.state, shown.level) == (NODE.message, Level.WARN)
    assert shown.cards == [
        ("9.9", "Hz published"),
        ("31", "ms from stamp to output, median"),
        ("45", "ms from stamp to output, 95 %"),
        ("22.5", "ms in the engine"),
        ("3", "images dropped"),
        ("0.123", "abs_rel against the truth"),
        ("0.900", "delta1 against the truth"),
        ("12", "frames compared"),
    ]
    assert shown.facts == [
        ("model", "road_tiny"),
        ("backend", "onnxruntime"),
        ("memory, MiB", "512.3"),
        ("stages, ms", "convert 1.20, engine 22.46"),
        ("drops", "2 replaced by a newer one, 1 bad image"),
    ]


def test_the_scale_is_shown_with_its_sigma_and_why_it_is_not_used() -> None:
    problem = "camera height: no ground in view"
    scaled = DepthValues(
        scale_mode="auto", scale_factor=1.08, scale_sigma=0.042, scale_age_s=7.0, scale_problem=problem
    )
    shown = choose_figures(DepthStatus(Level.OK, "runs", scaled), None)
    assert shown.cards == [("x 1.080", "scale while running"), ("± 4.2 %", "scale while running, one sigma")]
    assert shown.facts == [("scale while running", f"last evidence 7.0 s ago; not used: {problem}")]


@pytest.mark.parametrize(("level", "shown"), [(0, Level.OK), (1, Level.WARN), (2, Level.ERROR), (3, Level.ERROR)])
def test_a_status_is_read_and_a_stale_one_is_an_error(level: int, shown: Level) -> None:
    values = [SimpleNamespace(key=key, value=text) for key, text in VALUES.texts().items()]
    message = SimpleNamespace(level=bytes([level]), message="as it goes", values=values)
    assert DepthStatus.read(message) == DepthStatus(shown, "as it goes", DepthValues.read(VALUES.texts()))


def test_the_colour_scale_is_the_nodes_or_is_left_out() -> None:
    known = {"min_depth": 0.5, "max_depth": 20.0, "colormap": "viridis"}
    shown = choose_figures(DepthStatus(Level.OK, "runs", DepthValues(**known)), None)
    assert shown.scale == depth_bar(0.5, 20.0, "viridis")
    assert "20 m</span>" in shown.scale and "40 m</span>" not in shown.scale
    for unknown in ({"min_depth": None}, {"max_depth": None}, {"colormap": None}, {"colormap": "of another version"}):
        values = DepthValues(**{**known, **unknown})
        assert choose_figures(DepthStatus(Level.OK, "runs", values), None).scale == ""


def test_before_the_node_is_heard_the_page_says_so() -> None:
    shown = choose_figures(None, EvaluationValues(frames=0))
    assert (shown.state, shown.level) == ("Nothing heard from a depth node yet.", Level.WARN)
    assert shown.cards == [("0", "frames compared")]
    assert choose_figures(None, None).cards == []
