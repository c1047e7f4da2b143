"""Any word over real DDS, with a small random CLIP: its vision tower in the model, its text tower in a file of its own.

And a closed list of names, from a model with a head of random weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray, Header, String

from space_clip_ros.config import SemanticConfig
from space_clip_ros.inference import load_predictor
from space_clip_ros.language.scores import label, patch_probabilities, sample
from space_clip_ros.messages import image_from_array, stored_pixels
from space_clip_ros.model_config import UNLABELLED, DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig
from space_clip_ros.perception.queries import find_queries
from space_clip_ros.ros.node.depth_node import DepthNode

pytest.importorskip("torch")

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
BOTH = ("embedding", "dense")
# The cosines of random weights lie close together.
SHARP = {"temperature": 0.02, "threshold": 0.3}


@pytest.fixture(scope="module")
def free_text(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The exported model and its text tower."""
    for library in ("open_clip", "tokenizers", "onnx"):
        pytest.importorskip(library)
    import torch

    from space_clip_ros.export.onnx import export
    from space_clip_ros.export.text import export_text
    from space_clip_ros.language import load_clip
    from space_clip_ros.model import build
    from space_clip_ros.model.pretrained import load_pretrained

    torch.set_num_threads(1)
    folder, out = shared_dir / "reference", tmp_path_factory.mktemp("free")
    state = folder / "language_clip_tiny_open_clip.pt"
    clip = load_clip(state, settings=folder / "language_clip_tiny.json")
    model = build(
        ModelConfig(
            name="tiny_clip",
            encoder=EncoderConfig(width=64, heads=4, image_size=64),
            decoder=DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8),
            input_size=(64, 64),
            language=LanguageConfig(outputs=BOTH, embed_dim=48, tower=clip.tower),
        )
    ).eval()
    load_pretrained(model.encoder, state)
    export(model, out / "model.onnx")
    export_text(clip, out / "text.onnx", templates=["a photo of a {}."])
    return out / "model.onnx", out / "text.onnx"


@pytest.fixture(scope="module")
def closed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from space_clip_ros.export.onnx import export

    path = tmp_path_factory.mktemp("closed") / "closed.onnx"
    language = LanguageConfig(outputs=BOTH, embed_dim=3, vocabulary=("road", "car", "sky"))
    export(request.getfixturevalue("tiny_model")("closed", language=language), path)
    return path


class Robot:
    """A node with subscribers of labels and the embedding."""

    def __init__(self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.until = until
        self.node = node
        robot = spinning(Node("robot"))
        self.labels: list[Image] = []
        self.embeddings: list[Float32MultiArray] = []
        self.images = robot.create_publisher(Image, "image", 10)
        self.queries = robot.create_publisher(String, "semantic/query", 1)
        robot.create_subscription(Image, "semantic/labels", self.labels.append, 10)
        robot.create_subscription(Float32MultiArray, "semantic/embedding", self.embeddings.append, 10)
        publishers = self.node._pipeline.cameras[0].publishers
        until(lambda: publishers.subscribers() == 2, "matched outputs")
        until(self.images.get_subscription_count, "the image to be matched")
        until(self.queries.get_subscription_count, "the query to be matched")

    def ask(self, text: str, *names: str) -> None:
        self.queries.publish(String(data=text))
        queries = self.node._pipeline.queries
        self.until(lambda: queries.current and queries.current.names == names, f"queries {names}")

    def show(self) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and embedding of the picture."""
        before = len(self.labels), len(self.embeddings)
        self.images.publish(image_from_array(PICTURE, "rgb8", Header(frame_id="camera")))
        self.until(lambda: len(self.labels) > before[0] and len(self.embeddings) > before[1], "both outputs")
        return stored_pixels(self.labels[-1]), np.array(self.embeddings[-1].data, np.float32)


def expected(model: Path, names: tuple[str, ...], settings: SemanticConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and embedding, computed step by step."""
    with load_predictor(model, threads=1) as predictor:
        language, seen = predictor.info.language, predictor.run(PICTURE)
        queries = find_queries(names, settings, predictor.info)
    assert language and queries and seen.dense is not None and seen.embedding is not None
    maps = patch_probabilities(seen.dense, queries, language.logit_scale, settings.temperature)
    rows, columns = ((np.arange(0, size, 2) + 0.5) / size for size in PICTURE.shape[:2])
    return label(sample(maps, rows, columns), settings.threshold)[0], seen.embedding


@pytest.fixture
def start(start_node: Callable[..., DepthNode], spinning: Any, until: Any) -> Callable[..., Robot]:
    def make(model: Path, **semantic: Any) -> Robot:
        parameters = {f"semantic.{name}": value for name, value in semantic.items()}
        return Robot(start_node(model=model, **parameters), spinning, until)

    return make


def test_a_word_that_nobody_foresaw(start: Callable[..., Robot], until: Any, free_text: tuple[Path, Path]) -> None:
    model, tower = free_text
    settings = {"query_file": str(tower), "background": ["wall", "floor"], **SHARP}
    robot = start(model, queries=["door"], **settings)
    robot.ask("traffic cone, red mug", "traffic cone", "red mug")
    labels, embedding = robot.show()
    semantic = SemanticConfig(query_file=str(tower), background=("wall", "floor"), **SHARP)
    right, whole = expected(model, ("traffic cone", "red mug"), semantic)
    np.testing.assert_array_equal(labels, right)
    assert len(np.unique(labels)) > 1
    np.testing.assert_allclose(embedding, whole, atol=1e-6)
    robot.ask("", "door")


def test_another_threshold_needs_no_text_tower(
    start: Callable[..., Robot], until: Any, free_text: tuple[Path, Path], tmp_path: Path
) -> None:
    model, tower = free_text[0], Path(shutil.copy(free_text[1], tmp_path))
    robot = start(model, queries=["door"], query_file=str(tower), background=["wall"])
    queries = robot.node._pipeline.queries
    until(lambda: queries.current, "the tower's vectors")
    tower.unlink()
    robot.node.set_parameters([Parameter("semantic.threshold", value=1.0)])
    assert (robot.show()[0] == UNLABELLED).all()
    assert queries.problem == ""


def test_a_closed_list_of_names(start: Callable[..., Robot], until: Any, closed: Path) -> None:
    robot = start(closed, queries=["sky", "car"], **SHARP)
    labels, embedding = robot.show()
    right, whole = expected(closed, (), SemanticConfig(queries=("sky", "car"), **SHARP))
    queries = robot.node._pipeline.queries
    robot.queries.publish(String(data=f"&#{'9' * 5000};"))
    until(lambda: queries.problem, "a character that is none to be refused")
    robot.ask("road", "road")
    robot.ask("", "sky", "car")
    assert not queries.problem
    np.testing.assert_array_equal(labels, right)
    assert set(np.unique(labels)) <= {0, 1, 255} and len(np.unique(labels)) > 1
    np.testing.assert_allclose(embedding, whole, atol=1e-6)
