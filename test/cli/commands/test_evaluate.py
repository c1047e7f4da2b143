from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros import settings
from space_clip_ros.cli.main import main
from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import write_depth_png
from space_clip_ros.geometry.image_file import write_rgb
from space_clip_ros.model import build, load_checkpoint, save_checkpoint
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.processes import Processes
from space_clip_ros.training.validation import Validator
from space_clip_ros.training_config import TrainingConfig, sources


@pytest.fixture()
def command(run_yaml: Path, tmp_path: Path) -> list[str]:
    """The command for an untrained model, without its protocol."""
    torch.manual_seed(0)
    model = build(settings.load(TrainingConfig, run_yaml).model)
    with torch.no_grad():
        model.depth_head.depth.bias.fill_(10.0)
    save_checkpoint(model, tmp_path / "model.safetensors")
    return ["evaluate", "--model", str(tmp_path / "model.safetensors"), "--data", str(run_yaml)]


def test_a_checkpoint_is_evaluated_and_every_requested_file_written(command, tmp_path, capsys):
    files = ["--json", str(tmp_path / "e.json"), "--csv", str(tmp_path / "e.csv"), "--out", str(tmp_path / "worst")]
    assert main([*command, *files, "--worst", "1", "--protocol", "standard", "--flip", "--median-scaling"]) == 0
    out = capsys.readouterr().out
    assert "standard protocol, 1 frames" in out and "abs_rel" in out
    report = json.loads((tmp_path / "e.json").read_text())
    assert report["flip"] and report["settings"]["median_scaling"] and report["settings"]["crop"] == "garg"
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 2
    assert len(list((tmp_path / "worst").iterdir())) == 1


