"""Every name and keyword of rclpy that the package uses is in Humble's; the tables were read off Humble's own sources.

A name that is missing below must be looked up there first (``git show humble:rclpy/rclpy/...``), and guarded if Humble
lacks it, as ``ros/common/qos.py`` does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "space_clip_ros"
NAMES = {
    "rclpy": {"init", "try_shutdown"},
    "rclpy.clock": {"Clock", "JumpThreshold"},
    "rclpy.duration": {"Duration"},
    "rclpy.exceptions": {"InvalidParameterTypeException", "InvalidParameterValueException"},
    "rclpy.executors": {"ExternalShutdownException", "SingleThreadedExecutor"},
    "rclpy.lifecycle": {"LifecycleNode", "TransitionCallbackReturn"},
    "rclpy.logging": {"get_logger"},
    "rclpy.node": {"Node"},
    "rclpy.parameter": {"Parameter"},
    "rclpy.qos": {
        *("DurabilityPolicy", "HistoryPolicy", "QoSCompatibility", "QoSPolicyKind", "QoSProfile", "ReliabilityPolicy"),
        "qos_check_compatible",
    },
    "rclpy.qos_overriding_options": {"QoSOverridingOptions"},
    "rclpy.signals": {"SignalHandlerOptions"},
    "rclpy.time": {"Time"},
    "rclpy.serialization": {"serialize_message"},
    "rclpy.utilities": {"get_rmw_implementation_identifier", "remove_ros_args"},
}
KEYWORDS = {
    "create_client": {"callback_group", "qos_profile"},
    "create_jump_callback": {"pre_callback", "post_callback"},
    "create_lifecycle_publisher": {"callback_group", "event_callbacks", "qos_overriding_options"},
    "create_publisher": {"callback_group", "event_callbacks", "qos_overriding_options"},
    "create_service": {"callback_group", "qos_profile"},
    "create_subscription": {"callback_group", "event_callbacks", "qos_overriding_options", "raw"},
    "create_timer": {"callback_group", "clock"},
    "declare_parameter": {"ignore_override"},
    "init": {"args", "context", "domain_id", "signal_handler_options"},
}
IN_LATER_VERSIONS_ONLY = {"add_post_set_parameters_callback", "add_pre_set_parameters_callback", "matched"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "rclpy" in source:
            for node in ast.walk(ast.parse(source)):
                yield f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}", node


def test_every_imported_name_is_in_humble() -> None:
    unknown = []
    for where, node in nodes():
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rclpy":
            missing = {alias.name for alias in node.names} - NAMES.get(node.module or "", set())
            unknown += [f"{where} {node.module}.{name}" for name in missing]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rclpy":
            unknown += [] if node.attr in NAMES["rclpy"] else [f"{where} rclpy.{node.attr}"]
    assert unknown == []


def test_every_keyword_and_method_is_in_humble() -> None:
    unknown = []
    for where, node in nodes():
        if isinstance(node, ast.Attribute) and node.attr in IN_LATER_VERSIONS_ONLY:
            unknown.append(f"{where} {node.attr}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KEYWORDS:
            missing = {keyword.arg for keyword in node.keywords} - KEYWORDS[node.func.attr]
            unknown += [f"{where} {node.func.attr}({name}=...)" for name in missing]
    assert unknown == []
