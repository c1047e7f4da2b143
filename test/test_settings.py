"""Settings are checked against their one declaration, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError
from space_clip_ros.settings import group, setting


@dataclass(frozen=True)
class Inner:
    rate: float = setting(0.5, "a rate", minimum=0.0, maximum=1.0)
    names: tuple[str, ...] = setting(("a",), "some names")


@dataclass(frozen=True)
class Outer:
    kind: str = setting("x", "a kind", choices=("x", "y"))
    count: int = setting(1, "a count", minimum=1, read_only=True)
    size: tuple[int, int] = setting((2, 3), "a size", minimum=1)
    limit: float | None = setting(None, "a limit or none", minimum=0.0)
    inner: Inner = group(Inner, "nested")

    def problems(self) -> Iterator[str]:
        if self.count > 5 and self.kind == "y":
            yield "count: must be at most 5 for kind y"


def problems_of(values: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings.parse(Outer, values, "file.yaml")  # type: ignore[arg-type]
    return str(caught.value).splitlines()


def test_missing_keys_take_their_defaults() -> None:
    assert settings.parse(Outer, {}) == Outer()
    assert settings.parse(Outer, {"inner": {"rate": 1}}) == Outer(inner=Inner(rate=1.0))


def test_every_problem_is_reported_at_once_with_its_place() -> None:
    lines = problems_of({"kind": "z", "cuont": 2, "size": [1], "inner": {"rate": 2.0, "names": "a"}, "limit": -1})
    assert lines == [
        "file.yaml: cuont: no such setting; did you mean count?",
        "file.yaml: kind: must be one of x, y, got 'z'",
        "file.yaml: size: must be a list of 2 values, got [1]",
        "file.yaml: limit: must be at least 0, got -1",
        "file.yaml: inner.rate: must be at most 1, got 2.0",
        "file.yaml: inner.names: must be a list, such as [a], got 'a'",
    ]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"count": True}, "count: must be a whole number, got True"),
        ({"count": 1.0}, "count: must be a whole number, got 1.0"),
        ({"count": 0}, "count: must be at least 1, got 0"),
        ({"kind": 1}, "kind: must be text, got 1"),
        ({"inner": {"rate": float("nan")}}, "inner.rate: must be a number, not NaN, got nan"),
        ({"limit": float("inf")}, "limit: must be a finite number, got inf"),
        ({"limit": ".inf"}, "limit: must be a number, got '.inf'"),
        ({"limit": 10**400}, f"limit: must be a finite number, got {10**400}"),
        ({"count": 10**20}, f"count: must be at most {2**63 - 1} either way, got {10**20}"),
        ({"inner": {"rate": "fast"}}, "inner.rate: must be a number, got 'fast'"),
        ({"inner": 3}, "inner: must be a group of settings, not 3"),
        ({"count": 6, "kind": "y"}, "count: must be at most 5 for kind y"),
        ({"size": [1, 0]}, "size: must be at least 1, got [1, 0]"),
    ],
)
def test_one_problem_each(values: dict[str, object], line: str) -> None:
    assert problems_of(values) == [f"file.yaml: {line}"]


def test_yaml_round_trip_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text("kind: y\ninner:\n  rate: 1e-1\n", encoding="utf-8")
    loaded = settings.load(Outer, path, ["count=3", "inner.names=[b, c]", "limit=null"])
    assert loaded == Outer(kind="y", count=3, inner=Inner(rate=0.1, names=("b", "c")))
    path.write_text(settings.dump(loaded), encoding="utf-8")
    assert settings.load(Outer, path) == loaded


def test_a_file_takes_what_it_leaves_out_from_the_one_it_extends(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "root.yaml").write_text("{kind: y, count: 2, inner: {rate: 0.2, names: [b, c]}}", encoding="utf-8")
    (tmp_path / "middle.yaml").write_text("{extends: shared/root.yaml, inner: {rate: 0.3}}", encoding="utf-8")
    path = tmp_path / "outer.yaml"
    path.write_text("{extends: middle.yaml, count: 3, inner: {names: [d]}}", encoding="utf-8")
    assert settings.load(Outer, path, ["limit=1"]) == Outer("y", 3, limit=1.0, inner=Inner(0.3, ("d",)))


@pytest.mark.parametrize(
    ("extended", "message"),
    [
        ("missing.yaml", "missing.yaml: cannot be read"),
        ("[1]", "outer.yaml: extends: must be the path of a YAML file"),
        ("other.yaml", "other.yaml: extends: outer.yaml itself extends this file"),
        ("list.yaml", "list.yaml: must be a YAML mapping"),
    ],
)
def test_a_file_that_cannot_be_extended_is_named(tmp_path: Path, extended: str, message: str) -> None:
    for name, text in (("outer", f"extends: {extended}"), ("other", "extends: outer.yaml"), ("list", "- 1")):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        settings.load(Outer, tmp_path / "outer.yaml")


@pytest.mark.parametrize("override", ["count", "=3", "kind.deep=3", "inner.names=[unclosed", "limit=2026-99-99"])
def test_a_bad_override_is_named(tmp_path: Path, override: str) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text("kind: y\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="override"):
        settings.load(Outer, path, [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "mapping"),
        (None, "cannot be read"),
        ("count: 1\nkind: y\ncount: 2", "not valid YAML: 'count' is given twice, in lines 1 and 3"),
        ("inner: {rate: 0.1, names: [a],\n rate: 0.2}", "'rate' is given twice, in lines 1 and 2"),
        ("limit: 2026-99-99", "not valid YAML: month must be in 1..12"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "outer.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        settings.load(Outer, path)
    assert str(path) in str(caught.value)


def test_an_override_that_gives_a_key_twice_says_so(tmp_path: Path) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text("kind: y\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the value is not valid YAML \('rate' is given twice, in lines 1 and 1\)"):
        settings.load(Outer, path, ["inner={rate: 0.1, rate: 0.2}"])


def test_merged_mappings_may_replace_each_other_s_keys(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("a: {deep: &a {<<: &b {rate: 1, count: 2}, rate: 3}}\nb: {<<: [*a, *b], count: 4}\n")
    assert settings.read_values(path) == {"a": {"deep": {"rate": 3, "count": 2}}, "b": {"rate": 3, "count": 4}}


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text("", encoding="utf-8")
    assert settings.load(Outer, path) == Outer()


def test_flattened_names_nest_again() -> None:
    flat = {item.name: item.default for item in settings.declared(Outer)}
    assert list(flat) == ["kind", "count", "size", "limit", "inner.rate", "inner.names"]
    assert settings.parse(Outer, settings.nest(flat)) == Outer()
    with pytest.raises(ConfigError, match=r"a\.b"):
        settings.nest({"a": 1, "a.b": 2})


def test_a_setting_without_default_must_be_given() -> None:
    import dataclasses

    @dataclass(frozen=True)
    class Needs:
        path: str = setting(dataclasses.MISSING, "where the data lies")

    with pytest.raises(ConfigError, match=r"path: must be given \(where the data lies\)"):
        settings.parse(Needs, {})
