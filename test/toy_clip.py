"""A toy CLIP that knows coloured shapes by name, and a decoder that knows how far away they are.

Both are trained here in seconds: the CLIP on pictures of random scenes with captions, the decoder on a few scenes with
depth. Every shape is two metres wide and stands free before a grey wall, so its size in the picture tells its distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import open_clip
import torch
from torch import nn
from torch.nn import functional

from space_clip_ros.export.onnx import export
from space_clip_ros.export.text import export_text
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.language import load_clip
from space_clip_ros.language.clip import Clip
from space_clip_ros.language.clip_settings import clip_settings
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.pretrained import load_pretrained
from space_clip_ros.model_config import DecoderConfig, LanguageConfig, ModelConfig

SHAPES = ("red square", "blue disc", "green triangle", "yellow cross")
RED, BLUE, GREEN, YELLOW = range(4)
WALL = "grey wall"
WALL_M, WIDTH_M = 12.0, 2.0
SIDE = 64
CAMERA = PinholeCamera(SIDE, SIDE, 64.0, 64.0, 31.5, 31.5)

_SETTINGS = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"layers": 3, "width": 64, "head_width": 16, "patch_size": 8, "image_size": SIDE},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
_LOGIT_SCALE = 20.0
_CORNERS = (
    [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)],
    [(float(np.cos(angle)), float(np.sin(angle))) for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False)],
    [(-1.0, 1.0), (0.0, -1.0), (1.0, 1.0)],
    [
        *[(-0.35, -1.0), (0.35, -1.0), (0.35, -0.35), (1.0, -0.35), (1.0, 0.35), (0.35, 0.35)],
        *[(0.35, 1.0), (-0.35, 1.0), (-0.35, 0.35), (-1.0, 0.35), (-1.0, -0.35), (-0.35, -0.35)],
    ],
)
"""Of each shape, from its middle, in halves of its width."""
_COLORS = ((200, 40, 40), (40, 60, 200), (40, 170, 60), (220, 200, 50))
_MEAN, _STD = (
    torch.tensor(values).view(3, 1, 1) for values in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
)


class Shape(NamedTuple):
    """A shape in space: its number in SHAPES, and x, y, z of its middle, metres."""

    kind: int
    x: float
    y: float
    z: float


SCENES = (
    (Shape(RED, -1.2, 0.3, 4.5), Shape(BLUE, 2.2, -0.5, 7.0)),
    (Shape(BLUE, -1.3, -0.4, 4.5), Shape(RED, 2.0, 0.8, 7.0)),
    (Shape(GREEN, 0.8, 0.5, 4.0), Shape(YELLOW, -2.2, -1.0, 7.0)),
    (Shape(YELLOW, 1.0, 0.6, 4.5), Shape(GREEN, -2.0, 0.0, 6.5)),
)
"""What the decoder learns; each scene has its nearer shape first."""


def write_pair(folder: Path) -> None:
    """Train both, and write ``model.onnx`` and the text tower for it, ``text.onnx``."""
    clip = trained_clip(folder / "clip.pt", steps=150)
    export(trained_model(clip, folder / "clip.pt", SCENES, steps=160), folder / "model.onnx")
    export_text(clip, folder / "text.onnx", templates="none")


def drawn(shapes: Sequence[Shape], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture (SIDE, SIDE, 3) uint8 of shapes, and its depth (SIDE, SIDE) float32, metres."""
    image = np.full((SIDE, SIDE, 3), 128.0) + random.normal(0.0, 12.0, 3)
    depth = np.full((SIDE, SIDE), WALL_M, np.float32)
    for kind, x, y, z in sorted(shapes, key=lambda shape: -shape.z):
        u, v = CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy
        half = CAMERA.fx * WIDTH_M / 2 / z
        mask = np.zeros((SIDE, SIDE), np.uint8)
        points = np.array([(u + half * a, v + half * b) for a, b in _CORNERS[kind]])
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1)
        image[mask > 0] = np.array(_COLORS[kind]) + random.normal(0.0, 10.0, 3)
        depth[mask > 0] = z
    image += random.normal(0.0, 4.0, image.shape)
    return image.clip(0, 255).astype(np.uint8), depth


