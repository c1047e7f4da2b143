"""Typed settings: frozen dataclasses whose fields carry help text, range and choices.

A setting is declared once, with :func:`setting`. YAML files, ``key=value`` overrides, ROS parameters and command-line
options are all checked against that declaration. :func:`parse` reports every problem at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from space_clip_ros.errors import ConfigError, SpaceClipError, one_line

T = TypeVar("T")


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] = (),
    read_only: bool = False,
    aliases: Mapping[Any, Any] | None = None,
) -> Any:
    """Declare one setting of a frozen dataclass; bounds are inclusive, and ``aliases`` maps other values to choices."""
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "read_only": read_only,
        "aliases": aliases or {},
    }
    return dataclasses.field(default=default, metadata=metadata)


def group(cls: type, help: str) -> Any:
    """Declare a nested group of settings, all at their defaults."""
    return dataclasses.field(default_factory=cls, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class Declared:
    """One flattened setting: its dotted name, type, default and limits (inclusive)."""

    name: str
    type: Any
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    read_only: bool = False
    aliases: Mapping[Any, Any] = dataclasses.field(default_factory=dict)

    def convert(self, value: Any) -> tuple[Any, str]:
        """Return ``value`` as this setting's type, and what is wrong with it (empty if nothing)."""
        converted, problem = _convert(_without_alias(value, self.aliases), self.type)
        return converted, problem or out_of_range(converted, vars(self))


def declared(cls: type, prefix: str = "") -> Iterator[Declared]:
    """Yield every setting of ``cls`` and its groups, by dotted name and in the order of declaration."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from declared(typing.cast(type, hint), f"{prefix}{field.name}.")
        else:
            yield Declared(f"{prefix}{field.name}", hint, field.default, **field.metadata)


def parse(cls: type[T], values: Mapping[str, Any], where: str = "settings") -> T:
    """Build ``cls`` from nested mappings; missing keys take their defaults.

    Args:
        cls: a frozen dataclass whose fields were declared with :func:`setting` or :func:`group`.
        values: nested mapping of plain YAML types.
        where: name of the source in errors, usually the file's path.

    Raises:
        ConfigError: one line for each unknown key, wrong type, value out of range or failed cross-check.
    """
    problems: list[str] = []
    parsed = _parse(cls, values, "", problems)
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems))
    return typing.cast(T, parsed)


def ordered(settings: Any, low: str, high: str) -> Iterator[str]:
    """Yield a problem if the setting called ``low`` is not below the one called ``high``."""
    smallest, largest = getattr(settings, low), getattr(settings, high)
    if smallest >= largest:
        yield f"{low}: must be below {high} {largest:g}, got {smallest:g}"


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"a.b": 1}`` into ``{"a": {"b": 1}}``."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, leaf = name.split(".")
        target = nested
        for parent in parents:
            child = target.setdefault(parent, {})
            if not isinstance(child, dict):
                raise ConfigError(name, f"{parent!r} already has a value and cannot be a group too", "leave one out")
            target = child
        target[leaf] = value
    return nested


def load(cls: type[T], path: str | Path, overrides: Iterable[str] = ()) -> T:
    """Read a YAML file, apply ``key.path=value`` overrides and check the result.

    Raises:
        ConfigError: the file is missing or is not a YAML mapping, an override is not ``key=value``, or :func:`parse`
            found problems.
    """
    return parse(cls, read_values(path, overrides), str(path))


def read_values(path: str | Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Return the nested values of a YAML file with ``key.path=value`` overrides, still unchecked.

    A file that ``extends`` another one, by a path relative to itself, has the other's values too, group by group, where
    it does not give its own. Lists are replaced whole.

    Raises:
        ConfigError: the file or the one that it extends is missing or is not a YAML mapping, files extend each other,
            or an override is not ``key=value``.
    """
    values = _extended(Path(path), ())
    for override in overrides:
        _merge(values, override)
    return values


