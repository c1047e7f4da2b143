from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import save_file
from torch import nn

from space_clip_ros.errors import ModelError
from space_clip_ros.model import SpaceClip, build, save_checkpoint
from space_clip_ros.model.checkpoint import read_metadata
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.pretrained import load_pretrained
from space_clip_ros.model_config import AdapterConfig, DecoderConfig, EncoderConfig, ModelConfig

CLIP_TINY = EncoderConfig(width=32, heads=2, image_size=32)
SIGLIP_TINY = EncoderConfig(
    kind="siglip", width=32, heads=2, image_size=32, activation="gelu_tanh", layer_norm_eps=1e-6
)

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def clip() -> nn.Module:
    """A small complete CLIP by open_clip, including the text tower."""
    torch.manual_seed(3)
    vision = CLIPVisionCfg(layers=12, width=32, head_width=16, patch_size=16, image_size=32)
    text = CLIPTextCfg(context_length=4, vocab_size=16, width=16, heads=2, layers=1)
    return CLIP(embed_dim=8, vision_cfg=vision, text_cfg=text, quick_gelu=True).eval()


def own_context(clip: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The class token after the post-norm, before the projection, by open_clip's own code."""
    projection, clip.visual.proj = clip.visual.proj, None
    try:
        with torch.inference_mode():
            return clip.visual(images)
    finally:
        clip.visual.proj = projection


def write(state: Any, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return path


def training_checkpoint(state: State) -> dict[str, Any]:
    return {"epoch": 1, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}


@pytest.mark.parametrize("name", ["clip.safetensors", "clip.pt", "training.pt"])
def test_open_clip_files(clip: nn.Module, name: str, images: torch.Tensor, tmp_path: Path) -> None:
    state = dict(clip.state_dict())
    path = write(training_checkpoint(state) if name == "training.pt" else state, tmp_path / name)
    encoder = Encoder(CLIP_TINY)
    load_pretrained(encoder, path)
    torch.testing.assert_close(encoder(images).context, own_context(clip, images), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_openai_torchscript_archive(clip: nn.Module, images: torch.Tensor, tmp_path: Path) -> None:
    class Published(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = clip.visual

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.visual(images)

    path = tmp_path / "ViT.pt"
    torch.jit.trace(Published().eval(), images, check_trace=False).save(str(path))
    encoder = Encoder(CLIP_TINY)
    load_pretrained(encoder, path)
    torch.testing.assert_close(encoder(images).context, own_context(clip, images), rtol=1e-4, atol=1e-5)


def test_half_precision_files_become_single(clip: nn.Module, tmp_path: Path) -> None:
    path = write({name: tensor.half() for name, tensor in clip.state_dict().items()}, tmp_path / "half.safetensors")
    encoder = Encoder(CLIP_TINY)
    load_pretrained(encoder, path)
    assert encoder.tower.conv1.weight.dtype == torch.float32
    assert torch.equal(encoder.tower.conv1.weight, clip.visual.conv1.weight.half().float())


@pytest.mark.parametrize("prefix", ["visual.trunk.", ""], ids=["open_clip", "timm"])
def test_siglip_files(prefix: str, images: torch.Tensor, tmp_path: Path) -> None:
    source = Encoder(SIGLIP_TINY)
    state = {f"{prefix}{name}": tensor for name, tensor in source.tower.state_dict().items()}
    if prefix:
        state["text.transformer.weight"] = torch.zeros(2)
    path = write(state, tmp_path / "siglip.safetensors")
    encoder = Encoder(SIGLIP_TINY)
    load_pretrained(encoder, path)
    assert torch.equal(encoder(images).context, source(images).context)


@pytest.mark.parametrize("family", ["clip", "siglip"])
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_hugging_face_files(family: str, suffix: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    reference = request.getfixturevalue(f"{family}_reference")
    tensors = torch.load(reference.checkpoint, weights_only=True)["model"]
    state = {
        name.replace("clip_vision_model.", "vision_model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("clip_vision_model.")
    }
    others = {
        "text_model.final_layer_norm.weight": torch.ones(4),
        "text_model.encoder.layers.0.layer_norm1.weight": torch.ones(4),
        "visual_projection.weight": torch.zeros(8, 64),
        "logit_scale": torch.tensor(4.6),
        "vision_model.embeddings.position_ids": torch.arange(17)[None],
    }
    path = write({**state, **others}, tmp_path / f"model.{suffix}")
    encoder = Encoder(reference.model.config.encoder)
    load_pretrained(encoder, path)
    expected = torch.from_numpy(reference.numbers["pooled"])
    torch.testing.assert_close(encoder(reference.images).context, expected, rtol=1e-4, atol=1e-5)


MODEL_CFG = {"embed_dim": 8, "quick_gelu": True, "vision_cfg": {"head_width": 16, "width": 32, "patch_size": 16}}


@pytest.mark.parametrize("prefix", ["", "local-dir:"])
@pytest.mark.parametrize(
    "name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin"]
)
def test_a_models_folder(clip: nn.Module, name: str, prefix: str, images: torch.Tensor, tmp_path: Path) -> None:
    """As Hugging Face's cache and download keep it; other files may lie beside."""
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL_CFG, "preprocess_cfg": {}}))
    (tmp_path / "tokenizer.json").write_text("{}")
    write(dict(clip.state_dict()), tmp_path / name)
    encoder = Encoder(CLIP_TINY)
    load_pretrained(encoder, f"{prefix}{tmp_path}")
    torch.testing.assert_close(encoder(images).context, own_context(clip, images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_cfg": {**MODEL_CFG, "quick_gelu": False}}, "was trained with activation gelu, the settings make it "),
        (
            {"model_cfg": {**MODEL_CFG, "vision_cfg": {}}},
            "was trained with 64 channels a head, the settings make",
        ),
        ({"model_cfg": 3}, r"open_clip_config\.json: cannot be read \(.*; copy it again"),
        ({}, r"open_clip_config\.json: cannot be read \(KeyError: 'model_cfg'\)"),
    ],
)
def test_a_folders_settings_must_fit(clip: nn.Module, config: object, reason: str, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    write(dict(clip.state_dict()), tmp_path / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=reason):
        load_pretrained(Encoder(CLIP_TINY), tmp_path)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has none of open_clip_model\.safetensors, .*give the path"):
        load_pretrained(Encoder(CLIP_TINY), tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> tuple[SpaceClip, Path]:
    """A checkpoint of ours whose decoder differs from that of the models that load its tower."""
    torch.manual_seed(4)
    model = build(ModelConfig(encoder=CLIP_TINY, decoder=DecoderConfig((8, 8, 8, 8), 8), input_size=(32, 32)))
    save_checkpoint(model, tmp_path / "own.safetensors")
    return model, tmp_path / "own.safetensors"


@pytest.mark.parametrize("rank", [0, 2])
def test_the_tower_of_our_own_checkpoints(own: tuple[SpaceClip, Path], rank: int, images: torch.Tensor) -> None:
    """Loaded into a model with another decoder, with and without adapters, which stay unchanged."""
    source, path = own
    config = ModelConfig(
        encoder=dataclasses.replace(CLIP_TINY, adapters=AdapterConfig(rank=rank)),
        decoder=DecoderConfig((4, 4, 4, 4), 8),
        input_size=(32, 32),
    )
    model = build(config, pretrained=path)
    assert torch.equal(model.encoder(images).context, source.encoder(images).context)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heads": 4}, "own.safetensors: its tower has heads 2, the settings make it 4"),
        ({"activation": "gelu"}, "its tower has activation quick_gelu, the settings make it gelu"),
    ],
)
def test_our_own_checkpoint_with_other_settings(own: tuple[SpaceClip, Path], changes: dict, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_pretrained(Encoder(dataclasses.replace(CLIP_TINY, **changes)), own[1])


def test_our_own_checkpoint_with_a_damaged_header(own: tuple[SpaceClip, Path]) -> None:
    model, path = own
    save_file(model.state_dict(), path, metadata={**read_metadata(path), "space_clip.config": "{}"})
    with pytest.raises(ModelError, match="the configuration in its header is damaged"):
        load_pretrained(Encoder(CLIP_TINY), path)


def test_missing_extra_and_misshapen_tensors_are_named(clip: nn.Module, tmp_path: Path) -> None:
    state = dict(clip.state_dict())
    del state["visual.ln_post.bias"]
    state["visual.surprise"] = torch.zeros(1)
    state["visual.ln_pre.bias"] = torch.zeros(31)
    path = write(state, tmp_path / "clip.safetensors")
    with pytest.raises(ModelError) as caught:
        load_pretrained(Encoder(CLIP_TINY), path)
    said = str(caught.value)
    assert "missing: visual.ln_post.bias" in said
    assert "not expected: visual.surprise" in said
    assert "visual.ln_pre.bias (is [31], must be [32])" in said


def test_a_file_without_the_tower(clip: nn.Module, tmp_path: Path) -> None:
    path = write(dict(clip.state_dict()), tmp_path / "clip.safetensors")
    with pytest.raises(ModelError, match=r"holds no siglip vision tower: neither patch_embed\.proj\.weight"):
        load_pretrained(Encoder(SIGLIP_TINY), path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("openia", r"nor one of open_clip\'s weights for ViT-B-16-quickgelu \(openai, "),
        ("ViT-Q-99/openai", "none, as it has no model ViT-Q-99"),
        ("missing.pt", r"missing\.pt: cannot be read"),
        ("openai", "trained with 64 channels a head, the settings make it 16"),
    ],
)
def test_names_that_do_not_fit(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_pretrained(Encoder(CLIP_TINY), name)


@pytest.fixture
def wide() -> Encoder:
    """A tower with 64 channels a head, as all of open_clip's have."""
    return Encoder(EncoderConfig(width=64, heads=1, image_size=32))


def test_a_name_is_downloaded(wide: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = Encoder(wide.config)
    state = {f"visual.{name}": tensor for name, tensor in source.tower.state_dict().items()}
    path = write(state, tmp_path / "open_clip_model.safetensors")
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(open_clip, "download_pretrained", lambda details: asked.append(details) or str(path))
    load_pretrained(wide, "openai")
    assert asked[0]["hf_hub"] == "timm/vit_base_patch16_clip_224.openai/"
    assert torch.equal(wide.tower.conv1.weight, source.tower.conv1.weight)


def test_a_siglip_name_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    encoder, source = Encoder(SIGLIP_TINY), Encoder(SIGLIP_TINY)
    state = {f"visual.trunk.{name}": tensor for name, tensor in source.tower.state_dict().items()}
    path = write(state, tmp_path / "open_clip_model.safetensors")
    monkeypatch.setattr(open_clip, "download_pretrained", lambda details: str(path))
    load_pretrained(encoder, "ViT-B-16-SigLIP/webli")
    assert torch.equal(encoder.tower.pos_embed, source.tower.pos_embed)


def test_a_damaged_file(clip: nn.Module, tmp_path: Path) -> None:
    path = write(dict(clip.state_dict()), tmp_path / "clip.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"clip\.safetensors: is damaged"):
        load_pretrained(Encoder(CLIP_TINY), path)


def test_a_failed_download(wide: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(details: dict[str, Any]) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(open_clip, "download_pretrained", fail)
    with pytest.raises(ModelError, match=r"openai: could not be downloaded \(no route to host\); give the path"):
        load_pretrained(wide, "openai")


def test_weights_of_another_activation(wide: Encoder) -> None:
    with pytest.raises(ModelError, match="trained with activation gelu, the settings make it quick_gelu"):
        load_pretrained(wide, "ViT-B-16/laion400m_e32")
