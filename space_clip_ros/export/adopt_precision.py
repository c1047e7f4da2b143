"""Adopted networks in fp16 or int8: converted like our own, and tested for what the conversion changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime
from onnx import AttributeProto

from space_clip_ros.errors import ExportError, first_line
from space_clip_ros.export.adopt import PrecisionFacts
from space_clip_ros.export.adopt_wrap import AFTER_PREFIX, BEFORE_PREFIX, NETWORK_PREFIX
from space_clip_ros.export.constant_folding import fold_graph
from space_clip_ros.export.fp16 import to_fp16
from space_clip_ros.export.fp16_emulation import EmulatedSession
from space_clip_ros.export.int8 import to_int8
from space_clip_ros.export.precision import DEPTH_TOLERANCES, DriveFrames, check_evidence
from space_clip_ros.export.trial_images import fit
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.metadata import INPUT_NAME, OUTPUT_NAME
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.inference.self_check import relative_difference


class LowerPrecision:
    """Converts a wrapped float32 graph, and tests the result.

    Attributes:
        precision: fp16 or int8.
    """

    def __init__(self, precision: str, evidence: DriveFrames | None = None, symmetric: bool = False) -> None:
        """Check and keep the arguments.

        Args:
            precision: fp16 or int8.
            evidence: frames of a drive; int8 is calibrated on some, and tested on others.
            symmetric: make int8 symmetric, for TensorRT.

        Raises:
            InputError: int8 without evidence; symmetric, but not int8.
        """
        check_evidence(precision, evidence, symmetric)
        self.precision = precision
        self._evidence = evidence
        self._symmetric = symmetric

    def convert(self, graph: onnx.ModelProto, size: tuple[int, int] | None, batch: int | None) -> onnx.ModelProto:
        """Return the graph in this precision.

        Args:
            graph: float32, as :func:`space_clip_ros.export.adopt_wrap.wrap` returns it.
            size: height and width of its images, pixels; None for any.
            batch: its images per run; None for any.

        Raises:
            ExportError: the graph does not allow it.
        """
        if any(attribute.type == AttributeProto.GRAPH for node in graph.graph.node for attribute in node.attribute):
            raise ExportError(
                f"the network branches or loops, which cannot be made {self.precision}", "", "take --precision fp32"
            )
        folded = fold_graph(graph)
        try:
            if self.precision == "fp16":
                return to_fp16(folded, NETWORK_PREFIX, lambda module: False, (BEFORE_PREFIX, AFTER_PREFIX))
            assert self._evidence is not None
            network = (NETWORK_PREFIX,)
            images = self._evidence.calibration
            return to_int8(folded, images, size, batch, self._symmetric, convolutions=network, matrices=network)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            reason = f"the network cannot be made {self.precision} ({first_line(error)})"
            raise ExportError(reason, "", "take --precision fp32") from error

    def judge(
        self,
        file: Path,
        graph: onnx.ModelProto,
        original: onnx.ModelProto,
        trials: Sequence[Rgb],
        expected: Sequence[Depth],
    ) -> PrecisionFacts:
        """Test a written file beyond the comparison with the original model.

        Args:
            file: the file, with its metadata.
            graph: the graph in it.
            original: the graph before it was converted.
            trials: images of its size, if it has one.
            expected: the original model's depth of each.

        Raises:
            ExportError: beyond a tolerance, with the numbers.
        """
        largest = self._emulated(graph, trials, expected) if self.precision == "fp16" else None
        if self._evidence is None:
            return PrecisionFacts("", None, largest)
        return PrecisionFacts(self._evidence.source, self._judged(file, original, self._evidence), largest)

    def _emulated(self, graph: onnx.ModelProto, trials: Sequence[Rgb], expected: Sequence[Depth]) -> float:
        """Return the largest fp16 value; reject a graph that is right on CPUs but wrong on fp16 hardware."""
        emulated = EmulatedSession(graph)
        batch = graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
        worst = 0.0
        for image, correct in zip(trials, expected, strict=True):
            depth = emulated.run(np.repeat(image[None], batch, axis=0))[0]
            worst = max(worst, float(relative_difference(depth, correct).mean()))
        emulated.check_range("take --precision fp32")
        if not worst <= DEPTH_TOLERANCES["fp16"].mean:
            raise ExportError(
                f"fp16 hardware would differ from the model by {worst:.2g} relative on average, more than "
                f"{DEPTH_TOLERANCES['fp16'].mean:g}",
                "",
                "take --precision fp32",
            )
        return emulated.largest

    def _judged(self, file: Path, original: onnx.ModelProto, evidence: DriveFrames) -> tuple[float, float]:
        sessions = OnnxSessions(file)
        size, batch = sessions.metadata.size, sessions.metadata.batch or 1
        before = onnxruntime.InferenceSession(original.SerializeToString(), providers=["CPUExecutionProvider"])

        def images(image: Rgb) -> Rgb:
            return np.repeat((image if size is None else fit(image, size))[None], batch, axis=0)

        def in_float32(image: Rgb) -> Depth:
            return cast(Depth, before.run([OUTPUT_NAME], {INPUT_NAME: images(image)})[0][0])

        try:
            return evidence.judge(in_float32, lambda image: cast(Depth, sessions.run(images(image))[0]))
        finally:
            sessions.close()
