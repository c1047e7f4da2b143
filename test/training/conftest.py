"""A run that trains in a second: random pictures and a tiny network."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from space_clip_ros.settings import nest, parse
from space_clip_ros.training_config import TrainingConfig

HEIGHT, WIDTH = 48, 80


def write_frames(root: Path, count: int, seed: int = 0) -> Path:
    """Write random pictures, depth computed from their brightness, and their file list."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        coarse = rng.integers(20, 255, (6, 10), np.uint8)
        grey = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        depth = (2.0 + grey / 8.0) * 256
        depth[:4] = 0
        cv2.imwrite(str(root / f"{number}.png"), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        cv2.imwrite(str(root / f"{number}_depth.png"), depth.astype(np.uint16))
        lines.append(f"{number}.png {number}_depth.png 721.5")
    path = root / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def tiny_settings(folder: Path, run: Path) -> dict:
    source = {"kind": "kitti_list", "path": str(folder), "file_list": str(folder / "list.txt")}
    return {
        "initial_depth": 10.0,
        "model.name": "tiny",
        "model.encoder.width": 16,
        "model.encoder.heads": 2,
        "model.encoder.image_size": 32,
        "model.encoder.trainable": True,
        "model.decoder.channels": [8, 8, 8, 8],
        "model.decoder.film_hidden": 8,
        "model.input_size": [32, 48],
        "data.train": [source],
        "data.validation": [source],
        "data.workers": 0,
        "augmentation.crop": [40, 64],
        "optimizer.batch_size": 4,
        "optimizer.epochs": 2,
        "optimizer.lr": 1e-3,
        "runtime.device": "cpu",
        "runtime.threads": 1,
        "validation.protocol": "standard",
        "run.dir": str(run),
        "run.log_steps": 1,
        "run.checkpoint_steps": 1,
        "run.tensorboard": False,
        "run.pictures": 1,
    }


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def frames_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    write_frames(folder, 12)
    return folder


@pytest.fixture()
def tiny(frames_dir: Path, tmp_path: Path):
    """Return a function that builds the small run's settings with some of them replaced."""

    def build(**changes: object) -> TrainingConfig:
        flat = tiny_settings(frames_dir, tmp_path / "run")
        flat.update({name.replace("__", "."): value for name, value in changes.items()})
        return parse(TrainingConfig, nest(flat))

    return build


class Listener:
    """A console that keeps the messages and notes it was given."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def bar(self, total: int, label: str):
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.notes.append(note)


@pytest.fixture()
def listener() -> Listener:
    return Listener()


class Interrupting(Listener):
    """A console that sends this process SIGINT at an advance of its bars with a label, counted from 1."""

    def __init__(self, label: str, number: int) -> None:
        super().__init__()
        self._label = label
        self._left = number

    @contextmanager
    def bar(self, total: int, label: str):
        yield self if label == self._label else Listener()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._left -= steps
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture()
def interrupting() -> Callable[[str, int], Interrupting]:
    return Interrupting
