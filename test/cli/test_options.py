"""Options of commands come from the declared settings, with their range, choices, default and help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from space_clip_ros.cli import options
from space_clip_ros.cli.main import main
from space_clip_ros.settings import setting


@dataclass(frozen=True)
class Settings:
    kind: str = setting("x", "a kind", choices=("x", "y"))
    file: str = setting("none", "a file at 50 % of its size")
    thread_count: int = setting(2, "a count", minimum=1, maximum=9)
    share: float = setting(0.5, "a share", minimum=0.0)
    fast: bool = setting(False, "a switch")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    options.add_settings(made, Settings, "kind", "file", "thread_count", "share", "fast")
    return made


def test_defaults_and_values() -> None:
    assert vars(parser().parse_args([])) == vars(Settings())
    words = ["--kind", "y", "--file", "1", "--thread-count", "9", "--share", "2", "--fast"]
    assert vars(parser().parse_args(words)) == vars(Settings("y", "1", 9, 2.0, True))


def test_help_is_that_of_the_declaration() -> None:
    text = " ".join(parser().format_help().split())
    assert "{x,y} a kind (default: x)" in text and "a file at 50 % of its size (default: none)" in text
    assert "--fast a switch" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "z"], "invalid choice: 'z'"),
        (["--thread-count", "0"], "must be at least 1, got '0'"),
        (["--thread-count", "many"], "must be a whole number, got 'many'"),
        (["--share", "-1"], "must be at least 0, got '-1'"),
        (["--share", "nan"], "must be a number, not NaN, got 'nan'"),
    ],
)
def test_what_the_declaration_refuses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(words)
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_changes_replace_the_declaration() -> None:
    made = argparse.ArgumentParser()
    options.add_setting(made, Settings, "kind", required=True, help="which")
    assert "which" in made.format_help()
    with pytest.raises(SystemExit):
        made.parse_args([])


def test_values_of_several_commands() -> None:
    assert options.positive("12") == 12 and options.image_size("64x48") == (64, 48) and options.rate_hz("0.1") == 0.1
    for read, text in (
        (options.positive, "0"),
        (options.positive, "1.5"),
        (options.image_size, "64"),
        (options.image_size, "0x48"),
        (options.rate_hz, "fast"),
        (options.rate_hz, "201"),
        (options.rate_hz, "nan"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=f"got '{text}'"):
            read(text)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--out", "./my.yaml"], "--out my.yaml: is the file to read"),
        (["--out", "linked.yaml"], "--out linked.yaml: is the file to read"),
        (["--out", "a", "--json", "sub/../a"], "--json sub/../a: is the file of --out too"),
        (["--out", "a", "--json", "b"], ""),
        ([], ""),
    ],
)
def test_results_replace_neither_an_input_nor_each_other(
    words: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "linked.yaml").symlink_to("my.yaml")
    parser = argparse.ArgumentParser()
    for name in ("--out", "--json"):
        parser.add_argument(name, type=Path)
    parser.set_defaults(parser=parser)
    args = parser.parse_args(words)
    if not reason:
        options.refuse_sources(args, "my.yaml", None, names=("out", "json"))
        return
    with pytest.raises(SystemExit) as ended:
        options.refuse_sources(args, "my.yaml", None, names=("out", "json"))
    assert ended.value.code == 2
    assert f"{reason}; give another name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "outputs"),
    [
        (["data", "check", "INPUT"], ("--json",)),
        (["evaluate", "--model", "road_tiny", "--protocol", "standard", "--data", "INPUT"], ("--json", "--csv")),
        (["evaluate", "--data", "a.yaml", "--protocol", "standard", "--model", "INPUT"], ("--json", "--csv")),
        (["compare", "road_tiny", "--data", "INPUT"], ("--json", "--picture")),
        (["compare", "road_tiny", "INPUT", "--data", "a.yaml"], ("--json", "--picture")),
        (["doctor", "--model", "INPUT"], ("--json",)),
        (["benchmark", "--model", "INPUT"], ("--json", "--markdown")),
        (["benchmark", "--eager", "INPUT"], ("--json", "--markdown")),
        (["benchmark", "--training", "INPUT"], ("--json", "--markdown")),
    ],
)
def test_commands_refuse_to_replace_what_they_read(
    words: list[str], outputs: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine", encoding="utf-8")
    for output in outputs:
        with pytest.raises(SystemExit) as ended:
            main([str(mine) if word == "INPUT" else word for word in words] + [output, str(mine)])
        assert ended.value.code == 2
        assert f"{output} {mine}: is the file to read; give another name" in capsys.readouterr().err
    assert mine.read_text(encoding="utf-8") == "mine"
