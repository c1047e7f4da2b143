"""Loads pretrained weights of the vision tower by open_clip's names, or from a local file in any usual layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import open_clip
import torch
from torch import Tensor, nn

from space_clip_ros.errors import ModelError, describe, first_line
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.joint_features import PROJECTION
from space_clip_ros.model.matching import match_tensors
from space_clip_ros.model.reference_names import TensorSource, tower_source
from space_clip_ros.model.tensor_files import (
    CONFIG_KEY,
    is_safetensors,
    read_safetensors,
    read_safetensors_metadata,
    read_torch,
    state_dictionary,
)
from space_clip_ros.model_config import EncoderConfig

_DEFAULT_MODEL = "ViT-B-16-quickgelu"
_FILE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
_FOLDER_PREFIX = "local-dir:"
_FOLDER_CONFIG = "open_clip_config.json"
_FOLDER_WEIGHTS = (
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"),
    *("model.safetensors", "pytorch_model.bin"),
)
_OPEN_CLIP_HEAD_WIDTH = 64
_NOT_IN_SHAPES = ("kind", "heads", "activation", "layer_norm_eps")

_HUGGING_FACE_PATCHES = "embeddings.patch_embedding.weight"
_OWN_PATCHES = {"clip": "conv1.weight", "siglip": "patch_embed.proj.weight"}
_STEM = "stem."
# Tensors under the tower's prefix that do not belong to it: the projection, and an index buffer of old transformers.
_NOT_TOWER = ("proj", "embeddings.position_ids")


def load_pretrained(encoder: Encoder, source: str | Path) -> None:
    """Fill the tower with pretrained weights; adapters stay as they are.

    Args:
        encoder: the tower to fill, in place.
        source: a local file, or a name that open_clip knows: ``MODEL/TAG`` (for example ``ViT-B-16-SigLIP/webli``),
            or ``TAG`` alone (for example ``openai``) for ``ViT-B-16-quickgelu``. Weights chosen by name are downloaded
            once, to open_clip's cache. A file may be open_clip's (``.safetensors``, ``.pt``, training checkpoint,
            OpenAI's TorchScript archive), timm's, Hugging Face's CLIPModel or SiglipModel, or a checkpoint of this
            package, whose decoder is ignored; a convolutional stem that it lacks stays as it is. A folder is one as
            Hugging Face keeps open_clip's models (``open_clip_config.json`` with its weights, as open_clip's
            ``local-dir:`` takes it) or transformers'.

    Raises:
        ModelError: no such name or file, the download failed, the file is damaged or holds no tower of this kind, or
            its tensors do not fit the encoder's settings; the error names them. Likewise if the encoder has a
            projection to CLIP's joint space and the file has none.
    """
    fill_encoder(encoder, *read_weights(source, encoder.config))


def read_weights(source: str | Path, config: EncoderConfig) -> tuple[Path, dict[str, Tensor]]:
    """Return the file of pretrained weights and all its tensors, for a tower of these settings.

    Args:
        source: as :func:`load_pretrained` takes it.
        config: the tower's settings.

    Raises:
        ModelError: as :func:`load_pretrained`.
    """
    path = Path(str(source).removeprefix(_FOLDER_PREFIX))
    if path.is_dir():
        path = _weights_in(path, config)
    elif not is_file_name(source):
        path = _download(str(source), config)
    return path, _read(path, config)


def fill_encoder(encoder: Encoder, path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fill the tower, and the projection if there is one, from a file's tensors.

    Raises:
        ModelError: as :func:`load_pretrained`.
    """
    wanted = encoder.frozen_state()
    if not any(_STEM in name for name in tensors):
        # A tower trained without the convolutional stem; a new stem adds nothing at first.
        wanted = {name: tensor for name, tensor in wanted.items() if not name.startswith(_STEM)}
    prefix, sources = _locate(path, tensors, wanted, encoder.config.kind)
    tower = {name: tensor for name, tensor in tensors.items() if _in_tower(name, prefix)}
    encoder.tower.load_state_dict({**encoder.tower.state_dict(), **match_tensors(path, tower, wanted, sources)})
    if encoder.projection is not None:
        _fill_projection(encoder.projection, path, tensors, prefix)


def projection_length(path: Path, tensors: Mapping[str, Tensor]) -> int:
    """Return the length of the vectors that a file's CLIP projects to.

    Raises:
        ModelError: the file has no projection.
    """
    names = (_HUGGING_FACE_PATCHES, _OWN_PATCHES["clip"])
    prefix = next((found for name in names if (found := _prefix_before(name, tensors)) is not None), "")
    return len(_projection(path, tensors, prefix))


def _projection(path: Path, tensors: Mapping[str, Tensor], prefix: str) -> Tensor:
    """Return a file's projection to the joint space, (length, width)."""
    for name in (
        f"{prefix.removesuffix('vision_model.')}visual_projection.weight",
        f"{prefix.removesuffix('tower.')}{PROJECTION}weight",
    ):
        if name in tensors:
            return tensors[name]
    if f"{prefix}proj" in tensors:
        return tensors[f"{prefix}proj"].T
    raise ModelError(
        path,
        "has no projection to the space that text shares, which language features need",
        "give a whole CLIP, such as 'openai'",
    )


