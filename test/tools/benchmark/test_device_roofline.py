"""A GPU's limits are measured with PyTorch; here the same code runs on the CPU."""

from __future__ import annotations

import json
import sys

import pytest

from space_clip_ros.tools.benchmark import device_roofline


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_rates(precision: str) -> None:
    gflops, gbytes = device_roofline.rates("cpu", precision, side=64, numbers=1000)
    assert gflops > 0 and gbytes > 0


def test_one_line_of_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["device_roofline", "cpu", "fp32"])
    monkeypatch.setattr(device_roofline, "rates", lambda name, precision: (12.34, 5.678))
    device_roofline.main()
    output = json.loads(capsys.readouterr().out)
    assert (output["gflops"], output["gbytes"]) == (12.3, 5.68)
    assert output["measured_by"].startswith("PyTorch ") and output["measured_by"].endswith(" on cpu")
