"""Launch arguments as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.ros.common import launch_arguments as arguments


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        *((text, True) for text in ("true", "True", "1", "yes", "on")),
        *((text, False) for text in ("false", "0", "No", "off")),
        *((text, None) for text in ("", " ")),
    ],
)
def test_truth(text: str, meaning: bool | None) -> None:
    assert arguments.truth("rviz", text) is meaning


@pytest.mark.parametrize("text", ["maybe", "2", "tru"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"^rviz: must be true or false, got '{text}'"):
        arguments.truth("rviz", text)


def test_numbers() -> None:
    assert arguments.number("rate", "0.5") == 0.5
    for text in ("", "fast", "0", "-1", "nan", "inf"):
        with pytest.raises(InputError, match=r"^rate: must be a number above 0"):
            arguments.number("rate", text)


def test_an_empty_argument_has_its_default() -> None:
    declared = {"image": ("image", ""), "model": ("", ""), "rate": ("1.0", "")}
    given = {"image": " ", "model": "", "rate": "2", "other": "x"}
    assert arguments.filled(given, declared) == {"image": "image", "model": "", "rate": "2", "other": "x"}


def test_choices() -> None:
    assert [arguments.choice("backend", text, ("auto", "torch")) for text in ("", "torch")] == ["", "torch"]
    with pytest.raises(InputError, match=r"^backend: must be one of auto, torch, got 'cuda'"):
        arguments.choice("backend", "cuda", ("auto", "torch"))


def test_topics() -> None:
    for name in ("image", "/cam/image_raw", "~/image", "cam2/_x"):
        assert arguments.topic("image", name) == name
    for name in ("", "a b", "a//b", "/", "2cam", "a/", "a-b"):
        with pytest.raises(InputError, match=f"^image: must be letters, digits and _.*{name!r}"):
            arguments.topic("image", name)
    with pytest.raises(InputError, match="give /c/image, with image_transport:=compressed"):
        arguments.topic("image", "/c/image/compressed")


def test_folders(tmp_path: Path) -> None:
    assert arguments.folder("drive", str(tmp_path)) == str(tmp_path)
    with pytest.raises(InputError, match=r"^drive: /no/such is no folder; check the path"):
        arguments.folder("drive", "/no/such")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "depth.yaml"
    path.touch()
    assert arguments.parameter_file("params_file", str(path)) == str(path)
    with pytest.raises(InputError, match=r"^params_file: /no/such\.yaml is not there; check the path"):
        arguments.parameter_file("params_file", "/no/such.yaml")
    path.write_text("model = road_tiny", encoding="utf-8")
    message = r"^params_file: .*depth\.yaml: must be a YAML mapping, .*, and is text; see config/depth\.yaml$"
    with pytest.raises(InputError, match=message):
        arguments.parameter_file("params_file", str(path))


def test_camera_names() -> None:
    assert arguments.camera_names("front, rear ,") == ["front", "rear"]
    assert arguments.camera_names("") == []
    with pytest.raises(InputError, match="a name of its own"):
        arguments.camera_names("front,front")
    for name in ("/rear", "frönt"):  # the node refuses both, too
        with pytest.raises(InputError, match="letters, digits and _"):
            arguments.camera_names(f"front,{name}")


def test_topics_below_cameras() -> None:
    assert arguments.topic_below_cameras("image", "image_raw") == "image_raw"
    with pytest.raises(InputError, match=r"^image: is /cam/image_raw, .*such as image_raw$"):
        arguments.topic_below_cameras("image", "/cam/image_raw")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/**:\n  ros__parameters:\n    use_sim_time: true\n", True),
        ("robot:\n  depth:\n    ros__parameters:\n      use_sim_time: true\n", True),
        ("/**:\n  ros__parameters:\n    use_sim_time: false\n", False),
        ("/**:\n  ros__parameters:\n    model: x\n", False),
        ("", False),
        ("a: [", False),
    ],
)
def test_simulated_time_of_a_file(text: str, expected: bool, tmp_path: Path) -> None:
    path = tmp_path / "depth.yaml"
    path.write_text(text, encoding="utf-8")
    assert arguments.simulated_time(str(path)) is expected
