"""ROS parameters, declared from the dataclasses in :mod:`space_clip_ros.config` and checked against them."""

from __future__ import annotations

import array
import sys
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from space_clip_ros.errors import ConfigError
from space_clip_ros.ros.common.parameter_files import (
    files_for_other_nodes,
    given_parameters,
    ignored_parameters,
)
from space_clip_ros.settings import Declared, declared, nest, parse

T = TypeVar("T")
_INTEGER_LIMIT = 2**31 - 1


class Parameters(Generic[T]):
    """A node's parameters as one frozen dataclass.

    Declares every setting of the class on the node. A change at run time is checked as a whole, cross-checks
    included, and refused if it fails. :attr:`current` is replaced in one assignment, so other threads may read it at
    any time.

    Args:
        node: the node to declare them on.
        settings: a dataclass of :mod:`space_clip_ros.config`.
        on_change: called with the new settings after each accepted change, in the executor's thread.

    Raises:
        ConfigError: the values given at start (command line, YAML, launch file) do not fit together, or a parameter
            file is not a YAML mapping.
    """

    def __init__(self, node: Node, settings: type[T], on_change: Callable[[T], None] | None = None) -> None:
        """Declare and read every parameter."""
        self._node = node
        self._settings = settings
        self._names = {setting.name for setting in declared(settings)}
        self._on_change = on_change
        refused: dict[str, Any] = {}
        for setting in declared(settings):
            refused |= _declare(node, setting)
        self.current: T = self._parse(refused)
        for line in (*ignored_parameters(node, self._names), *files_for_other_nodes(node)):
            node.get_logger().warning(line)
        node.add_on_set_parameters_callback(self._on_set)

    def _parse(self, changes: dict[str, Any]) -> T:
        # An empty list in YAML has no type, so ROS treats the parameter as not set: it keeps its default.
        given = {name: _plain(self._node.get_parameter_or(name).value) for name in self._names}
        values = {name: value for name, value in given.items() if value is not None}
        return parse(self._settings, nest({**values, **changes}), "parameters")

    def _on_set(self, parameters: list[Any]) -> SetParametersResult:
        changes = {item.name: _plain(item.value) for item in parameters if item.name in self._names}
        if not changes:
            return SetParametersResult(successful=True)
        try:
            settings = self._parse(changes)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.current = settings
        if self._on_change is not None:
            self._on_change(settings)
        return SetParametersResult(successful=True)


def descriptor(setting: Declared) -> ParameterDescriptor:
    """Return what ``ros2 param describe`` shows: help text, range, choices and whether it is read-only."""
    result = ParameterDescriptor(description=setting.help, read_only=setting.read_only)
    # Lets `max_age:=1` and `rectify:=off` through to parse, which takes whole numbers for floats and the aliases of a
    # choice, and refuses other types. An empty list says nothing about its type.
    result.dynamic_typing = setting.type is float or bool(setting.aliases) or setting.default == ()
    if setting.choices:
        result.additional_constraints = f"one of {', '.join(map(str, setting.choices))}"
    if setting.minimum is None and setting.maximum is None:
        return result
    if setting.type is int:
        low = -_INTEGER_LIMIT if setting.minimum is None else int(setting.minimum)
        high = _INTEGER_LIMIT if setting.maximum is None else int(setting.maximum)
        result.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    elif setting.type is float:
        low_m = -sys.float_info.max if setting.minimum is None else float(setting.minimum)
        high_m = sys.float_info.max if setting.maximum is None else float(setting.maximum)
        result.floating_point_range = [FloatingPointRange(from_value=low_m, to_value=high_m, step=0.0)]
    return result


def _declare(node: Node, setting: Declared) -> dict[str, Any]:
    """Declare a parameter; return the value given for it by its name if ROS refuses that, for an error of ours."""
    default = list(setting.default) if typing.get_origin(setting.type) is tuple else setting.default
    try:
        node.declare_parameter(setting.name, default, descriptor(setting))
    except (InvalidParameterTypeException, InvalidParameterValueException):
        node.declare_parameter(setting.name, default, descriptor(setting), ignore_override=True)
        return {setting.name: _plain(given_parameters(node)[setting.name].value)}
    return {}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (array.array, tuple)) else value