def test_errors_are_reported_by_distance_and_by_group(command, tmp_path, capsys):
    for number, (scene, metres) in enumerate((("quay", 10.0), ("quay", 30.0), ("dark", 0.0))):
        stem = tmp_path / "frames" / str(number)
        write_rgb(stem.with_suffix(".png"), np.full((64, 192, 3), 90, np.uint8))
        write_depth_png(stem.with_name(f"{number}_depth.png"), np.full((64, 192), metres, np.float32), "kitti")
        camera = {"width": 192, "height": 64, "fx": 120.0, "fy": 120.0, "cx": 95.5, "cy": 31.5}
        stem.with_suffix(".json").write_text(json.dumps({**camera, "scene": scene}))
    frames = [f"data.validation=[{{kind: frames, path: {tmp_path / 'frames'}}}]", "--protocol", "standard"]
    assert main([*command, *frames, "--by", "scene", "--json", str(tmp_path / "e.json")]) == 0
    out = capsys.readouterr().out.splitlines()
    report = json.loads((tmp_path / "e.json").read_text())
    far = report["bands"]["20-40 m"]
    assert (
        f"  20-40 m       50.0% {far['bias']:+9.4f} {far['abs_rel']:9.4f} {far['a1']:9.4f}" in out
        and "2 frames, 1 more without depth to compare" in out[0]
    )
    quay, rmse = report["groups"]["quay"]["bands"]["all"], report["groups"]["quay"]["metrics"]["rmse"]
    assert f"  2         {rmse:9.4f} {quay['bias']:+9.4f} {quay['abs_rel']:9.4f} {quay['a1']:9.4f}  quay" in out
    assert f"  0         {'-':>9} {'-':>9} {'-':>9} {'-':>9}  dark" in out
    assert main([*command, *frames, "--by", "folder"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"  {tmp_path / 'frames'}")


def test_a_broken_frame_is_left_out_and_counted(command, tmp_path, capsys):
    drive = write_drive(tmp_path, 3, 7, PinholeCamera(310, 94, 180.0, 180.0, 152.4, 43.2), scans=False)
    (drive / "image_02" / "data" / "0000000001.png").write_bytes(b"no picture")
    source = [f"data.validation=[{{path: {drive}}}]", "data.scan=false", "data.skip_broken=true"]
    files = ["--json", str(tmp_path / "e.json"), "--csv", str(tmp_path / "e.csv"), "--by", "folder"]
    assert main([*command, *source, "--protocol", "standard", *files]) == 0
    assert "2 frames, 1 left out that cannot be read" in capsys.readouterr().out
    report = json.loads((tmp_path / "e.json").read_text())
    assert (report["frames"], report["unreadable"]) == (2, 1)
    assert [group["frames"] for group in report["groups"].values()] == [2]
    assert [line.partition(",")[0][-1] for line in (tmp_path / "e.csv").read_text().splitlines()[1:]] == ["0", "2"]


def test_edges_of_a_synthetic_drive(command, tmp_path, capsys):
    camera = PinholeCamera(310, 94, 180.0, 180.0, 152.4, 43.2)
    drive = write_drive(tmp_path, 2, 7, camera, stride=20, scans=False)
    source = f"data.validation=[{{path: {drive}, truth: annotated, unknown: far}}]"
    assert main([*command, source, "--protocol", "standard", "--edges", "--json", str(tmp_path / "e.json")]) == 0
    report, out = json.loads((tmp_path / "e.json").read_text()), capsys.readouterr().out
    boundaries, sky = report["edges"]["boundaries"], report["edges"]["sky"]
    assert boundaries["frames"] == sky["frames"] == 2
    assert 0.05 < sky["share"] < 0.6 and sky["in_range"] == 1.0 and 0 <= sky["near"] <= 1
    assert f"boundaries (2 frames): f1 {boundaries['f1']:.4f}, precision {boundaries['precision']:.4f}" in out
    assert f"sky (2 frames): {sky['near']:.1%} of it nearer than 40 m, 100.0% nearer than the largest depth" in out


def test_edges_need_dense_truth(command, capsys):
    assert main([*command, "--protocol", "standard", "--edges"]) == 1
    assert "no validation frame has dense depth, which --edges needs; give synthetic drives" in capsys.readouterr().err


def test_the_reference_protocol_agrees_with_training_s_own_evaluation(command, run_yaml, tmp_path):
    assert main([*command, "--protocol", "reference", "--json", str(tmp_path / "e.json")]) == 0
    report = json.loads((tmp_path / "e.json").read_text())
    config = settings.load(TrainingConfig, run_yaml, ["validation.protocol=reference"])
    model = load_checkpoint(tmp_path / "model.safetensors")
    frames = FrameCollection(open_sources(sources(config.data.validation)))
    alone = Processes(0, 1, torch.device("cpu"))
    trained = Validator(model, WeightAverage(model, 0.9), frames, alone, config).run(lambda: None)
    assert report["metrics"] == pytest.approx(trained.metrics["raw"], rel=1e-3)


def test_a_batch_changes_no_number(command, kitti_drive_dir, tmp_path):
    results = []
    frames = f"data.validation=[{{path: {kitti_drive_dir}, frames: [40, 43]}}]"
    for batch in ("1", "3"):
        file = tmp_path / f"{batch}.json"
        assert main([*command, frames, "--protocol", "standard", "--batch", batch, "--json", str(file)]) == 0
        results.append(json.loads(file.read_text())["metrics"])
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_a_batch_of_0_is_wrong_usage(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([*command, "--protocol", "standard", "--batch", "0"])
    assert left.value.code == 2 and "at least 1, got '0'" in capsys.readouterr().err


def test_nothing_to_evaluate_on(command, capsys):
    assert main([*command, "data.validation=[]", "--protocol", "standard"]) == 1
    assert "data.validation names no source to evaluate on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--queries", "q.safetensors"], "--queries: no effect without --semantic"),
        (["--windows", "1120x560"], "--windows: no effect without --semantic"),
        (["--boxes"], "--boxes: no effect without --semantic"),
        (["--semantic", "--median-scaling"], "--median-scaling: no effect with --semantic"),
        (["--semantic", "--csv", "e.csv"], "--csv: no effect with --semantic"),
        (["--semantic", "--min-depth", "5"], "--min-depth: no effect with --semantic"),
        (["--semantic", "--focal-scaling", "never"], "--focal-scaling: no effect with --semantic"),
        (["--semantic", "--kitti-crop"], "--kitti-crop: no effect with --semantic"),
        (["--semantic", "--crop", "garg"], "--crop: no effect with --semantic"),
        (["--semantic", "--batch", "4"], "--batch: no effect with --semantic"),
        (["--protocol", "reference", "--crop", "none"], "--crop: no effect without --protocol standard"),
        (["--protocol", "reference", "--kitti-crop"], "--kitti-crop: no effect without --protocol standard"),
        (["--scale-rate", "10"], "--scale-rate: no effect without --scale"),
        (["--scale", "ranges:64", "--scale-rate", "-5"], "must be between 0.1 and 200 Hz, got '-5'"),
        (["--scale", "ranges:64", "--scale-rate", "nan"], "must be between 0.1 and 200 Hz, got 'nan'"),
        (["--out", "pictures"], "--out: no effect without --worst"),
        (["--worst", "-1"], "must be a whole number of at least 1, got '-1'"),
        (["--max-depth", "inf"], "argument --max-depth: must be a finite number, got 'inf'"),
        (["--min-depth", "0"], "argument --min-depth: must be at least 1e-06, got '0'"),
    ],
)
def test_options_that_do_not_go_together(options, message, capsys):
    with pytest.raises(SystemExit) as left:
        main(["evaluate", "--model", "nothing", "--data", "none.yaml", "--protocol", "standard", *options])
    assert left.value.code == 2 and message in capsys.readouterr().err


