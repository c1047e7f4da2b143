"""Runs our build and our runner over TensorRT's real Python bindings and the stub library (``tensorrt_stub.py``).

python tensorrt_rehearsal.py FOLDER_OF_BINDINGS FOLDER_OF_STUB MAJOR_VERSION; fails if a call does not exist or does not
take our arguments, or if our code misreads an answer.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BINDINGS, STUB, MAJOR = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
BUILDER, RUNTIME, PARSER, NETWORK, CONFIG, MEMORY, TIMINGS, ENGINE, CONTEXT = range(9)
PLAN = b"a plan of 18 bytes"
SHAPES = ((1, 4, 6, 3), (1, 4, 6))


class Stub:
    """The stub library, and what its entries are taught."""

    def __init__(self) -> None:
        libraries = [
            ctypes.CDLL(str(STUB / f"{name}.so.{MAJOR}"), mode=ctypes.RTLD_GLOBAL)
            for name in ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin")
        ]
        self.library = libraries[0]
        self.library.object_of.restype = ctypes.c_void_p
        self.library.add_value.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64]
        self.library.add_bytes.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint64]
        # TensorRT 11 put four functions before the logger's own
        self.library.set_logger_slot(0 if MAJOR < 11 else 4)
        self.kept: list[bytes] = []

    def reached(self, call: Callable[[], Any]) -> list[tuple[int, int]]:
        """Make a call that the stub answers with nothing yet; return the entries it reached."""
        self.library.forget_calls()
        with contextlib.suppress(RuntimeError):  # some bindings refuse an empty answer
            call()
        count = self.library.call_count()
        entries = [(self.library.call_kind(index), self.library.call_slot(index)) for index in range(count)]
        assert entries, "the call reached no library"
        return entries

    def teach(self, call: Callable[[], Any], *values: int) -> tuple[int, int]:
        """Answer a call with values, in turn."""
        entry = self.reached(call)[-1]
        for value in values:
            self.library.add_value(*entry, value)
        return entry

    def teach_dims(self, call: Callable[[], Any], *shapes: tuple[int, ...]) -> None:
        """Return the next ``Dims``, a struct of a count and eight sizes."""
        (entry,) = self.reached(call)
        for shape in shapes:
            self.kept.append(struct.pack("i4x8q", len(shape), *shape, *[0] * (8 - len(shape))))
            self.library.add_bytes(*entry, self.kept[-1], len(self.kept[-1]))

    def makes(self, kind: int, call: Callable[[], Any]) -> Any:
        """Let a call return an object, and return it."""
        self.teach(call, self.library.object_of(kind))
        made = call()
        assert made is not None
        return made

    def text(self, content: bytes) -> int:
        self.kept.append(content)
        return ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0


stub = Stub()
sys.path.insert(0, str(BINDINGS))
import tensorrt_bindings as tensorrt  # noqa: E402

sys.modules["tensorrt"] = tensorrt
from space_clip_ros.errors import BackendError, ExportError  # noqa: E402
from space_clip_ros.export import tensorrt as building  # noqa: E402
from space_clip_ros.export.static_graph import static_graph  # noqa: E402
from space_clip_ros.inference.gpu import tensorrt_runtime  # noqa: E402
from space_clip_ros.inference.gpu.cuda_errors import cuda_error  # noqa: E402
from space_clip_ros.inference.onnx_sessions import OnnxSessions  # noqa: E402


class HostCuda:
    """A device whose memory is the host's."""

    stream = 7

    def use(self) -> None: ...

    def buffer(self, shape: tuple[int, ...], dtype: Any) -> Any:
        array = np.zeros(shape, dtype)
        return type("Buffer", (), {"host": array, "address": array.ctypes.data})()

    def upload(self, buffer: Any) -> None: ...

    download = upload

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        raise cuda_error("CUDA failed", "not supported", 801)

    def synchronize(self) -> None: ...

    def close(self) -> None: ...


def fails(call: Callable[[], Any], kind: type[Exception], *texts: str) -> None:
    try:
        call()
    except kind as error:
        assert all(text in str(error) for text in texts), error
    else:
        raise AssertionError(f"{kind.__name__} expected")


def options(**changes: Any) -> building.BuildOptions:
    return building.BuildOptions(**{"tf32": False, "workspace": 1 << 28, **changes})


def null_factories() -> None:
    words = ("makes no", "CUDA initialization failure with error: 35", "driver is new enough")
    fails(lambda: tensorrt_runtime.make_runner(b"", HostCuda()), BackendError, "runtime here", *words)
    fails(lambda: building.build_plan(b"", b"", options()), BackendError, "builder here", *words)
    stub.library.make(BUILDER)
    fails(lambda: building.build_plan(b"", b"", options()), BackendError, "makes no network here")


