"""Compiles a model ahead of time with PyTorch's AOTInductor, into a package for one machine and image size.

It is the pipeline that PyTorch runs for a checkpoint on the same device. The compiler merges steps that a GPU would
launch as separate kernels, such as sums, norms and conversions, and nothing is compiled on the robot.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor, nn

from space_clip_ros import __version__
from space_clip_ros.errors import ExportError, InputError, first_line
from space_clip_ros.export.language_proof import Vectors
from space_clip_ros.export.precision import DriveFrames, Proof, check_differences, judged
from space_clip_ros.export.proof import compare
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.metadata import OnnxMetadata
from space_clip_ros.inference.torch_backend import TorchBackend, joined, pipeline, prepare_for_gpu
from space_clip_ros.inference.torch_device import torch_device
from space_clip_ros.inference.torch_package import PackageTarget, write_package
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.image_to_depth import ImageToEstimate

_FIRST_PYTORCH = (2, 8)
"""Earlier ones cannot load a package into a CUDA graph."""


def check_package(size: tuple[int, int] | None, batch: int | None, precision: str) -> None:
    """Refuse requests that no package can meet.

    Raises:
        InputError: no image size, several images per run, int8, or fp16 without a GPU; or PyTorch is too old.
    """
    if tuple(map(int, torch.__version__.split(".")[:2])) < _FIRST_PYTORCH:
        raise InputError("a package", f"needs PyTorch 2.8 or later, and this is {torch.__version__}", "update it")
    if size is None:
        raise InputError("a package", "takes images of one size", "give --height and --width")
    if batch not in (None, 1):
        raise InputError("--batch", f"a package takes one image at once, not {batch}", "leave it out")
    if precision == "int8":
        raise InputError("--precision", "a package is in fp32 or fp16", "export an .onnx file for int8")
    if precision == "fp16" and torch_device("auto").type == "cpu":
        raise InputError(
            "--precision",
            "PyTorch runs fp16 on a GPU only, and sees none here",
            "give --precision fp32, or export on a machine with the robot's kind of GPU",
        )


class PackageBuild:
    """A model as a package for the GPU that PyTorch uses here, or else for the processor.

    Attributes:
        metadata: of the file.
        rounds: how often each trial image is compared.
        target: what it was compiled for, in words.
    """

    rounds = 1

    def __init__(self, model: SpaceClip, metadata: OnnxMetadata, compiled: Path) -> None:
        """Compile.

        Args:
            model: in evaluation mode, on the CPU; not changed.
            metadata: with one image size.
            compiled: where PyTorch writes its archive; ends in .pt2.

        Raises:
            ExportError: PyTorch cannot compile it.
        """
        created_with = f"space_clip_ros {__version__}, torch {torch.__version__}"
        self.metadata = dataclasses.replace(metadata, created_with=created_with)
        self._device, self._compiled = torch_device("auto"), compiled
        self._target = PackageTarget.here(self._device)
        self.target = str(self._target)
        self._compile(copy.deepcopy(model))

    def _compile(self, model: SpaceClip) -> None:
        # Imported here, since it takes a while and other exports do not need it.
        from torch._inductor import aoti_compile_and_package

        size = self.metadata.size
        assert size is not None
        model = model.to(self._device)
        if self._device.type == "cuda":
            prepare_for_gpu(model, half=self.metadata.precision == "fp16")
        image = torch.zeros((1, *size, 3), dtype=torch.uint8, device=self._device)
        # PyTorch warns about its own use of itself.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                program = torch.export.export(_Joined(pipeline(model, size)), (image,))
                # The number of threads is the user's, not that of the machine which compiles.
                aoti_compile_and_package(
                    program, package_path=str(self._compiled), inductor_configs={"cpp.dynamic_threads": True}
                )
            except RuntimeError as error:
                raise ExportError(
                    f"PyTorch cannot compile it ({first_line(error)})",
                    "",
                    "a package needs a C++ compiler such as g++, and for a GPU Triton",
                ) from error

    def write(self, file: Path, metadata: OnnxMetadata) -> None:
        """Write the package with metadata."""
        write_package(self._compiled, file, metadata, self._target)

    def prove(
        self,
        file: Path,
        model: SpaceClip,
        trials: Sequence[Rgb],
        evidence: DriveFrames | None,
        advance: Callable[[], None],
        queries: Vectors | None,
    ) -> Proof:
        """Compare a written package, run by the backend, with its model; as the graphs' proof does.

        Raises:
            ExportError: it is beyond a tolerance, with the numbers; or the model's depth proves nothing.
        """
        with closing(TorchBackend(file, str(self._device))) as backend:

            def run(images: Rgb) -> dict[str, Depth]:
                (maps,), _ = backend.estimate(list(images))
                return {name: one[None] for name, one in maps.items()}

            differences = compare(run, 1, model, trials, advance, queries)
            check_differences(differences, self.metadata.precision, "the package")
            abs_rel = None if evidence is None else judged(run, self.metadata, model, evidence, advance)
        return Proof(differences.depth, abs_rel, None, differences.uncertainty, differences.language)


class _Joined(nn.Module):
    """Joins a pipeline's maps, so that all of an image are downloaded in one copy."""

    def __init__(self, pipeline: ImageToEstimate) -> None:
        super().__init__()
        self.pipeline = pipeline

    def forward(self, images: Tensor) -> Tensor:
        return joined(self.pipeline(images))
