"""The defaults are valid, describe themselves, and refuse what does not fit together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from space_clip_ros import config, settings
from space_clip_ros.errors import ConfigError

ALL = (config.NodeConfig, config.PlayerConfig, config.EvaluatorConfig)


@pytest.mark.parametrize("cls", ALL)
def test_the_defaults_pass_their_own_checks_and_explain_themselves(cls: type) -> None:
    assert settings.parse(cls, settings.to_dict(cls())) == cls()
    for item in settings.declared(cls):
        assert len(item.help) > 8, item.name


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (config.NodeConfig, {"min_depth": 90.0}, "min_depth: must be below max_depth 80, got 90"),
        (config.NodeConfig, {"points": {"clearing": True, "max_range": 0}}, "points.clearing: needs max_range above 0"),
        (
            config.NodeConfig,
            {"points": {"min_height": 2, "max_height": 1}},
            "points.min_height: must be below max_height",
        ),
        (
            config.NodeConfig,
            {"obstacles": {"min_height": 3}},
            "obstacles.min_height: must be below max_height 2, got 3",
        ),
        (config.NodeConfig, {"cameras": ["fr\u00f6nt"]}, "cameras: names consist of letters"),
        (config.EvaluatorConfig, {"max_depth": 0.001}, "min_depth: must be below max_depth 0.001, got 0.001"),
    ],
)
def test_what_does_not_fit_together_is_refused(cls: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings.parse(cls, values)


def test_the_documented_tables_are_the_declared_ones(project_root: Path) -> None:
    script = project_root / "scripts" / "parameter_tables.py"
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert (project_root / "docs" / "parameters.md").read_text(encoding="utf-8") == made