def read_yaml(path: Path, remedy: str) -> Any:
    """Return the content of a YAML file.

    Args:
        path: the file.
        remedy: what to do if it cannot be read.

    Raises:
        ConfigError: the file cannot be read, or is not YAML.
    """
    return parse_yaml(path, read_text(path, remedy))


def read_text(path: Path, remedy: str, error: type[SpaceClipError] = ConfigError) -> str:
    """Return the text of a YAML file.

    Args:
        path: the file.
        remedy: what to do if it cannot be read.
        error: class of the error to raise.

    Raises:
        SpaceClipError: of the class ``error``; the file cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as failure:
        raise error(path, f"cannot be read ({failure.strerror})", remedy) from failure
    except UnicodeDecodeError as failure:
        raise error(path, f"is not valid YAML: {failure}") from failure


def parse_yaml(path: Path, text: str, error: type[SpaceClipError] = ConfigError) -> Any:
    """Return the content of a YAML file from its text.

    Raises:
        SpaceClipError: of the class ``error``; the text is not YAML.
    """
    try:
        return _load_yaml(text)
    except (yaml.YAMLError, ValueError) as failure:
        raise error(path, f"is not valid YAML: {one_line(failure)}") from failure


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses a key that a mapping has twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in lines:
                raise yaml.YAMLError(f"{key.value!r} is given twice, in lines {lines[name]} and {line}")
            lines[name] = line
        return node


def _load_yaml(text: str) -> Any:
    """Return the content of YAML text.

    Raises:
        yaml.YAMLError: it is not YAML, or a mapping has a key twice.
        ValueError: a date or a number is impossible.
    """
    return yaml.load(text, _Loader)


def as_mapping(
    path: str | Path, content: Any, remedy: str, error: type[SpaceClipError] = ConfigError
) -> dict[str, Any]:
    """Return the content of a YAML file that must be a mapping; an empty file is an empty mapping.

    Args:
        path: the file, for the error.
        content: as :func:`read_yaml` returns it.
        remedy: what to do if it is something else.
        error: class of the error to raise.

    Raises:
        SpaceClipError: of the class ``error``; the content is text, a number or a list.
    """
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = {list: "a list", **_NAMES}.get(type(content), type(content).__name__)
        raise error(path, f"must be a YAML mapping, lines of `name: value`, and is {kind}", remedy)
    return content


def to_dict(settings: Any) -> dict[str, Any]:
    """Return nested dictionaries of plain YAML types; :func:`parse` reads them back."""
    return typing.cast("dict[str, Any]", plain(dataclasses.asdict(settings)))


def plain(value: Any) -> Any:
    """Return a nested value with lists in place of tuples, as YAML and JSON have them."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def dump(settings: Any) -> str:
    """Return the settings as YAML text."""
    return str(yaml.safe_dump(to_dict(settings), sort_keys=False))


def find_problems(cls: type, values: Mapping[str, Any]) -> list[str]:
    """Return the problems that :func:`parse` would report, one line each, without the source's name."""
    problems: list[str] = []
    _parse(cls, values, "", problems)
    return problems


def _extended(path: Path, derived: tuple[Path, ...]) -> dict[str, Any]:
    """Read a file and those that it extends, and merge their values; ``derived`` are the files that led to it."""
    values = as_mapping(path, read_yaml(path, "give the path of a YAML file"), "see config/ for examples")
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{path}: extends", "must be the path of a YAML file", "give one relative to this file")
    derived = (*derived, path.resolve())
    target = path.parent / base
    if target.resolve() in derived:
        raise ConfigError(f"{path}: extends", f"{base} itself extends this file", "leave one of them out")
    return _over(_extended(target, derived), values)