def scattered(random: np.random.Generator, most: int = 3) -> list[Shape]:
    """Return up to ``most`` shapes of different kinds at random places in view."""
    kinds = random.permutation(len(SHAPES))[: random.integers(0, most + 1)]
    shapes = []
    for kind in kinds:
        z = float(random.uniform(3.5, 8.0))
        reach = 0.5 * z * SIDE / CAMERA.fx - WIDTH_M / 2
        x, y = random.uniform(-reach, reach, 2)
        shapes.append(Shape(int(kind), float(x), float(y), z))
    return shapes


def _batch(
    scenes: Iterable[Sequence[Shape]], random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return normalised images, their depth, and 1 for each shape that they show, or for the wall alone."""
    images, depths, shown = [], [], []
    for shapes in scenes:
        image, depth = drawn(shapes, random)
        images.append(image)
        depths.append(depth)
        shown.append(np.zeros(len(SHAPES) + 1, np.float32))
        shown[-1][[shape.kind for shape in shapes] or [len(SHAPES)]] = 1.0
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return (pixels - _MEAN) / _STD, torch.from_numpy(np.stack(depths))[:, None], torch.from_numpy(np.stack(shown))


def trained_clip(file: Path, steps: int) -> Clip:
    """Train a CLIP on captioned pictures, write it in open_clip's format, and return what load_clip reads.

    Beside CLIP's own loss there is one of patches: without it nothing says what a patch means that the class token does
    not look at, and the wall would get the name of any shape. The real CLIP's many pictures teach it that.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    clip: Any = open_clip.CLIP(**_SETTINGS)
    settings = clip_settings(str(file), _SETTINGS)
    encoder = Encoder(replace(settings.encoder, trainable=True), settings.language)
    encoder.tower, encoder.projection = clip.visual, nn.Linear(settings.encoder.width, settings.embed_dim, bias=False)
    learnt = {*clip.parameters(), *encoder.parameters()}
    tokens = open_clip.tokenize([*SHAPES, WALL])
    optimizer = torch.optim.AdamW(learnt, lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        images, _, shown = _batch((scattered(random) for _ in range(16)), random)
        text = clip.encode_text(tokens, normalize=True)
        joint = encoder(images).joint
        # CLIP's own loss, of whole pictures and captions.
        logits = _LOGIT_SCALE * joint.embedding @ text.T
        loss = functional.cross_entropy(logits, shown / shown.sum(dim=1, keepdim=True))
        loss = loss + functional.cross_entropy(logits.T, (shown / shown.sum(dim=0).clamp(min=1)).T)
        # A caption fits if some patch shows it; the wall is in every picture.
        patches = (_LOGIT_SCALE * joint.dense @ text.T).softmax(dim=-1).amax(dim=(1, 2))
        everywhere = torch.cat([shown[:, :-1], torch.ones(len(shown), 1)], dim=1)
        loss = loss + 5 * functional.binary_cross_entropy(patches.clamp(1e-4, 1 - 1e-4), everywhere)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    clip.visual.proj.data = encoder.projection.weight.detach().T.contiguous()
    torch.save(clip.state_dict(), file)
    return load_clip(file, settings=_SETTINGS)


def trained_model(clip: Clip, state: Path, scenes: Sequence[Sequence[Shape]], steps: int) -> SpaceClip:
    """Return a model with the CLIP's tower, and a decoder that was trained on these scenes."""
    torch.manual_seed(0)
    random = np.random.default_rng(1)
    model = build(
        ModelConfig(
            name="toy",
            encoder=clip.settings.encoder,
            decoder=DecoderConfig(channels=(32, 16, 16), film_hidden=16, dropout=0.0, head="log"),
            input_size=(SIDE, SIDE),
            language=LanguageConfig(
                outputs=("embedding", "dense"),
                embed_dim=clip.settings.embed_dim,
                logit_scale=_LOGIT_SCALE,
                tower=clip.tower,
            ),
        )
    )
    with torch.no_grad():
        model.depth_head.depth.bias += float(np.log(WALL_M))
    load_pretrained(model.encoder, state)
    model.train()
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        images, depth, _ = _batch(scenes, random)
        loss = (model(images, output_size=(SIDE, SIDE)).depth.log() - depth.log()).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()