def teach_the_build() -> None:
    stub.library.make(PARSER)
    builder = tensorrt.Builder(tensorrt_runtime.logger())
    network = stub.makes(NETWORK, lambda: builder.create_network(0))
    parser = tensorrt.OnnxParser(network, tensorrt_runtime.logger())
    fails(lambda: building.build_plan(b"", b"", options()), ExportError, "cannot read the graph")
    stub.teach(lambda: parser.num_errors)
    stub.reached(lambda: parser.get_error(0))
    stub.teach(lambda: parser.parse(b"graph"), 1)
    config = stub.makes(CONFIG, builder.create_builder_config)
    memory = stub.makes(MEMORY, lambda: builder.build_serialized_network(network, config))
    size = stub.teach(lambda: memory.nbytes, len(PLAN))
    kind = stub.teach(lambda: memory.dtype, int(tensorrt.DataType.INT8))
    (content,) = set(stub.reached(lambda: memoryview(memory))) - {size, kind}
    stub.library.add_value(*content, stub.text(PLAN))
    stub.reached(lambda: config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, 1))
    timings = stub.makes(TIMINGS, lambda: config.create_timing_cache(b"earlier"))
    # refused once, and taken when it is empty
    stub.teach(lambda: config.set_timing_cache(timings, False), 0, 1)
    stub.makes(TIMINGS, config.get_timing_cache)
    stub.makes(MEMORY, timings.serialize)
    monitor = building._monitor(options())
    (attach,) = stub.reached(lambda: setattr(config, "progress_monitor", monitor))
    stub.library.set_monitor_call(*attach)
    (build,) = stub.reached(lambda: builder.build_serialized_network(network, config))
    stub.library.set_build_call(*build)


def the_build() -> None:
    phases: list[tuple[str, int, int]] = []
    file = Path(__file__).resolve().parents[1] / "models" / "road_tiny_fp16.onnx"
    graph = static_graph(file, OnnxSessions(file).metadata, (60, 100))
    plan, timings = building.build_plan(graph, b"earlier", options(progress=lambda *phase: phases.append(phase)))
    assert (plan, timings) == (PLAN, PLAN), (plan, timings)
    assert phases == [("Building Engine", step, 2) for step in (0, 1, 2)], phases
    fails(lambda: building.build_plan(b"", b"", options(cancelled=lambda: True)), ExportError, "could not build")


def teach_the_runner() -> None:
    stub.library.make(RUNTIME)
    runtime = tensorrt.Runtime(tensorrt_runtime.logger())
    fails(lambda: tensorrt_runtime.make_runner(PLAN, HostCuda()), BackendError, "cannot load the engine")
    engine = stub.makes(ENGINE, lambda: runtime.deserialize_cuda_engine(PLAN))
    mode, kind = tensorrt.TensorIOMode, tensorrt.DataType
    stub.teach(lambda: engine.num_io_tensors, 2)
    stub.teach(lambda: engine.get_tensor_name(0), stub.text(b"image_bytes"), stub.text(b"depth"))
    stub.teach(lambda: engine.get_tensor_mode("depth"), int(mode.INPUT), int(mode.OUTPUT))
    stub.teach(lambda: engine.get_tensor_dtype("depth"), int(kind.UINT8), int(kind.FLOAT))
    stub.teach_dims(lambda: engine.get_tensor_shape("depth"), *SHAPES)
    fails(lambda: tensorrt_runtime.make_runner(PLAN, HostCuda()), BackendError, "working memory does not fit")
    context = stub.makes(CONTEXT, engine.create_execution_context)
    fails(lambda: tensorrt_runtime.make_runner(PLAN, HostCuda()), BackendError, "does not take the memory")
    stub.teach(lambda: context.set_tensor_address("depth", 4096), 1)
    fails(lambda: tensorrt_runtime.make_runner(PLAN, HostCuda()), BackendError, "did not start the run")
    stub.teach(lambda: context.execute_async_v3(7), 1)
    name = "device_memory_size_v2" if hasattr(engine, "device_memory_size_v2") else "device_memory_size"
    stub.teach(lambda: getattr(engine, name), 1000)


def the_runner() -> None:
    runner = tensorrt_runtime.make_runner(PLAN, HostCuda())
    prediction = runner.run(np.zeros((4, 6, 3), np.uint8))
    assert prediction.depth.shape == (4, 6) and prediction.depth.dtype == np.float32
    assert runner.device_memory() == 1000 + 4 * 6 * (3 + 4)
    runner.close()


null_factories()
teach_the_build()
the_build()
teach_the_runner()
the_runner()
print(f"rehearsed with TensorRT {tensorrt.__version__}")