def _over(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested settings; where both have a value, the one in ``values`` counts."""
    both = {
        name: _over(base[name], value) if isinstance(value, dict) and isinstance(base.get(name), dict) else value
        for name, value in values.items()
    }
    return {**base, **both}


def _merge(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise ConfigError(f"override {override!r}", "is not of the form key=value", "such as optimizer.lr=1e-4")
    target = values
    *parents, leaf = name.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ConfigError(f"override {override!r}", f"{parent!r} is not a group of settings", "check its name")
    try:
        target[leaf] = _load_yaml(text) if text else ""
    except (yaml.YAMLError, ValueError) as error:
        reason = f"the value is not valid YAML ({one_line(error)})"
        raise ConfigError(f"override {override!r}", reason, "correct it, or put it in quotes") from error


def _parse(cls: type, values: Any, prefix: str, problems: list[str]) -> Any:
    if not isinstance(values, Mapping):
        problems.append(f"{prefix.rstrip('.')}: must be a group of settings, not {values!r}")
        return None
    before = len(problems)
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {prefix}{close[0]}?" if close else f"; known here: {', '.join(fields)}"
            problems.append(f"{prefix}{key}: no such setting{hint}")
    arguments = {}
    for name, field in fields.items():
        if name not in values:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                problems.append(f"{prefix}{name}: must be given ({field.metadata['help']})")
            continue
        if dataclasses.is_dataclass(hints[name]):
            arguments[name] = _parse(typing.cast(type, hints[name]), values[name], f"{prefix}{name}.", problems)
            continue
        arguments[name], problem = Declared(name, hints[name], field.default, **field.metadata).convert(values[name])
        if problem:
            problems.append(f"{prefix}{name}: {problem}, got {values[name]!r}")
    if len(problems) > before:
        return None
    parsed = cls(**arguments)
    check = getattr(parsed, "problems", None)
    if check is not None:
        problems.extend(f"{prefix}{problem}" for problem in check())
    return parsed


def _without_alias(value: Any, aliases: Mapping[Any, Any]) -> Any:
    """Return the choice that a text or boolean value is an alias of, or the value itself."""
    return aliases.get(value, value) if isinstance(value, (str, bool)) else value


def _convert(value: Any, hint: Any) -> tuple[Any, str]:
    """Return ``value`` as the type ``hint``, and what is wrong with it (empty if nothing)."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None, ""
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
        origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return value, f"must be a list, such as [{value}]"
        items = typing.get_args(hint)
        kinds = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
        if len(kinds) != len(value):
            return value, f"must be a list of {len(kinds)} values"
        converted = [_convert(item, kind) for item, kind in zip(value, kinds, strict=True)]
        return tuple(item for item, _ in converted), next((problem for _, problem in converted if problem), "")
    if origin is dict:
        hint = dict
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-4, without a dot, as text.
        try:
            return float(value), ""
        except ValueError:
            return value, "must be a number"
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return (float(value), "") if abs(value) <= sys.float_info.max else (value, _INFINITE)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        return value, f"must be {_NAMES.get(hint, hint.__name__)}"
    return value, ""


_INFINITE = "must be a finite number"
_LARGEST_WHOLE = 2**63 - 1
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "a mapping"}


def out_of_range(value: Any, metadata: Mapping[str, Any]) -> str:
    """Return how a value violates the choices and bounds of its field's metadata; empty if it does not.

    Numbers must also be finite, and whole ones fit into 64 bits.
    """
    if value is None:
        return ""
    for item in value if isinstance(value, tuple) else (value,):
        if metadata["choices"] and item not in metadata["choices"]:
            return f"must be one of {', '.join(map(str, metadata['choices']))}"
        if isinstance(item, float) and item != item:
            return "must be a number, not NaN"
        if isinstance(item, float) and math.isinf(item):
            return _INFINITE
        if isinstance(item, int) and abs(item) > _LARGEST_WHOLE:
            return f"must be at most {_LARGEST_WHOLE} either way"
        if metadata["minimum"] is not None and item < metadata["minimum"]:
            return f"must be at least {metadata['minimum']:g}"
        if metadata["maximum"] is not None and item > metadata["maximum"]:
            return f"must be at most {metadata['maximum']:g}"
    return ""
