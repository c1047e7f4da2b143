"""Which backend auto takes, and the reasons against the others, as the loader itself gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.inference import load_predictor
from space_clip_ros.tools.doctor.backend import backend
from space_clip_ros.tools.doctor.facts import Fact, Question, ask


def found(model: str) -> dict[str, Fact]:
    return {fact.name: fact for fact in ask(Question("backend", "taken", backend(model)))}


def test_it_is_what_the_loader_takes(tiny_model_file: Path) -> None:
    facts = found(str(tiny_model_file))
    with load_predictor(tiny_model_file) as predictor:
        info = predictor.info
    assert facts["model"].value == tiny_model_file.name
    assert facts["taken"].text == f"{info.backend} on {info.device}, {info.precision}"
    assert facts["passed_over"].value == list(info.passed_over)
    assert facts["order_of_auto"].value == ["tensorrt on cuda", "onnxruntime on cuda", "onnxruntime on cpu"]
    assert facts["for_other_files"].value == {"torch": "runs .safetensors, .pt, .pth, .ckpt, .pt2"}
    assert facts["run"].value["image"] == [1242, 375]
    assert facts["run"].value["finite"] is True


def test_a_package(package_dir: Path) -> None:
    facts = found(str(package_dir / "tiny.pt2"))
    assert (facts["taken"].text, facts["order_of_auto"].value) == ("torch on cpu, fp32", ["torch on auto"])
    assert facts["run"].value["image"] == [100, 60]


def test_a_model_that_is_not_there_keeps_its_folder_to_itself(tmp_path: Path) -> None:
    facts = found(str(tmp_path / "gone.onnx"))
    assert facts["taken"].problem.startswith("gone.onnx: no such model file")
    assert facts["taken"].advice.startswith("gone.onnx does not run here: gone.onnx: no such model file")
    assert str(tmp_path) not in facts["taken"].problem


def test_no_backend_at_all(broken: Callable[[str, str], None]) -> None:
    broken("onnxruntime", "raise ModuleNotFoundError('No module named onnxruntime', name='onnxruntime')")
    assert "needs the Python package 'onnxruntime'; pip install" in found("road_tiny")["taken"].problem


def test_a_backend_that_kills_its_process(broken: Callable[[str, str], None]) -> None:
    broken("onnxruntime", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert found("road_tiny")["taken"].problem == "backend_choice: its process was ended by SIGILL"


@pytest.mark.parametrize("name", ["road_tiny", "no_such_name"])
def test_names(name: str) -> None:
    facts = found(name)
    assert facts["model"].value == name
    assert ("no such name; known names: road_tiny" in facts["taken"].problem) is (name == "no_such_name")