def test_mistakes_are_found_before_the_model_is_loaded(run_yaml, tmp_path, capsys):
    command = ["evaluate", "--model", "nothing", "--data", str(run_yaml), "--protocol", "standard"]
    for options, message in (
        (["data.validation=[]"], "data.validation names no source to evaluate on"),
        (["--edges"], "no validation frame has dense depth, which --edges needs"),
        (["--semantic"], "no validation source reads labels"),
        (["--semantic", "--windows", "300x200"], "windows: need stride <= window <= size"),
        ([], "no such name"),
    ):
        assert main([*command, *options]) == 1
        assert message in capsys.readouterr().err


def test_a_protocol_must_be_named(command, capsys):
    with pytest.raises(SystemExit) as left:
        main(command)
    assert left.value.code == 2
    assert "--protocol" in capsys.readouterr().err


def test_the_bundled_onnx_file_is_compared_by_both_protocols(run_yaml, project_root, tmp_path):
    command = ["evaluate", "--model", str(project_root / "models" / "road_tiny.onnx"), "--data", str(run_yaml)]
    for protocol in ("reference", "standard"):
        file = tmp_path / f"{protocol}.json"
        assert main([*command, "--protocol", protocol, "--json", str(file)]) == 0
        metrics = json.loads(file.read_text())["metrics"]
        # Frame 40 was not trained on; a model that reads it at all is far better than the mean depth's 0.4.
        assert 0.0 < metrics["abs_rel"] < 0.3 and metrics["a1"] > 0.6


@pytest.fixture()
def wide(tmp_path: Path) -> list[str]:
    """The bundled model on a synthetic camera of 90 degrees."""
    camera = PinholeCamera(128, 64, 64.0, 64.0, 64.5, 32.5)
    drive = write_drive(tmp_path / "wide", 2, 5, camera, layout="city", scans=False)
    (tmp_path / "wide.yaml").write_text(f"data: {{validation: [{{path: {drive}}}]}}\n", encoding="utf-8")
    data = str(tmp_path / "wide.yaml")
    return ["evaluate", "--model", "road_tiny", "--data", data, "--protocol", "standard", "--crop", "none"]


def test_depth_is_scaled_for_the_frames_camera(wide, tmp_path, capsys):
    results = {}
    for mode in ("auto", "always", "never"):
        assert main([*wide, "--focal-scaling", mode, "--json", str(tmp_path / "e.json")]) == 0
        results[mode] = json.loads((tmp_path / "e.json").read_text())
    # sqrt(64 / 128 * 64 / 64 / (721.54 / 1242 * 721.54 / 375)) = 0.669
    text = "depth x 0.669 for the field of view: this camera sees 90 x 53 degrees, the training camera 81 x 29"
    assert f"{text} (2 frames)" in capsys.readouterr().out
    assert results["auto"]["focal_scaling"] == {text: 2}
    assert results["auto"]["metrics"] == results["always"]["metrics"]
    near, far = results["auto"]["bands"]["all"]["bias"], results["never"]["bands"]["all"]["bias"]
    # Clipping to 80 m makes it a little less than the factor.
    assert (1 + near) / (1 + far) == pytest.approx(0.669, abs=0.02)


