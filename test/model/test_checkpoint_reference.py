"""Checkpoints of the reference implementation: converted to ours, or refused with errors in its own names."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from space_clip_ros.errors import InputError, ModelError
from space_clip_ros.model import SpaceClip, load_checkpoint, save_checkpoint
from space_clip_ros.model_config import EncoderConfig, ModelConfig

State = dict[str, torch.Tensor]


def same_tensors(first: SpaceClip, second: SpaceClip) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def reference_state(clip_reference: Any) -> State:
    return torch.load(clip_reference.checkpoint, weights_only=True)["model"]


def save_torch(content: object, folder: Path) -> Path:
    path = folder / "reference.pt"
    torch.save(content, path)
    return path


def test_configuration_is_read_off_the_shapes(reference: Any) -> None:
    config = reference.model.config
    assert config.encoder == EncoderConfig(**reference.encoder)
    assert config.decoder.channels == (32, 24, 16, 8)
    assert config.decoder.film_hidden == 32
    assert config.decoder.auxiliary_heads
    assert config.input_size == (64, 64)
    assert config.name == reference.checkpoint.stem
    siglip = config.encoder.kind == "siglip"
    assert config.mean == ((0.5, 0.5, 0.5) if siglip else ModelConfig().mean)
    assert config.std == ((0.5, 0.5, 0.5) if siglip else ModelConfig().std)


def test_converted_reference_is_the_same_model(reference: Any, tmp_path: Path) -> None:
    save_checkpoint(reference.model, tmp_path / "ours.safetensors")
    assert same_tensors(load_checkpoint(tmp_path / "ours.safetensors"), reference.model)


def wrapped(state: State) -> State:
    return {f"module.{name}": tensor for name, tensor in state.items()}


def nested(state: State) -> State:
    named = {name.replace("clip_vision_model.", "clip_vision_model.vision_model."): t for name, t in state.items()}
    return {**named, "clip_vision_model.vision_model.embeddings.position_ids": torch.arange(17)[None]}


@pytest.mark.parametrize("variant", [wrapped, nested, lambda state: wrapped(nested(state))])
@pytest.mark.parametrize("bare", [True, False])
def test_other_spellings_of_the_reference_file(
    clip_reference: Any, reference_state: State, variant: Callable[[State], State], bare: bool, tmp_path: Path
) -> None:
    state = variant(reference_state)
    path = save_torch(state if bare else {"model": state, "epoch": 3}, tmp_path)
    assert same_tensors(load_checkpoint(path, encoder=clip_reference.encoder), clip_reference.model)


@pytest.mark.parametrize("key", ["ema", "model_ema"])
def test_averaged_weights_are_read_when_asked_for(
    clip_reference: Any, reference_state: State, key: str, tmp_path: Path
) -> None:
    averaged = {**reference_state, "depth_prediction_head.3.bias": torch.tensor([7.0])}
    path = save_torch({"model": reference_state, key: averaged}, tmp_path)
    assert same_tensors(load_checkpoint(path, clip_reference.encoder), clip_reference.model)
    loaded = load_checkpoint(path, clip_reference.encoder, weights="ema")
    assert loaded.depth_head.depth.bias.item() == 7.0


def test_averaged_weights_that_are_not_there(clip_reference: Any, tmp_path: Path) -> None:
    ours = tmp_path / "ours.safetensors"
    save_checkpoint(clip_reference.model, ours)
    with pytest.raises(ModelError, match=r"no state dictionary as ema or model_ema; it holds: .*model"):
        load_checkpoint(clip_reference.checkpoint, clip_reference.encoder, weights="ema")
    with pytest.raises(ModelError, match="holds one set of weights"):
        load_checkpoint(ours, weights="ema")
    with pytest.raises(InputError, match="must be one of model, ema, got 'best'"):
        load_checkpoint(ours, weights="best")


def test_reference_names_are_used_for_what_is_wrong(
    clip_reference: Any, reference_state: State, tmp_path: Path
) -> None:
    layer = "clip_vision_model.encoder.layers.3."
    del reference_state[f"{layer}self_attn.v_proj.weight"]
    reference_state["text_model.embedding"] = torch.zeros(2)
    reference_state[f"{layer}mlp.fc2.bias"] = torch.zeros(63)
    path = save_torch({"model": reference_state}, tmp_path)
    with pytest.raises(ModelError) as caught:
        load_checkpoint(path, clip_reference.encoder)
    said = str(caught.value)
    assert f"missing: {layer}self_attn.v_proj.weight" in said
    assert "not expected: text_model.embedding" in said
    assert f"of another shape: {layer}mlp.fc2.bias (is [63], must be [64])" in said


def test_default_encoder_is_vit_b16_and_does_not_fit_a_small_one(clip_reference: Any) -> None:
    with pytest.raises(ModelError) as caught:
        load_checkpoint(clip_reference.checkpoint)
    said = str(caught.value)
    assert "clip_vision_model.embeddings.position_embedding.weight is [17, 64], must be [197, 768]" in said
    assert "give the settings it was made with as encoder" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "siglip"}, "encoder.kind is 'siglip'"),
        ({"mlp_ratio": 2}, r"mlp\.fc1\.weight is \[256, 64\], must be \[128, 64\]"),
        ({"image_size": 32}, r"position_embedding\.weight is \[17, 64\], must be \[5, 64\]"),
        ({"heads": 5}, "heads: must divide width 64, got 5"),
        ({"depth": 12}, "depth: no such setting"),
    ],
)
def test_encoder_settings_that_do_not_fit(clip_reference: Any, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_checkpoint(clip_reference.checkpoint, {**clip_reference.encoder, **change})


def test_the_family_follows_from_the_names(siglip_reference: Any) -> None:
    sizes = {"width": 64, "heads": 4, "image_size": 64}
    loaded = load_checkpoint(siglip_reference.checkpoint, encoder=sizes)
    assert loaded.config.encoder == siglip_reference.model.config.encoder


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"model": {}}, "no state dictionary as model; it holds: model"),
        ({"model": {"a": 1}}, "no state dictionary"),
        ([1, 2], "it holds: a list"),
        ({"weights": torch.zeros(1)}, "is not a SPACE-CLIP checkpoint"),
    ],
)
def test_not_a_checkpoint(content: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said):
        load_checkpoint(save_torch(content, tmp_path))


@pytest.mark.parametrize("content", [b"", b"# Read me\n", b"PK\x03\x04 no archive", b'{"json": true}'])
def test_not_a_torch_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "reference.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"reference\.pt: is (damaged|not a checkpoint)"):
        load_checkpoint(path)


def test_truncated_reference(clip_reference: Any, tmp_path: Path) -> None:
    path = tmp_path / "reference.pt"
    path.write_bytes(clip_reference.checkpoint.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"reference\.pt: is damaged"):
        load_checkpoint(path)


class Trap:
    """Pickles as a call that creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_pickled_code_is_never_run(write: Callable[[object, Path], None], tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    write({"model": Trap(sprung)}, tmp_path / "evil.pt")
    with pytest.raises(ModelError, match=r"holds objects of .*getattr.*, refused because reading them would run code"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not sprung.exists()


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_the_classes_that_are_refused_are_named(write: Callable[[object, Path], None], tmp_path: Path) -> None:
    """A training script's arguments beside the weights, and a whole pickled module: what people most often share."""
    write({"model": {}, "args": argparse.Namespace(lr=1e-4)}, tmp_path / "training.pt")
    with pytest.raises(ModelError, match=r"training\.pt: holds objects of argparse\.Namespace, refused .*state_dict"):
        load_checkpoint(tmp_path / "training.pt")
    write(torch.nn.Sequential(torch.nn.Linear(2, 2)), tmp_path / "module.pt")
    with pytest.raises(ModelError, match=r"module\.pt: holds objects of torch\.nn\.modules\.") as caught:
        load_checkpoint(tmp_path / "module.pt")
    assert "\n" not in str(caught.value)


def test_what_is_no_pickle_names_no_class(tmp_path: Path) -> None:
    (tmp_path / "page.pt").write_bytes(b"<!DOCTYPE html><html>404</html>")
    with pytest.raises(ModelError, match=r"page\.pt: is not a checkpoint that PyTorch wrote"):
        load_checkpoint(tmp_path / "page.pt")


def test_decoder_settings_by_the_references_own_names(switched: Any) -> None:
    loaded = load_checkpoint(switched.checkpoint, switched.encoder, switched.decoder)
    assert loaded.config.states == (
        tuple(switched.decoder["main_path_indices"]),
        tuple(switched.decoder["structural_path_indices"]),
    )
    assert bool(loaded.decoder.film) == switched.decoder["use_film"]


def test_states_left_out_are_the_references_own_whatever_the_depth(
    clip_reference: Any, reference_state: State, tmp_path: Path
) -> None:
    """In a deeper tower, the states that an empty setting stands for would be others."""
    assert clip_reference.model.config.decoder.semantic_states == ()
    layer = "clip_vision_model.encoder.layers."
    for name in [name for name in reference_state if name.startswith(f"{layer}11.")]:
        for deeper in (12, 13, 14, 15):
            reference_state[name.replace(f"{layer}11.", f"{layer}{deeper}.")] = reference_state[name]
    path = save_torch({"model": reference_state}, tmp_path)
    deep = load_checkpoint(path, {**clip_reference.encoder, "layers": 16})
    assert deep.config.states == ((12, 9, 6, 3), (2, 1, 0))
    save_checkpoint(deep, tmp_path / "ours.safetensors")
    assert load_checkpoint(tmp_path / "ours.safetensors").config == deep.config


def without(state: State, *prefixes: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}


def test_a_checkpoint_without_a_structural_pathway(other_states: Any, tmp_path: Path) -> None:
    """The blocks' first convolutions then see no edges, and their gates for them are missing."""
    state = without(torch.load(other_states.checkpoint, weights_only=True)["model"], "structural_")
    for index, count in enumerate(other_states.decoder["decoder_channels"]):
        fused = f"main_decoder_blocks.{index}.fusion_conv.0.weight"
        state[fused] = state[fused][:, : 2 * count]
        state = without(state, f"main_decoder_blocks.{index}.skip_struct_gate.")
    path = save_torch({"model": state}, tmp_path)
    settings = {**other_states.decoder, "use_structural_pathway": False}
    model = load_checkpoint(path, other_states.encoder, settings)
    assert not model.config.decoder.use_structural_pathway
    assert model.config.states == ((11, 8, 5, 2), ())
    with torch.inference_mode():
        out = model(torch.from_numpy(other_states.numbers["input"]), return_intermediates=True)
    assert out.depth.isfinite().all() and out.intermediates["structural_decoder"] == ()


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        ({"semantic_states": [11, 8, 5]}, "decoder: semantic_states: must be empty or 4"),
        ({"structural_states": [4, 3]}, r"has 3 structural path projections, and decoder\.structural_states \[4, 3\]"),
        ({"semantic_states": [13, 8, 5, 2]}, r"a tower of 12 layers has no such state, got \[13, 8, 5, 2\]"),
        ({"channels": [24, 16, 12, 10]}, r"its tensors say \(24, 16, 12, 8\)"),
        ({"use_film": False}, "decoder.use_film is False, its tensors say True"),
        ({"main_indices": [11]}, "decoder: main_indices: no such setting"),
    ],
)
def test_decoder_settings_that_do_not_fit(other_states: Any, decoder: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_checkpoint(other_states.checkpoint, other_states.encoder, decoder)


def test_our_files_must_agree_with_decoder_settings(other_states: Any, tmp_path: Path) -> None:
    model = load_checkpoint(other_states.checkpoint, other_states.encoder, other_states.decoder)
    save_checkpoint(model, tmp_path / "ours.safetensors")
    agreeing = {"semantic_states": (11, 8, 5, 2), "structural_states": [4, 3, 1]}
    assert same_tensors(load_checkpoint(tmp_path / "ours.safetensors", decoder=agreeing), model)
    with pytest.raises(ModelError, match=r"its decoder settings, and .*semantic_states is \[11, 8, 5, 2\], not \[12"):
        load_checkpoint(tmp_path / "ours.safetensors", decoder={"semantic_states": [12, 9, 6, 3]})


def test_a_file_that_names_a_tower(clip_reference: Any) -> None:
    with pytest.raises(ModelError, match=r"position_embedding\.weight is \[17, 64\], must be \[257, 1024\]"):
        load_checkpoint(clip_reference.checkpoint, {"tower": "ViT-L-14-quickgelu"})