@torch.no_grad()
def _fill_projection(projection: nn.Linear, path: Path, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Fill a projection from a file whose names of the tower begin with ``prefix``."""
    found = _projection(path, tensors, prefix)
    if found.shape != projection.weight.shape:
        length, width = found.shape
        raise ModelError(
            path,
            f"projects {width} numbers to {length}, the settings make it {projection.in_features} to "
            f"{projection.out_features}",
            f"set model.language.embed_dim to {length}",
        )
    projection.weight.copy_(found)


def is_file_name(source: str | Path) -> bool:
    """Return whether :func:`load_pretrained` takes a source as a file or folder, not as one of open_clip's names."""
    path = Path(str(source).removeprefix(_FOLDER_PREFIX))
    return path.exists() or path.suffix in _FILE_SUFFIXES


def _read(path: Path, config: EncoderConfig) -> dict[str, Tensor]:
    if is_safetensors(path):
        _check_carried(path, read_safetensors_metadata(path), config)
        return read_safetensors(path)
    return state_dictionary(path, read_torch(path), ("state_dict", "model"))


def _locate(
    path: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], kind: str
) -> tuple[str, dict[str, TensorSource]]:
    """Return the prefix of the tower's names in the file, and where each of our tensors lies."""
    prefix = _prefix_before(_HUGGING_FACE_PATCHES, tensors)
    if prefix is not None:
        return prefix, {name: tower_source(name, kind, prefix) for name in wanted}
    prefix = _prefix_before(_OWN_PATCHES[kind], tensors)
    if prefix is not None:
        return prefix, {name: TensorSource((prefix + name,)) for name in wanted}
    raise ModelError(
        path,
        f"holds no {kind} vision tower: neither {_OWN_PATCHES[kind]} (open_clip) nor {_HUGGING_FACE_PATCHES} "
        f"(Hugging Face) is among its {len(tensors)} tensors",
    )


def _prefix_before(name: str, tensors: Mapping[str, Tensor]) -> str | None:
    found = (key.removesuffix(name) for key in tensors if key == name or key.endswith(f".{name}"))
    return min(found, key=len, default=None)


def _in_tower(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name.removeprefix(prefix) not in _NOT_TOWER


def _weights_in(folder: Path, config: EncoderConfig) -> Path:
    """Return the weights in a model's folder, after checking that its settings fit."""
    found = next((folder / name for name in _FOLDER_WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise ModelError(folder, f"has none of {', '.join(_FOLDER_WEIGHTS)}", "give the path of the weights' file")
    settings = folder / _FOLDER_CONFIG
    if settings.is_file():
        try:
            model = json.loads(settings.read_text(encoding="utf-8"))["model_cfg"]
            _check_settings(str(folder), model, {}, config)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(settings, f"cannot be read ({describe(error)})", "copy it again") from error
    return found


def _download(name: str, config: EncoderConfig) -> Path:
    """Download the weights that open_clip knows by a name, after checking that they fit the settings."""
    model, _, tag = name.rpartition("/")
    model = model or _DEFAULT_MODEL
    details = open_clip.get_pretrained_cfg(model, tag)
    if not details:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or f"none, as it has no model {model}"
        raise ModelError(name, f"is neither a file nor one of open_clip's weights for {model} ({known})")
    _check_settings(name, open_clip.get_model_config(model) or {}, details, config)
    try:
        return Path(open_clip.download_pretrained(details))
    except Exception as error:  # open_clip passes on whatever its HTTP libraries raise
        reason = f"could not be downloaded ({first_line(error)})"
        raise ModelError(name, reason, "give the path of a local file instead") from error


def _check_carried(path: Path, metadata: Mapping[str, str], config: EncoderConfig) -> None:
    """Compare the settings in our own checkpoint's header with the encoder's where tensor shapes cannot differ."""
    if CONFIG_KEY not in metadata:
        return
    try:
        theirs = json.loads(metadata[CONFIG_KEY])["encoder"]
        differing = [
            f"{name} {theirs[name]}, the settings make it {getattr(config, name)}"
            for name in _NOT_IN_SHAPES
            if theirs[name] != getattr(config, name)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(path, "the configuration in its header is damaged", "copy or create the file again") from error
    if differing:
        raise ModelError(path, f"its tower has {'; '.join(differing)}")


def _check_settings(
    name: str, model: Mapping[str, Mapping[str, object]], details: Mapping[str, object], config: EncoderConfig
) -> None:
    """Compare open_clip's settings with the encoder's where tensor shapes cannot differ."""
    if config.kind != "clip":
        return
    activation = "quick_gelu" if details.get("quick_gelu") or model.get("quick_gelu") else "gelu"
    head_width = model["vision_cfg"].get("head_width", _OPEN_CLIP_HEAD_WIDTH)
    for what, ours, theirs in (
        (f"{head_width} channels a head", config.width // config.heads, head_width),
        (f"activation {activation}", config.activation, activation),
    ):
        if ours != theirs:
            raise ModelError(name, f"was trained with {what}, the settings make it {ours}")
