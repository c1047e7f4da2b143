"""``space_clip compare`` on a small drive, with a model of ours, an adopted metric one and a relative one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from space_clip_ros.cli.main import main
from space_clip_ros.geometry.image_file import read_rgb

pytest.importorskip("onnx")
KNOWN = ["--size", "28", "56", "--height", "94", "--width", "312", "--normalise", "imagenet", "--scale"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, third_party_models: Any, tiny_model_file: Path) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    theirs = str(third_party_models.write(folder / "theirs.onnx"))
    metric, relative = folder / "metric.onnx", folder / "relative.onnx"
    shape = ["--output", "depth", "--max-depth", "80"]
    assert main(["adopt", theirs, "--out", str(metric), *KNOWN, "5", *shape]) == 0
    assert main(["adopt", theirs, "--out", str(relative), *KNOWN, "1", "--output", "relative_depth"]) == 0
    return [str(tiny_model_file), str(metric), str(relative)]


@pytest.fixture
def data(tmp_path: Path, small_drive: Path) -> str:
    path = tmp_path / "data.yaml"
    path.write_text(yaml.safe_dump({"data": {"validation": [{"path": str(small_drive)}], "workers": 0}}))
    return str(path)


def test_a_table_a_file_and_a_picture(
    models: list[str], data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, drawn = tmp_path / "models.json", tmp_path / "models.png"
    arguments = ["--frames", "3", "--threads", "1", "--json", str(figures), "--picture", str(drawn)]
    assert main(["compare", *models, "--data", data, *arguments]) == 0
    output = capsys.readouterr().out
    assert "3 frames of" in output and "relative *" in output and "truth's median" in output
    result = json.loads(figures.read_text())
    ours, metric, relative = result["models"]
    assert result["frames"] == 3 and "processor" in result["machine"]
    assert ours["times_the_first"] == 1.0 and len({entry["time_ms"]["p50"] for entry in result["models"]}) == 3
    assert (metric["metric"], relative["metric"]) == (True, False)
    # the same network, so only the scale to the truth's median tells them apart
    assert relative["metrics"]["abs_rel"] < metric["metrics"]["abs_rel"]
    assert metric["gigaoperations"] == relative["gigaoperations"] > 0
    picture = read_rgb(drawn)
    assert picture.shape == (4 * 94 + 26, 3 * 312 + 2 * 8, 3)


def test_its_metrics_are_those_of_evaluate(models: list[str], data: str, tmp_path: Path) -> None:
    compared, evaluated = tmp_path / "compared.json", tmp_path / "evaluated.json"
    assert main(["compare", models[1], "--data", data, "--json", str(compared)]) == 0
    assert (
        main(["evaluate", "--model", models[1], "--data", data, "--protocol", "standard", "--json", str(evaluated)])
        == 0
    )
    (entry,) = json.loads(compared.read_text())["models"]
    assert entry["metrics"] == pytest.approx(json.loads(evaluated.read_text())["metrics"])


def test_a_picture_in_no_format_is_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "road_tiny", "--data", "none.yaml", "--picture", str(tmp_path / "models.pdf")]) == 1
    assert "models.pdf: pictures end in .png, .jpg, .jpeg" in capsys.readouterr().err


def test_frames_that_cannot_be_read_are_left_out(
    models: list[str], small_drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive = tmp_path / small_drive.parent.name / small_drive.name
    shutil.copytree(small_drive.parent, drive.parent)
    pictures = sorted((drive / "image_02" / "data").iterdir())
    pictures[2].write_bytes(pictures[2].read_bytes()[:-20])
    path, figures, drawn = tmp_path / "data.yaml", tmp_path / "models.json", tmp_path / "models.png"
    path.write_text(yaml.safe_dump({"data": {"validation": [{"path": str(drive)}], "workers": 0, "skip_broken": True}}))
    arguments = ["--data", str(path), "--threads", "1", "--json", str(figures), "--picture", str(drawn)]
    assert main(["compare", models[0], *arguments]) == 0
    assert "4 frames of" in capsys.readouterr().out
    assert json.loads(figures.read_text())["frames"] == 4
    assert read_rgb(drawn).shape == (4 * 94 + 26, 312, 3)


def test_every_model_is_looked_for_before_the_first_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "road_tiny", "nothing", "--data", "none.yaml"]) == 1
    assert "model 'nothing': no such name" in capsys.readouterr().err


def test_a_config_without_validation_is_refused(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("data: {}\n")
    assert main(["compare", models[0], "--data", str(path)]) == 1
    assert "data.validation" in capsys.readouterr().err
