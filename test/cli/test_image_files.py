"""Folders of images: which are taken, what is left out, and what their results are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from space_clip_ros.cli.image_files import check_results, find_images
from space_clip_ros.errors import DataError, InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(*paths: Path) -> dict[str, str]:
    return {named.name: named.file.name for named in find_images(paths, lambda _: None)}


def test_images_of_a_folder_are_sorted_and_the_rest_is_counted(tmp_path: Path) -> None:
    folder = touch(tmp_path, "b.JPG", "a.png", "notes.txt", "._a.png", "below/c.png", "a_depth.png", "lone_depth.png")
    notes: list[str] = []
    names = [named.name for named in find_images([folder], notes.append)]
    assert names == ["a", "b", "lone_depth"]
    assert notes == [f"{folder}: 3 images; left out: 2 other files, 1 result, 1 folder"]


def test_nothing_left_out_is_not_worth_a_note(tmp_path: Path) -> None:
    notes: list[str] = []
    find_images([touch(tmp_path, "a.png"), tmp_path / "a.png"], notes.append)
    assert notes == []


def test_names_that_repeat_are_kept_apart(tmp_path: Path) -> None:
    assert found(touch(tmp_path / "one", "a.png", "a.jpg", "b.png")) == {
        "a_png": "a.png",
        "a_jpg": "a.jpg",
        "b": "b.png",
    }
    left, right = touch(tmp_path / "left", "0.png", "1.png"), touch(tmp_path / "right", "0.png")
    assert found(left, right) == {"left_0": "0.png", "right_0": "0.png", "1": "1.png"}
    assert found(left, left / "0.png") == {"0": "0.png", "1": "1.png"}
    both = touch(tmp_path / "left", "0.jpg")
    assert set(found(both, right)) == {"left_0_png", "left_0_jpg", "right_0_png", "1"}


def test_results_of_names_kept_apart_are_known_again(tmp_path: Path) -> None:
    assert set(found(touch(tmp_path, "a.png", "a.jpg", "a_png_depth.png", "a_jpg_color.png"))) == {"a_png", "a_jpg"}


def test_names_that_cannot_be_kept_apart_are_refused(tmp_path: Path) -> None:
    folders = [touch(tmp_path / where / "data", "0.png") for where in ("image_02", "image_03")]
    with pytest.raises(InputError, match="would overwrite each other's results; run the command once for each folder"):
        find_images(folders, lambda _: None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("notes.txt",), r"holds no images \(.png, .jpg, .*\)$"),
        (("run.mcap", "metadata.yaml"), "holds no images .*; give a bag with --bag"),
        (("walk.MP4",), "holds no images .*; it has a film: take its frames out first: .*ffmpeg -i .*walk.MP4 frames/"),
        (("left/0.png", "right/0.png"), "holds no images .*; give the folders below it: .*left, .*right"),
    ],
)
def test_a_folder_without_images(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_images([touch(tmp_path, *names)], lambda _: None)


def test_results_overwrite_no_image_given(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a_depth.png", "a_color.png")
    (tmp_path / "link").symlink_to(tmp_path)
    for names, out in ((("a.png", "a_depth.png"), tmp_path), (("a.png", "a_color.png"), tmp_path / "link")):
        images = find_images([tmp_path / name for name in names], lambda _: None)
        with pytest.raises(InputError, match=rf"{names[1]}: would be overwritten by a result of .*a.png; give another"):
            check_results(images, out)
        check_results(images, tmp_path / "elsewhere")


def test_results_overwrite_earlier_results_and_no_other_depth(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a_depth.png")
    images = find_images([tmp_path], lambda _: None)
    refusal = r"a_depth.png: exists and was not written by this command; give another --out"
    with pytest.raises(InputError, match=refusal):
        check_results(images, tmp_path)
    touch(tmp_path, "a_color.png", "a.json")
    check_results(images, tmp_path)
    camera = {"width": 4, "height": 3, "fx": 2.0, "fy": 2.0, "cx": 1.5, "cy": 1.0}
    (tmp_path / "a.json").write_text(json.dumps(camera), encoding="utf-8")
    with pytest.raises(InputError, match=refusal):
        check_results(images, tmp_path)


def test_a_bag_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run.mcap: is a bag, not an image; give it with --bag"):
        find_images([touch(tmp_path, "run.mcap") / "run.mcap"], lambda _: None)


def test_the_remedy_for_a_film_can_be_pasted(tmp_path: Path) -> None:
    film = touch(tmp_path, "my clip.mp4") / "my clip.mp4"
    with pytest.raises(InputError) as caught:
        find_images([film], lambda _: None)
    assert f"ffmpeg -i '{film}' frames/" in caught.value.remedy


def test_a_film_is_no_image(tmp_path: Path) -> None:
    film = touch(tmp_path, "walk.mp4") / "walk.mp4"
    with pytest.raises(InputError, match=r"walk.mp4: is a film, not an image; take its frames out first: .*ffmpeg"):
        find_images([film], lambda _: None)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing.png: no such file or folder; check the path"):
        find_images([touch(tmp_path, "street.png") / "street.png", tmp_path / "missing.png"], lambda _: None)


def test_other_files_are_left_to_whoever_reads_them(tmp_path: Path) -> None:
    assert found(touch(tmp_path, "odd.raw") / "odd.raw") == {"odd": "odd.raw"}
