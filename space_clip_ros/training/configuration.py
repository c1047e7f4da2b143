"""Reads the settings of a training run, and fills in those of the vision tower that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from space_clip_ros import settings
from space_clip_ros.model.pretrained import is_file_name
from space_clip_ros.model.towers import with_tower
from space_clip_ros.training_config import TrainingConfig


def load_training(path: str | Path, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Read a run's settings as :func:`space_clip_ros.settings.load` does, and fill in ``model.encoder.tower``.

    With a tower, ``pretrained`` may be just the tag of open_clip's weights for it.

    Raises:
        ConfigError: the file or an override cannot be used, or settings have problems.
        ModelError: open_clip has no such tower, or it is one that this package cannot build.
    """
    values = settings.read_values(path, overrides)
    return settings.parse(TrainingConfig, with_tower_settings(values), str(path))


def with_tower_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings of a run with ``model.encoder.tower`` replaced by the settings of that tower.

    Raises:
        ModelError: there is no such tower.
    """
    model = values.get("model")
    encoder = model.get("encoder") if isinstance(model, Mapping) else None
    tower = encoder.get("tower") if isinstance(encoder, Mapping) else None
    if not isinstance(model, Mapping) or not tower:
        return dict(values)
    source = str(values.get("pretrained") or "")
    named, _, tag = ("", "", "") if is_file_name(source) else source.rpartition("/")
    known = with_tower(model, tag)
    changed = {"model": known, "pretrained": f"{tower}/{tag}"} if tag and not named else {"model": known}
    return {**values, **changed}
