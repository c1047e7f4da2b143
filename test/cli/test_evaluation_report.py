from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.cli.evaluation_report import show_report
from space_clip_ros.evaluation.evaluator import Estimate, score_frame
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.evaluation.report import EvaluationReport


def test_missing_predictions_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    protocol, truth = standard_protocol("none"), np.full((2, 4), 4.0, np.float32)
    empty = np.full_like(truth, np.nan)
    pairs = ((truth, truth), (empty, truth), (truth, empty))
    scores = [score_frame(index, "", Estimate(depth), known, protocol) for index, (depth, known) in enumerate(pairs)]
    report = EvaluationReport.from_scores(scores, "tiny", "torch", "standard", protocol, False)
    show_report(report, None)
    printed = capsys.readouterr()
    assert "1 frames, 1 more without depth to compare\n" in printed.out
    assert "warning: tiny predicts no depth (NaN) at 50.00% of the pixels with truth" in printed.err
    assert "none at all in 1 frames" in printed.err
