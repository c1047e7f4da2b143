"""Checkpoints, and packages compiled of them, on PyTorch."""

from __future__ import annotations

from space_clip_ros.inference.model_files import CHECKPOINT_SUFFIXES, PACKAGE_SUFFIXES, is_package
from space_clip_ros.inference.registry import BackendFactory, Opener, register


def _load() -> Opener:
    from space_clip_ros.inference.torch_backend import TorchBackend

    return lambda request: TorchBackend(request.file, request.device, request.threads, request.precision)


register(
    BackendFactory(
        name="torch",
        suffixes=CHECKPOINT_SUFFIXES + PACKAGE_SUFFIXES,
        devices=("cuda", "cpu"),
        rank=10,
        package="torch",
        install="torch",
        load=_load,
        has_own_device=is_package,
    )
)
