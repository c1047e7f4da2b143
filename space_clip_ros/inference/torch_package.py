"""Packages: a network and its weights, compiled ahead of time by PyTorch (AOTInductor) for one machine and image size.

A package is PyTorch's own ``.pt2`` archive with one more file, which holds the metadata of an exported file and what
the code was compiled for. The whole is checked before any code is loaded: PyTorch itself loads damaged code, and code
with instructions that the processor lacks ends the process.
"""

from __future__ import annotations

import json
import platform
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from space_clip_ros.errors import BackendError, ModelError, first_line
from space_clip_ros.inference.cpu import features
from space_clip_ros.inference.metadata import OnnxMetadata
from space_clip_ros.inference.torch_device import torch_device
from space_clip_ros.inference.torch_runner import Compute

_OWN_FILE = "extra/space_clip.json"
_VECTOR_INSTRUCTIONS = ("sse", "avx", "fma", "f16c", "bmi", "amx", "vaes", "vpclmul", "gfni", "asimd", "sve", "i8mm")
_REMEDY = "export the checkpoint again on a machine like this one, with the same PyTorch"


@dataclass(frozen=True)
class PackageTarget:
    """What a package was compiled for.

    Attributes:
        pytorch: its whole version.
        machine: the processor's architecture, such as x86_64.
        instructions: the processor's vector instructions, as Linux names them; the compiler may have used any.
        device: cpu or cuda.
        compute_capability: the GPU's, ``major.minor``; empty for the CPU.
        gpu: the GPU's name; another one of the same compute capability runs the package, too.
    """

    pytorch: str
    machine: str
    instructions: tuple[str, ...]
    device: str
    compute_capability: str = ""
    gpu: str = ""

    @classmethod
    def here(cls, device: torch.device) -> PackageTarget:
        """Return what a package is compiled for here."""
        known = sorted(one for one in features() if one.startswith(_VECTOR_INSTRUCTIONS))
        here = (str(torch.__version__), platform.machine(), tuple(known), device.type)
        if device.type == "cpu":
            return cls(*here)
        gpu = torch.cuda.get_device_properties(device)
        return cls(*here, f"{gpu.major}.{gpu.minor}", gpu.name)

    def __str__(self) -> str:
        """Say it in words."""
        gpu = f", {self.gpu} (compute capability {self.compute_capability})" if self.gpu else ", its CPU"
        return f"PyTorch {self.pytorch} on {self.machine}{gpu}"

    def problems(self, here: PackageTarget) -> Iterator[str]:
        """Yield each reason why the code does not run on another machine, ``here``."""
        if self.pytorch != here.pytorch:
            yield f"was compiled with PyTorch {self.pytorch}, and this is {here.pytorch}"
        if self.machine != here.machine:
            yield f"was compiled for {self.machine}, and this is {here.machine}"
        elif missing := sorted(set(self.instructions) - set(here.instructions)):
            yield f"may use instructions that this processor lacks ({', '.join(missing)})"
        if self.compute_capability != here.compute_capability:
            theirs = f"a GPU of compute capability {self.compute_capability} ({self.gpu})"
            yield f"was compiled for {theirs}, and this is {here.compute_capability} ({here.gpu})"


def write_package(compiled: Path, file: Path, metadata: OnnxMetadata, target: PackageTarget) -> None:
    """Write a package.

    Args:
        compiled: what ``torch._inductor.aoti_compile_and_package`` wrote.
        file: the package, which is overwritten.
        metadata: of the model.
        target: what it was compiled for.
    """
    shutil.copyfile(compiled, file)
    with zipfile.ZipFile(file, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        content = {"model": metadata.to_properties(), "target": asdict(target)}
        archive.writestr(f"{root}/{_OWN_FILE}", json.dumps(content))


def read_package(file: Path) -> tuple[OnnxMetadata, PackageTarget]:
    """Return a package's metadata and what it was compiled for; no code is loaded.

    Raises:
        ModelError: the file is damaged, or not a package of ours.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile("its checksums do not fit")
            own = [name for name in archive.namelist() if name.partition("/")[2] == _OWN_FILE]
            content: Any = json.loads(archive.read(own[0])) if own else None
    except Exception as error:  # zipfile raises errors of many kinds for damaged bytes
        raise ModelError(file, f"is not a whole package ({error})", "copy it again, or export it again") from error
    if content is None:
        raise ModelError(file, "is another program's package", "'space_clip export' writes those for this one")
    try:
        parts = content["target"]
        target = PackageTarget(**{**parts, "instructions": tuple(parts["instructions"])})
        return OnnxMetadata.from_properties(content["model"], file), target
    except (KeyError, TypeError) as error:
        raise ModelError(file, f"its metadata is damaged ({error})", "export it again") from error


class PackagedNetwork:
    """A network in a package. It takes one image at a time, of one size, on the kind of device it was compiled for.

    Attributes:
        device: where it runs.
        config: of the model.
        precision: fp32 or fp16.
        size: height and width of its images, pixels.
        batch: images per run.
    """

    def __init__(self, file: Path, device: str) -> None:
        """Check that a package fits this machine, and load it.

        Args:
            file: written by ``space_clip export``.
            device: auto, or the kind of device that the package was compiled for, for example cuda or cuda:N.

        Raises:
            ModelError: the file is damaged, or not a package of ours.
            BackendError: it was compiled for another device, machine or PyTorch, or PyTorch cannot load it.
        """
        metadata, target = read_package(file)
        self.device = _device(file, target, device)
        if problems := list(target.problems(PackageTarget.here(self.device))):
            raise BackendError(file, "; ".join(problems), _REMEDY)
        self.config, self.precision = metadata.config, metadata.precision
        self.size, self.batch = metadata.size, metadata.batch
        self._file, self._metadata = file, metadata
        self._compiled = _loaded(file, self.device)

    def computation(self, batch: int, height: int, width: int) -> Compute:
        """Return a function from (B, H, W, 3) uint8 RGB to each image's maps in one row, (B, numbers) float32.

        Raises:
            InputError: the package takes another size or number of images.
        """
        self._metadata.check_images(self._file, batch, height, width)
        return self._compiled


def _device(file: Path, target: PackageTarget, asked: str) -> torch.device:
    if asked.partition(":")[0] not in ("auto", target.device):
        raise BackendError(
            f"device {asked}", f"{file} was compiled for {target.device}", f"give device {target.device} or auto"
        )
    if target.device == "cuda" and not torch.cuda.is_available():
        raise BackendError(file, f"was compiled for a GPU ({target.gpu}), and PyTorch sees none here", _REMEDY)
    return torch_device(target.device if asked == "auto" else asked)


def _loaded(file: Path, device: torch.device) -> Compute:
    # Imported here, since it takes a while and checkpoints do not need it.
    from torch._inductor import aoti_load_package, config

    index = -1 if device.index is None else device.index
    try:
        # Otherwise PyTorch compiles a small program to learn which instructions there are. A run that itself takes
        # turns with others cannot be part of a CUDA graph.
        with config.patch({"cpp.vec_isa_ok": True}):
            compiled: Compute = aoti_load_package(str(file), run_single_threaded=True, device_index=index)
    except RuntimeError as error:
        raise BackendError(file, f"PyTorch cannot load it ({first_line(error)})", _REMEDY) from error
    return compiled
