"""A program's options: one declaration gives the parser, the checks and a child's command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.program_options import REQUIRED, ProgramOptions, option


@dataclass(frozen=True)
class Options(ProgramOptions):
    file: str = option(REQUIRED, "what to read", metavar="FILE", positional=True)
    out: str = option(REQUIRED, "what to write", metavar="OUT")
    top_speed: float = option(2.0, "speed, 100 % at most", metavar="M/S", minimum=0.0)
    port: int | None = option(None, "port", parse=lambda text: int(text, 16))
    names: tuple[str, ...] = option(("a", "b"), "names", choices=("a", "b", "c"))
    quiet: bool = option(False, "say nothing")


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="program")
    Options.add_to(parser)
    return parser


def test_what_is_not_given_has_its_default(parser: argparse.ArgumentParser) -> None:
    assert Options.parsed(parser.parse_args(["in", "--out", "out"])) == Options("in", "out")


def test_values_have_the_types_of_their_fields(parser: argparse.ArgumentParser) -> None:
    words = ["in", "--out", "out", "--top-speed", "3", "--port", "ff", "--quiet", "--names", "c", "a"]
    assert Options.parsed(parser.parse_args(words)) == Options("in", "out", 3.0, 255, ("c", "a"), True)


def test_a_childs_command_line_leaves_defaults_out() -> None:
    assert Options("in", "out").arguments() == ["in", "--out=out"]
    full = Options("in", "out", 3.5, 255, ("c", "a"), True)
    assert full.arguments() == ["in", "--out=out", "--top-speed=3.5", "--port=255", "--quiet", "--names", "c", "a"]


@pytest.mark.parametrize("words", [["in"], ["--out", "out"], ["in", "--out", "out", "--names", "d"]])
def test_the_parser_refuses_what_is_missing_or_unknown(
    parser: argparse.ArgumentParser, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        parser.parse_args(words)
    assert exit_status.value.code == 2
    assert "program: error:" in capsys.readouterr().err


def test_a_value_out_of_range_is_named_as_on_the_command_line() -> None:
    with pytest.raises(InputError, match=r"^top-speed: must be at least 0, got -1\.0$") as raised:
        Options("in", "out", top_speed=-1.0)
    assert raised.value.what == "top-speed"


def test_the_help_gives_names_and_defaults(parser: argparse.ArgumentParser) -> None:
    text = " ".join(parser.format_help().split())
    assert "FILE what to read" in text
    assert "--top-speed M/S speed, 100 % at most (default 2)" in text
    assert "names (default a b)" in text
    assert "--quiet say nothing" in text
