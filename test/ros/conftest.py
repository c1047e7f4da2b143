"""A small real model and a ROS context of its own for every test."""

from __future__ import annotations

import importlib.util
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# These files import ROS's packages; without ROS there is nothing of them to run.
collect_ignore_glob = [] if importlib.util.find_spec("rclpy") else ["test_*.py"]

_DOMAINS = itertools.count(1)


@pytest.fixture(scope="session")
def tiny_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model of random weights that takes any image size; depth is some metres everywhere."""
    # Interpreters without PyTorch to make one are given this one's; see test_interpreters.py.
    if ready_made := os.environ.get("SPACE_CLIP_TINY_MODEL"):
        return Path(ready_made)
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
    from space_clip_ros.export.onnx import export
    from space_clip_ros.model import build

    torch.manual_seed(7)
    encoder = EncoderConfig(width=24, heads=2, patch_size=16, image_size=64)
    config = ModelConfig(
        name="tiny_random",
        encoder=encoder,
        decoder=DecoderConfig(channels=(16, 12, 8, 8), film_hidden=8),
        input_size=(64, 64),
        training_camera=(640.0, 480.0, 500.0, 500.0),
    )
    model = build(config).eval()
    with torch.no_grad():
        # Random weights may end below zero, where the last ReLU would make all depth invalid.
        model.depth_head.depth.bias.fill_(5.0)
    path = tmp_path_factory.mktemp("model") / "tiny_random.onnx"
    export(model, path)
    return path


@pytest.fixture
def domain() -> int:
    """A ROS domain that no other test of this run, and hardly one of another, uses."""
    return 1 + (os.getpid() * 7 + next(_DOMAINS)) % 100


@pytest.fixture
def ros(domain: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Initialised rclpy on a domain of its own."""
    rclpy = pytest.importorskip("rclpy")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    rclpy.init(domain_id=domain)
    yield domain
    rclpy.try_shutdown()


@pytest.fixture
def spinning(ros: int) -> Iterator[Callable[..., Any]]:
    """Spin nodes in one thread of their own; called with a node, it returns it. Destroyed at the end."""
    from rclpy.executors import SingleThreadedExecutor

    executor, nodes, stopping = SingleThreadedExecutor(), [], threading.Event()

    def add(node: Any) -> Any:
        nodes.append(node)
        executor.add_node(node)
        return node

    def spin() -> None:
        while not stopping.is_set():
            executor.spin_once(timeout_sec=0.02)

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    yield add
    stopping.set()
    thread.join(30)
    executor.shutdown()
    for node in reversed(nodes):
        getattr(node, "close", lambda: None)()
        node.destroy_node()


@pytest.fixture(scope="session")
def small_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of a synthetic drive, 312 x 94 pixels, with scans; not to be changed."""
    from space_clip_ros.geometry.camera import PinholeCamera
    from space_clip_ros.synthetic.drive import write_drive

    camera = PinholeCamera(312, 94, fx=180.0, fy=180.0, cx=152.0, cy=43.0)
    return write_drive(tmp_path_factory.mktemp("drive"), frames=5, seed=3, camera=camera)
