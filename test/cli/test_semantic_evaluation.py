"""``evaluate --semantic`` with a model that reads names and depth from the picture, so that every score is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.geometry.image_file import write_rgb
from space_clip_ros.language.queries import QuerySet

pytest.importorskip("safetensors.numpy")
NAMES = ("road", "car", "sky")
IDS = {"road": 7, "car": 26, "sky": 23}
SIDE = 64


@pytest.fixture()
def scene() -> np.ndarray:
    """A label map of three classes, (64, 128) uint8."""
    labels = np.zeros((SIDE, 2 * SIDE), np.uint8)
    labels[:24] = NAMES.index("sky")
    labels[28:48, 40:80] = NAMES.index("car")
    return labels


def cityscapes(coded_depth: Any, root: Path, scene: np.ndarray, shown: np.ndarray) -> Path:
    """Write a picture that shows ``shown`` and whose truth is ``scene``, and the settings that name it."""
    ids = np.array([IDS[name] for name in NAMES], np.uint8)[scene]
    ids[0] = 0  # Unlabelled in Cityscapes.
    (root / "leftImg8bit" / "val" / "ulm").mkdir(parents=True)
    (root / "gtFine" / "val" / "ulm").mkdir(parents=True)
    name = "ulm_000000_000019"
    write_rgb(
        root / "leftImg8bit" / "val" / "ulm" / f"{name}_leftImg8bit.png",
        coded_depth.picture(np.full(scene.shape, 9.0), shown),
    )
    assert cv2.imwrite(str(root / "gtFine" / "val" / "ulm" / f"{name}_gtFine_labelIds.png"), ids)
    labels = ", ".join(NAMES)
    settings = root / "data.yaml"
    settings.write_text(f"data: {{validation: [{{kind: cityscapes, path: {root}, labels: [{labels}]}}]}}\n")
    return settings


def evaluate(model: Path, settings: Path, *more: str) -> int:
    return main(
        ["evaluate", "--model", str(model), "--data", str(settings), "--protocol", "standard", "--semantic", *more]
    )


def test_a_closed_list_is_scored_on_pictures_of_cityscapes_layout(coded_depth, scene, tmp_path, capsys):
    model = coded_depth.write_model(tmp_path / "model.onnx", coded_depth.language_config(NAMES))
    shown = scene.copy()
    shown[28:48, 40:60] = NAMES.index("road")  # Half of the car is missed.
    settings = cityscapes(coded_depth, tmp_path / "c", scene, shown)
    assert evaluate(model, settings, "--json", str(tmp_path / "s.json")) == 0
    report = json.loads((tmp_path / "s.json").read_text())
    assert report["iou"]["car"] == pytest.approx(0.5, abs=0.05)
    assert report["iou"]["sky"] > 0.97 and report["mean_iou"] == pytest.approx(np.mean(list(report["iou"].values())))
    assert f"mIoU {report['mean_iou']:.4f}" in capsys.readouterr().out


def test_a_broken_picture_is_left_out_and_counted(coded_depth, scene, tmp_path, capsys):
    model = coded_depth.write_model(tmp_path / "model.onnx", coded_depth.language_config(NAMES))
    settings = cityscapes(coded_depth, tmp_path / "c", scene, scene)
    pictures = tmp_path / "c" / "leftImg8bit" / "val" / "ulm"
    (pictures / "ulm_000000_000020_leftImg8bit.png").write_bytes(b"no picture")
    skipping = ("data.scan=false", "data.skip_broken=true")
    assert evaluate(model, settings, *skipping, "--json", str(tmp_path / "s.json")) == 0
    assert "1 pictures, 1 left out that cannot be read" in capsys.readouterr().out
    report = json.loads((tmp_path / "s.json").read_text())
    assert (report["pictures"], report["unreadable"]) == (1, 1)


def test_a_joint_space_needs_the_classes_vectors(coded_depth, scene, tmp_path, capsys):
    model = coded_depth.write_model(tmp_path / "model.onnx", coded_depth.language_config(size=4, tower="ab"))
    settings = cityscapes(coded_depth, tmp_path / "c", scene, scene)
    assert evaluate(model, settings) == 1
    assert "--queries: is needed, because this model has no classes of its own" in capsys.readouterr().err
    file = str(tmp_path / "q.safetensors")
    axes = np.eye(4, dtype=np.float32)
    # In another order, with one name more, and one of them among the background.
    QuerySet(("sky", "dog", "road"), ("car",), axes[[2, 3, 0, 1]], "ab").write(file)
    assert evaluate(model, settings, "--queries", file, "--json", str(tmp_path / "s.json")) == 0
    assert json.loads((tmp_path / "s.json").read_text())["mean_iou"] > 0.9
    QuerySet(("sky",), ("road",), axes[[2, 0]], "ab").write(file)
    # Before the model is loaded, as this one is not there.
    assert evaluate(tmp_path / "none.onnx", settings, "--queries", file) == 1
    assert "has no query 'car'" in capsys.readouterr().err


def test_models_and_sources_without_names_are_refused(coded_depth, scene, tmp_path, capsys):
    settings = cityscapes(coded_depth, tmp_path / "c", scene, scene)
    assert evaluate(coded_depth.write_model(tmp_path / "plain.onnx"), settings) == 1
    assert "gives no features of patches" in capsys.readouterr().err
    closed = coded_depth.write_model(tmp_path / "closed.onnx", coded_depth.language_config(("road", "car")))
    assert evaluate(closed, settings) == 1
    assert "'sky' not known: this model has a closed list of names" in capsys.readouterr().err


def test_windows_over_a_larger_picture_score_as_one_pass_does_where_patches_are_fine(
    coded_depth, scene, tmp_path, capsys
):
    model = coded_depth.write_model(tmp_path / "model.onnx", coded_depth.language_config(size=4, tower="ab", side=512))
    settings = cityscapes(coded_depth, tmp_path / "c", scene, scene)
    file = str(tmp_path / "q.safetensors")
    QuerySet(NAMES, (), np.eye(4, dtype=np.float32)[:3], "ab").write(file)
    results = {}
    for name, more in {"one pass": (), "windows over 448 x 224 pixels": ("--windows", "448x224")}.items():
        assert evaluate(model, settings, "--queries", file, *more, "--json", str(tmp_path / "s.json")) == 0
        report = json.loads((tmp_path / "s.json").read_text())
        assert report["passes"] == name and f"3 classes, {name}" in capsys.readouterr().out
        results[name] = report["mean_iou"]
    assert min(results.values()) > 0.9 and abs(np.subtract(*results.values())) < 0.05
    with pytest.raises(SystemExit):
        evaluate(model, settings, "--windows", "large")
    assert "must be WIDTHxHEIGHT in pixels, got 'large'" in capsys.readouterr().err
    assert evaluate(model, settings, "--queries", file, "--windows", "300x200") == 1
    assert "windows: need stride <= window <= size" in capsys.readouterr().err


def test_boxes_tell_errors_of_labels_from_errors_of_depth(tmp_path, capsys):
    drive = ["synthesize", "--out", str(tmp_path / "d"), "--frames", "1", "--seed", "3", "--scale", "0.25"]
    assert main([*drive, "--labels", "--no-scans"]) == 0
    settings = tmp_path / "data.yaml"
    settings.write_text(
        f"data: {{validation: [{{path: {tmp_path / 'd'}, labels: [road, sky, person, car=car+truck]}}]}}\n"
    )
    file = tmp_path / "s.json"
    command = ["evaluate", "--model", "road_tiny", "--data", str(settings), "--protocol", "standard", "--semantic"]
    assert main([*command, "--boxes", "--json", str(file)]) == 0
    text = capsys.readouterr().out
    cars = {(entry["labels"], entry["depth"]): entry for entry in json.loads(file.read_text())["objects"]}
    assert set(cars) == {(labels, depth) for labels in ("exact", "model") for depth in ("exact", "model")}
    exact, model = (cars[way]["bands"]["all"] for way in (("exact", "exact"), ("exact", "model")))
    assert exact["true"] == exact["found"] == 1
    assert exact["distance_error"] < 0.03
    assert model["distance_error"] > exact["distance_error"] + 0.005
    assert "1 of 1 found among 1 detections" in text and "exact labels and model depth" in text
    assert main([*command, "--json", str(file)]) == 0
    (alone,) = json.loads(file.read_text())["objects"]
    assert alone == cars["model", "model"]