def test_the_training_cameras_numbers_do_not_change(run_yaml, tmp_path):
    results = []
    for mode in ("auto", "never"):
        arguments = ["evaluate", "--model", "road_tiny", "--data", str(run_yaml), "--protocol", "standard"]
        assert main([*arguments, "--focal-scaling", mode, "--json", str(tmp_path / "e.json")]) == 0
        results.append(json.loads((tmp_path / "e.json").read_text()))
    assert results[0]["metrics"] == results[1]["metrics"]
    assert next(iter(results[0]["focal_scaling"])).startswith("depth needs no focal factor")


def test_always_needs_both_cameras(command, capsys):
    assert main([*command, "--protocol", "standard", "--focal-scaling", "always"]) == 1
    assert "the model does not say which camera it was trained with; give --focal-scaling auto" in (
        capsys.readouterr().err
    )


def test_steadiness_of_a_drive(wide, tmp_path, capsys):
    assert main([*wide, "--temporal", "--json", str(tmp_path / "e.json")]) == 0
    assert "changes of log depth over 1 pair of consecutive frames" in capsys.readouterr().out
    report = json.loads((tmp_path / "e.json").read_text())["temporal"]
    everything = report["bands"]["all"]
    assert report["pairs"] == 1 and everything["share"] == 1.0
    assert 0.0 < everything["truth"] < 0.05 < 0.5 > everything["flicker"] > 0.0


def test_steadiness_needs_consecutive_frames(wide, capsys):
    data = f"data.validation=[{{path: {Path(wide[4]).parent}, step: 2}}]"
    assert main([*wide, data, "--temporal"]) == 1
    assert "no two consecutive frames with static truth" in capsys.readouterr().err


def test_uncertainty_is_evaluated_where_the_model_has_it(run_yaml, tmp_path, capsys):
    torch.manual_seed(0)
    config = settings.load(TrainingConfig, run_yaml, ["model.uncertainty=true"])
    model = build(config.model)
    with torch.no_grad():
        model.depth_head.depth.bias.fill_(10.0)
    save_checkpoint(model, tmp_path / "uncertain.safetensors")
    files = ["--json", str(tmp_path / "e.json")]
    command = ["evaluate", "--model", str(tmp_path / "uncertain.safetensors"), "--data", str(run_yaml)]
    assert main([*command, "--protocol", "standard", *files]) == 0
    out = capsys.readouterr().out
    report = json.loads((tmp_path / "e.json").read_text())["uncertainty"]
    assert f"  ause      {report['ause']:9.4f}  " in out
    assert f"{report['within_1_sigma']:9.1%} of pixels by one sigma, {report['within_2_sigma']:.1%} by two" in out
    assert 0.0 <= report["within_1_sigma"] <= report["within_2_sigma"] <= 1.0
    assert main([*command, "--protocol", "standard", "--flip", *files]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["uncertainty"] is None


def test_scale_is_measured_and_reported(project_root, kitti_drive_dir, run_yaml, tmp_path, capsys):
    model, frames = (
        project_root / "models" / "road_tiny.onnx",
        f"data.validation=[{{path: {kitti_drive_dir}, frames: [40, 41]}}]",
    )
    command = ["evaluate", "--model", str(model), "--data", str(run_yaml), frames, "--protocol", "standard"]
    results = {}
    for scale in ("camera_height:1.65", "ranges:64"):
        file = tmp_path / "e.json"
        assert main([*command, "--scale", scale, "--json", str(file)]) == 0
        results[scale] = json.loads(file.read_text())
        assert f"scale {scale}, each frame alone" in capsys.readouterr().out
        assert results[scale]["scale"]["scaled"] == pytest.approx(results[scale]["metrics"]["abs_rel"], rel=1e-3)
        assert results[scale]["scale"]["frames"] == 1
    with pytest.raises(SystemExit) as left:
        main([*command, "--scale", "ranges:64", "--median-scaling"])
    assert left.value.code == 2
