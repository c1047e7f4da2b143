"""``space_clip predict``: pictures in, depth, colours and clouds out."""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from space_clip_ros.cli.camera_file import read_camera_file
from space_clip_ros.cli.commands import predict
from space_clip_ros.errors import DataError, InputError, ModelError
from space_clip_ros.export.onnx import export
from space_clip_ros.geometry.depth import read_depth_png, write_depth_png
from space_clip_ros.inference import load_predictor
from space_clip_ros.model import SpaceClip

CAMERA = """\
image_width: 80
image_height: 60
camera_matrix: {rows: 3, cols: 3, data: [70, 0, 39.5, 0, 70, 29.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [DISTORTION, 0, 0, 0, 0]}
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., SpaceClip]) -> Path:
    return export(tiny_model(), tmp_path_factory.mktemp("model") / "tiny.onnx", 60, 80).path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rows, columns = np.mgrid[0:60, 0:80]
    bgr = np.stack([columns * 3, rows * 4, (rows // 8 + columns // 8) % 2 * 200], axis=-1).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "street.png"), bgr)
    return tmp_path / "street.png"


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    predict.add_parser(parser.add_subparsers())
    return predict.run(parser.parse_args(["predict", *map(str, arguments)]))


def camera_file(folder: Path, distortion: float = 0.0) -> Path:
    file = folder / "camera.yaml"
    file.write_text(CAMERA.replace("DISTORTION", str(distortion)), encoding="utf-8")
    return file


@pytest.mark.parametrize(("format", "step"), [("mm", 1e-3), ("kitti", 1 / 256)])
def test_depth_and_colours(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str, step: float
) -> None:
    out = tmp_path / "new" / "folder"
    assert run(picture, "--model", model_file, "--out", out, "--format", format) == 0
    assert sorted(path.name for path in out.iterdir()) == ["street_color.png", "street_depth.png"]
    with load_predictor(model_file) as predictor:
        expected = predictor(cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB))
    np.testing.assert_allclose(read_depth_png(out / "street_depth.png", format), expected, atol=step)
    assert cv2.imread(str(out / "street_color.png")).shape == (60, 80, 3)
    output = capsys.readouterr().out
    assert "tiny on onnxruntime, cpu, fp32" in output and f"median {np.median(expected):.2f} m, 100% valid" in output


def test_a_camera_gives_a_cloud(
    model_file: Path, picture: Path, tmp_path: Path, read_ply: Callable[[Path], Any]
) -> None:
    assert run(picture, "--model", model_file, "--out", tmp_path, "--camera", camera_file(tmp_path)) == 0
    vertices = read_ply(tmp_path / "street.ply")
    points, colors = (
        np.stack([vertices[name] for name in names], axis=-1) for names in ("xyz", ("red", "green", "blue"))
    )
    depth = read_depth_png(tmp_path / "street_depth.png")
    assert points.shape == (60 * 80, 3)
    # the first pixel is 39.5 columns and 29.5 rows from the principal point
    z = points[0, 2]
    assert z == pytest.approx(depth[0, 0], abs=1e-3)
    np.testing.assert_allclose(points[0], [-39.5 / 70 * z, -29.5 / 70 * z, z], rtol=1e-5)
    np.testing.assert_array_equal(colors[79], cv2.imread(str(picture))[0, 79, ::-1])


def test_distortion_is_taken_out_first(model_file: Path, picture: Path, tmp_path: Path) -> None:
    run(picture, "--model", model_file, "--out", tmp_path, "--camera", camera_file(tmp_path, -0.3))
    bent = read_depth_png(tmp_path / "street_depth.png")
    run(picture, "--model", model_file, "--out", tmp_path, "--camera", camera_file(tmp_path))
    assert not np.array_equal(bent, read_depth_png(tmp_path / "street_depth.png"))


def test_what_the_camera_did_not_see_has_no_depth(
    model_file: Path, picture: Path, tmp_path: Path, read_ply: Callable[[Path], Any]
) -> None:
    # A pincushion lens: the rectified image's corners lie outside the picture.
    camera = camera_file(tmp_path, 0.5)
    run(picture, "--model", model_file, "--out", tmp_path, "--camera", camera)
    outside = read_camera_file(camera).rectifier(80, 60).outside
    assert outside[0, 0] and not outside[30, 40]
    depth = read_depth_png(tmp_path / "street_depth.png")
    np.testing.assert_array_equal(np.isnan(depth), outside)
    assert len(read_ply(tmp_path / "street.ply")) == np.count_nonzero(~outside)


def test_no_cloud(model_file: Path, picture: Path, tmp_path: Path) -> None:
    run(picture, "--model", model_file, "--out", tmp_path, "--camera", camera_file(tmp_path), "--no-ply")
    assert not (tmp_path / "street.ply").exists()


def test_several_pictures(model_file: Path, picture: Path, tmp_path: Path) -> None:
    second = picture.with_name("field.png")
    second.write_bytes(picture.read_bytes())
    run(picture, second, "--model", model_file, "--out", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_folder_of_images(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    for name in ("b.png", "a.png", "c.jpg"):
        (folder / name).write_bytes(picture.read_bytes())
    (folder / "notes.txt").write_text("wet road", encoding="utf-8")
    for _ in range(2):  # results lie among the pictures the second time
        assert run(folder, "--model", model_file, "--out", folder) == 0
        output = capsys.readouterr().out.splitlines()
        targets = [f"{folder / stem}_depth.png" for stem in "abc"]
        assert [line.partition(": ")[0] for line in output if "median" in line] == targets
    assert output[0] == f"{folder}: 3 images; left out: 1 other file, 6 results"
    assert len(list(folder.iterdir())) == 10


def test_images_of_one_name_are_kept_apart_and_one_given_twice_is_one(
    model_file: Path, picture: Path, tmp_path: Path
) -> None:
    files = [tmp_path / camera / "1.png" for camera in ("cam1", "cam2")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(picture.read_bytes())
    assert run(*files, files[0], "--model", model_file, "--out", tmp_path / "out") == 0
    names = [f"{camera}_1_{ending}.png" for camera in ("cam1", "cam2") for ending in ("color", "depth")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_the_truth_of_a_frame_is_not_overwritten(picture: Path, tmp_path: Path) -> None:
    truth = np.full((60, 80), 20.0, np.float32)
    write_depth_png(tmp_path / "street_depth.png", truth, "kitti")
    for images in ((picture,), (tmp_path,), (picture, tmp_path / "street_depth.png")):
        with pytest.raises(InputError, match=r"street_depth\.png: (exists and was not written|would be overwritten)"):
            run(*images, "--model", "nothing", "--out", tmp_path)
    np.testing.assert_array_equal(read_depth_png(tmp_path / "street_depth.png", "kitti"), truth)


def test_a_git_lfs_pointer_is_named(model_file: Path, picture: Path, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for name in ("street.onnx", "street.safetensors", "street.pt"):
        (tmp_path / name).write_text(pointer, encoding="utf-8")
        with pytest.raises(ModelError, match=rf"{name}: is a Git LFS pointer, not the file itself; run `git lfs pull`"):
            run(picture, "--model", tmp_path / name, "--out", tmp_path)
    picture.write_text(pointer, encoding="utf-8")
    with pytest.raises(DataError, match=r"street.png: is a Git LFS pointer, not the file itself; run `git lfs pull`"):
        run(picture, "--model", model_file, "--out", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ply"], "--ply needs --camera"),
        (["--format", "inches"], "invalid choice"),
    ],
)
def test_wrong_usage(picture: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(picture, *arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_a_camera_of_another_size(model_file: Path, picture: Path, tmp_path: Path) -> None:
    camera = camera_file(tmp_path)
    camera.write_text(
        camera.read_text(encoding="utf-8").replace("image_width: 80", "image_width: 640"), encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"street\.png: does not fit its camera: .* 640x60 pixels .* they are 80x60"):
        run(picture, "--model", model_file, "--out", tmp_path, "--camera", camera)


def test_of_several_pictures_those_of_another_shape_are_left_out(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait = tmp_path / "portrait.png"
    cv2.imwrite(str(portrait), cv2.imread(str(picture)).transpose(1, 0, 2))
    with pytest.raises(DataError, match="1 of 2 images: were left out"):
        run(portrait, picture, "--model", model_file, "--out", tmp_path / "out", "--camera", camera_file(tmp_path))
    errors = capsys.readouterr().err
    assert "portrait.png: does not fit its camera" in errors and "leave out --camera" in errors
    assert "driver" not in errors
    assert (tmp_path / "out" / "street.ply").exists() and not (tmp_path / "out" / "portrait_depth.png").exists()


def phone_picture(picture: Path, turns: int = 0) -> Path:
    """Write a picture, turned by some quarters, whose EXIF says that it must be turned by a quarter to be upright."""
    data = cv2.imencode(".jpg", np.rot90(cv2.imread(str(picture)), turns))[1].tobytes()
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    file = picture.with_name("phone.jpg")
    file.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    return file


def test_pictures_of_a_phone_are_turned_upright(model_file: Path, picture: Path, tmp_path: Path) -> None:
    run(picture, phone_picture(picture, turns=1), "--model", model_file, "--out", tmp_path)
    street, phone = (read_depth_png(tmp_path / f"{name}_depth.png") for name in ("street", "phone"))
    assert phone.shape == (60, 80)
    np.testing.assert_allclose(np.median(phone / street), 1, atol=0.05)


def test_with_a_camera_pixels_are_as_stored_which_is_said_once(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = phone_picture(picture)
    second = first.with_name("second.jpg")
    second.write_bytes(first.read_bytes())
    run(picture, first, second, "--model", model_file, "--out", tmp_path, "--camera", camera_file(tmp_path))
    assert read_depth_png(tmp_path / "phone_depth.png").shape == (60, 80)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "EXIF" in line]
    assert line.startswith(f"{first}: ")


def test_depth_that_the_format_does_not_hold_is_counted(
    picture: Path, tmp_path: Path, tiny_model: Callable[..., SpaceClip], capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model()
    model.depth_head.depth.bias.data.fill_(65.0)  # it varies by some metres about that
    file = export(model, tmp_path / "tiny.onnx", 60, 80).path
    run(picture, "--model", file, "--out", tmp_path)
    share = np.mean(np.isnan(read_depth_png(tmp_path / "street_depth.png")))
    assert 0 < share < 1
    text = f"{share:.1%} of the pixels are beyond 65.535 m, and 0 in the file; --format kitti holds up to 256 m"
    assert text in capsys.readouterr().out
    run(picture, "--model", file, "--out", tmp_path, "--format", "kitti")
    assert "are beyond" not in capsys.readouterr().out
    assert np.isfinite(read_depth_png(tmp_path / "street_depth.png", "kitti")).all()


def test_a_camera_of_another_resolution_is_scaled(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = camera_file(tmp_path)
    text = camera.read_text(encoding="utf-8")
    camera.write_text(text.replace(": 80", ": 160").replace(": 60", ": 120"), encoding="utf-8")
    run(picture, "--model", model_file, "--out", tmp_path, "--camera", camera)
    assert "street.png: the camera of 160x120 pixels is scaled to 80x60" in capsys.readouterr().out


def test_a_picture_that_is_not_there_is_found_before_the_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.png"):
        run(tmp_path / "missing.png", "--model", "nothing", "--out", tmp_path)


def test_of_several_pictures_those_that_cannot_be_read_are_left_out(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "alley.png"
    broken.write_bytes(picture.read_bytes()[:-20])
    with pytest.raises(DataError, match="1 of 2 images: were left out, and have no depth"):
        run(broken, picture, "--model", model_file, "--out", tmp_path / "out")
    assert "left out: " in (output := capsys.readouterr().err) and "alley.png: the image ends early" in output
    assert (tmp_path / "out" / "street_depth.png").exists()
    with pytest.raises(DataError, match=r"alley.png: the image ends early"):
        run(broken, "--model", model_file, "--out", tmp_path / "out")


def test_twelve_bits_in_sixteen_are_said_to_be_dark(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = np.asarray(cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)).astype(np.uint16)
    for shift, dark in ((4, True), (8, False)):
        cv2.imwrite(str(picture), grey << shift)
        run(picture, "--model", model_file, "--out", tmp_path)
        assert ("street.png: almost black, brightest value" in capsys.readouterr().err) is dark


def test_a_file_where_results_go(model_file: Path, picture: Path) -> None:
    for out in (picture, picture / "below"):
        with pytest.raises(DataError, match=r"street.png: is a file, and results need a folder there; give another"):
            run(picture, "--model", model_file, "--out", out)


def test_a_model_that_is_not_there(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such name"):
        run(picture, "--model", "nothing", "--out", tmp_path)


def test_depth_is_scaled_for_the_cameras_field_of_view(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    depths = {}
    for mode in ("auto", "always", "never"):
        out = tmp_path / mode
        run(picture, "--out", out, "--camera", camera_file(tmp_path), "--no-ply", "--focal-scaling", mode)
        depths[mode] = read_depth_png(out / "street_depth.png")
    # sqrt(70 / 80 * 70 / 60 / (721.5 / 1242 * 721.5 / 375)) = 0.956
    output = capsys.readouterr().out
    assert output.count("depth x 0.956 for the field of view: this camera sees 59 x 46 degrees") == 2
    assert "depth is not scaled for the field of view: focal_scaling is never" in output
    np.testing.assert_array_equal(depths["auto"], depths["always"])
    np.testing.assert_allclose(depths["auto"], depths["never"] * 0.9557, rtol=1e-3, atol=1e-3)


def test_without_a_camera_it_says_how_to_give_one(
    model_file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(picture, "--model", model_file, "--out", tmp_path)
    assert "this camera's intrinsics are not known; --camera gives them" in capsys.readouterr().out


def test_always_needs_a_camera(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(picture, "--focal-scaling", "always")
    assert left.value.code == 2 and "--focal-scaling always needs --camera" in capsys.readouterr().err
