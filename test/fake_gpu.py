"""Stands in for TensorRT and cuda-python, as far as this package uses them, on machines without a GPU.

Only the boundary is fake: device memory is host memory, streams run at once or record, and an engine is the graph it
was built from, run by ONNX Runtime. The strict rules of real TensorRT are checked, too: uint8 must be converted first,
plans belong to one version, flags are those of the version.
"""

from __future__ import annotations

import ctypes
import enum
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
import onnx
import onnxruntime

ERRORS = {
    0: b"no error",
    1: b"invalid argument",
    2: b"out of memory",
    35: b"CUDA driver version is insufficient for CUDA runtime version",
    209: b"no kernel image is available for execution on the device",
    214: b"uncorrectable ECC error encountered",
    700: b"an illegal memory access was encountered",
    719: b"unspecified launch failure",
    900: b"operation not permitted when stream is capturing",
    901: b"operation failed due to a previous error during capture",
    907: b"operation not permitted on an event last recorded in a capturing stream",
}
# Calls that fail while a stream is recorded, and spoil the recording.
NOT_RECORDED = {
    "cudaEventSynchronize": 907,
    **dict.fromkeys(("cudaMalloc", "cudaFree", "cudaHostAlloc", "cudaFreeHost"), 900),
}
Status = enum.IntEnum("Status", {f"E{code}": code for code in ERRORS})
# Calls that answer even when the device is lost.
ALWAYS = ("cudaGetErrorString",)


class Gpu:
    """The machine, whose attributes tests set and read.

    Attributes:
        name, compute_capability, multiprocessors: of the device.
        devices: number of devices.
        distortion, tf32_distortion: factor on every depth that an engine returns, and on that of one with TF32.
        turned: outputs whose vectors an engine returns turned round.
        fails: what fails: one of "", driver, memory, parse, build, deserialize, types, context, address, run, record (a
            run while it is recorded); or what TensorRT does not make: runtime, builder, network, parser, config.
        logger: the one logger of the process, which is the first that TensorRT is given.
        errors: for a CUDA call's name, the codes that its next calls answer; 0 lets one pass.
        lost: the code that every CUDA call answers, as after an error that no process recovers from; 0 for none.
        current: the current device.
        built_on: the current device at each build.
        free: bytes of free device memory.
        workspaces: the limit of the working memory at each build, bytes.
        launches: number of graph launches.
        builds: number of engines built.
        graphs, graphs_destroyed: numbers of recordings made into a graph that can be launched, and of those freed.
        networks: the flags of each network.
        flags: builder flags at each build.
        timings: the timing cache that each build got.
        refused_timings: contents of timing caches that TensorRT does not take.
        engines: those that are still in memory, and their contexts.
    """

    def __init__(self, forget: Callable[..., None]) -> None:
        """Take the function that unloads our modules that import the libraries it is given."""
        self._forget = forget
        self.name, self.compute_capability, self.multiprocessors, self.devices = "Fake Orin", (8, 7), 8, 1
        self.refused_timings: set[bytes] = set()
        self.distortion = self.tf32_distortion = 1.0
        self.turned: set[str] = set()
        self.fails = ""
        self.logger: Any = None
        self.errors: dict[str, list[int]] = {}
        self.lost = 0
        self.launches = self.builds = self.graphs = self.graphs_destroyed = 0
        self.current, self.built_on, self.free = 0, list[int](), 4 << 30
        self.workspaces: list[int] = []
        self.networks: list[int] = []
        self.flags: list[set[str]] = []
        self.timings: list[bytes] = []
        self.memory: dict[int, Any] = {}
        self.recording: list[Callable[[], None]] | None = None
        self.spoilt = False
        self.engines = weakref.WeakSet[Any]()

    def install(self, version: str) -> None:
        """Become TensorRT of this version; our modules are imported again."""
        self.remove()
        self.logger = None
        sys.modules["tensorrt"] = make_tensorrt(self, version)
        # as of an installed package
        sys.modules["tensorrt"].__spec__ = ModuleSpec("tensorrt", None)
        runtime = make_cuda(self)
        bindings, cuda = types.ModuleType("cuda.bindings"), types.ModuleType("cuda")
        vars(bindings)["runtime"], vars(cuda)["bindings"] = runtime, bindings
        sys.modules.update({"cuda": cuda, "cuda.bindings": bindings, "cuda.bindings.runtime": runtime})

    def remove(self) -> None:
        self._forget("tensorrt", "cuda")

    def enqueue(self, work: Callable[[], None]) -> None:
        if self.recording is None:
            work()
        else:
            self.recording.append(work)

    def allocate(self, size: int) -> int:
        memory = (ctypes.c_uint8 * max(size, 1))()
        address = ctypes.addressof(memory)
        self.memory[address] = memory
        return address


class Stream:
    """cuda-python's: a number behind an address."""

    def __init__(self, handle: int) -> None:
        self._handle = ctypes.c_size_t(handle)

    def getPtr(self) -> int:  # noqa: N802
        return ctypes.addressof(self._handle)


def make_cuda(gpu: Gpu) -> types.ModuleType:
    runtime = types.ModuleType("cuda.bindings.runtime")

    def begin(stream: int, mode: int) -> tuple[Any, ...]:
        gpu.recording, gpu.spoilt = [], False
        return (Status.E0,)

    def end(stream: int) -> tuple[Any, ...]:
        recorded, gpu.recording = gpu.recording, None
        return (Status.E901, None) if gpu.spoilt else (Status.E0, recorded)

    def launch(recorded: list[Callable[[], None]], stream: int) -> tuple[Any, ...]:
        gpu.launches += 1
        for work in recorded:
            work()
        return (Status.E0,)

    def instantiate(recorded: Any, flags: int) -> tuple[Any, ...]:
        gpu.graphs += 1
        return Status.E0, recorded

    def destroy_graph(recorded: Any) -> tuple[Any, ...]:
        gpu.graphs_destroyed += 1
        return (Status.E0,)

    def copy(target: int, source: int, count: int, kind: int, stream: int) -> tuple[Any, ...]:
        gpu.enqueue(lambda: ctypes.memmove(target, source, count) and None)
        return (Status.E0,)

    def free(address: int) -> tuple[Any, ...]:
        del gpu.memory[address]
        return (Status.E0,)

    def properties(index: int) -> tuple[Any, ...]:
        major, minor = gpu.compute_capability
        return Status.E0, types.SimpleNamespace(
            name=gpu.name.encode(), major=major, minor=minor, multiProcessorCount=gpu.multiprocessors
        )

    def use(index: int) -> tuple[Any, ...]:
        gpu.current = index
        return (Status.E0,)

    def done(*_: object) -> tuple[Any, ...]:
        return (Status.E0,)

    runtime.__dict__.update(
        cudaGetDeviceCount=lambda: (Status.E35, 0) if gpu.fails == "driver" else (Status.E0, gpu.devices),
        cudaGetDeviceProperties=properties,
        cudaGetErrorString=lambda status: (Status.E0, ERRORS[status]),
        cudaSetDevice=use,
        cudaMalloc=lambda size: (Status.E2, 0) if gpu.fails == "memory" else (Status.E0, gpu.allocate(size)),
        cudaHostAlloc=lambda size, flags: (Status.E0, gpu.allocate(size)),
        cudaFree=free,
        cudaFreeHost=free,
        cudaStreamCreateWithFlags=lambda flags: (Status.E0, Stream(7)),
        cudaEventCreateWithFlags=lambda flags: (Status.E0, f"event {flags}"),
        cudaMemGetInfo=lambda: (Status.E0, gpu.free, 8 << 30),
        cudaMemcpyAsync=copy,
        cudaMemcpyKind=types.SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2),
        cudaStreamCaptureMode=types.SimpleNamespace(cudaStreamCaptureModeThreadLocal=1),
        cudaStreamBeginCapture=begin,
        cudaStreamEndCapture=end,
        cudaGraphInstantiateWithFlags=instantiate,
        cudaGraphDestroy=destroy_graph,
        cudaGraphLaunch=launch,
    )
    for name in ("EventRecord", "EventSynchronize", "EventDestroy", "StreamDestroy", "GraphExecDestroy"):
        setattr(runtime, f"cuda{name}", done)
    for name, function in vars(runtime).copy().items():
        if callable(function) and name not in ALWAYS:
            setattr(runtime, name, failing(gpu, name, function))
    return runtime


def failing(gpu: Gpu, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a CUDA call that fails when the test wants it to."""

    def call(*arguments: Any) -> Any:
        codes = gpu.errors.get(name)
        code = gpu.lost or (codes.pop(0) if codes else 0)
        if not code and gpu.recording is not None and name in NOT_RECORDED:
            code, gpu.spoilt = NOT_RECORDED[name], True
        if code and name == "cudaStreamEndCapture":
            gpu.recording = None  # it ends, too, where it failed
        return (Status(code), None) if code else function(*arguments)

    return call


def make_tensorrt(gpu: Gpu, version: str) -> types.ModuleType:
    major = int(version.partition(".")[0])
    trt = types.ModuleType("tensorrt")
    severity = enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"], start=0)
    data_type = enum.Enum("DataType", ["FLOAT", "HALF", "INT8", "INT32", "UINT8"])
    mode = enum.Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
    creation = ["STRONGLY_TYPED"] if major > 10 else ["EXPLICIT_BATCH", "STRONGLY_TYPED"]
    builder_flags = ["TF32"] + (["FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS"] if major < 11 else [])
    flag = enum.Enum("BuilderFlag", builder_flags)

    class ILogger:
        Severity = severity

    def complain(message: str) -> None:
        gpu.logger.log(severity.ERROR, message)

    class Made:
        """What a constructor makes: nothing if the library cannot, which pybind11 turns into a TypeError."""

        def __init__(self, name: str, logger: Any) -> None:
            if gpu.logger is None:
                gpu.logger = logger
            if gpu.fails == name:
                complain("CUDA initialization failure with error: 35\n")
                raise TypeError("pybind11::init(): factory function returned nullptr")

    class IProgressMonitor:
        pass

    class TimingCache:
        def __init__(self, content: bytes) -> None:
            self.content = content

        def serialize(self) -> bytes:
            return self.content

    class Config:
        def __init__(self) -> None:
            self.flags = {"TF32"}
            self._cache: TimingCache | None = None
            self.progress_monitor: Any = None

        def clear_flag(self, value: Any) -> None:
            self.flags.discard(value.name)

        def set_memory_pool_limit(self, pool: Any, size: int) -> None:
            gpu.workspaces.append(size)

        def create_timing_cache(self, content: bytes) -> TimingCache | None:
            return None if content == b"damaged" else TimingCache(content)

        def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
            if cache.content in gpu.refused_timings:
                return False
            gpu.timings.append(cache.content)
            self._cache = TimingCache(cache.content + b"measured;")
            return True

        def get_timing_cache(self) -> TimingCache | None:
            return self._cache

    class Network:
        graph = b""

    class Builder(Made):
        def __init__(self, logger: Any) -> None:
            super().__init__("builder", logger)

        def create_network(self, flags: int = 0) -> Network | None:
            gpu.networks.append(flags)
            return None if gpu.fails == "network" else Network()

        def create_builder_config(self) -> Config | None:
            return None if gpu.fails == "config" else Config()

        def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
            gpu.flags.append(config.flags)
            gpu.built_on.append(gpu.current)
            if gpu.fails == "build":
                complain("Error Code 10: could not find any implementation\n")
                return None
            if not report(config.progress_monitor):
                complain("Error Code 10: the build was stopped by its progress monitor\n")
                return None
            gpu.builds += 1
            return f"PLAN {version}\n".encode() + (b"TF32\n" if "TF32" in config.flags else b"\n") + network.graph

    class OnnxParser(Made):
        def __init__(self, network: Network, logger: Any) -> None:
            super().__init__("parser", logger)
            self._network, self._errors = network, []

        def parse(self, graph: bytes) -> bool:
            model = onnx.load_model_from_string(graph)
            onnx.checker.check_model(model)
            self._errors = list(problems(model))
            if gpu.fails == "parse":
                self._errors.append("In node 3: unsupported operator")
            self._network.graph = graph
            return not self._errors

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> str:
            return self._errors[index]

    class Context:
        def __init__(self, session: onnxruntime.InferenceSession, tf32: bool) -> None:
            self._session, self._tf32, self._addresses = session, tf32, {}
            gpu.engines.add(self)

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return gpu.fails != "address"

        def execute_async_v3(self, stream_handle: int) -> bool:
            if gpu.fails == "run":
                complain("Error Code 2: enqueueV3 failed\n")
                return False
            if gpu.fails == "record" and gpu.recording is not None:
                complain("Error Code 3: a loop of this engine cannot be captured\n")
                return False
            gpu.enqueue(self._execute)
            return True

        def _execute(self) -> None:
            (given,) = self._session.get_inputs()
            image = view(self._addresses[given.name], given.shape, np.uint8)
            result = self._session.run(None, {given.name: image})
            distortion = gpu.distortion * (gpu.tf32_distortion if self._tf32 else 1.0)
            for wanted, values in zip(self._session.get_outputs(), result, strict=True):
                if wanted.name in gpu.turned:
                    values = np.roll(values, 1, axis=-1)
                view(self._addresses[wanted.name], wanted.shape, np.float32)[:] = values * distortion

    class Engine:
        def __init__(self, graph: bytes, tf32: bool) -> None:
            self._tf32 = tf32
            gpu.engines.add(self)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            self._tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            self.num_io_tensors = len(self._tensors)
            setattr(self, "device_memory_size" if major < 11 else "device_memory_size_v2", 1000)

        def get_tensor_name(self, index: int) -> str:
            return str(self._tensors[index].name)

        def get_tensor_mode(self, name: str) -> Any:
            return mode.INPUT if name == self._tensors[0].name else mode.OUTPUT

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return next(tuple(tensor.shape) for tensor in self._tensors if tensor.name == name)

        def get_tensor_dtype(self, name: str) -> Any:
            kinds = {"tensor(uint8)": data_type.UINT8, "tensor(float)": data_type.FLOAT}
            if gpu.fails == "types":
                return data_type.HALF
            return next(kinds[tensor.type] for tensor in self._tensors if tensor.name == name)

        def create_execution_context(self) -> Context | None:
            return None if gpu.fails == "context" else Context(self._session, self._tf32)

    class Runtime(Made):
        def __init__(self, logger: Any) -> None:
            super().__init__("runtime", logger)

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            head, _, graph = plan.partition(b"\n")
            if head != f"PLAN {version}".encode() or gpu.fails == "deserialize":
                gpu.logger.log(severity.WARNING, "this is only a warning")
                complain("The engine plan file is not compatible with this version")
                return None
            kind, _, graph = graph.partition(b"\n")
            return Engine(graph, kind == b"TF32")

    trt.__dict__.update(
        __version__=version,
        ILogger=ILogger,
        DataType=data_type,
        TensorIOMode=mode,
        NetworkDefinitionCreationFlag=enum.IntEnum("NetworkDefinitionCreationFlag", creation, start=0),
        BuilderFlag=flag,
        IProgressMonitor=IProgressMonitor,
        MemoryPoolType=enum.Enum("MemoryPoolType", ["WORKSPACE"]),
        Builder=Builder,
        OnnxParser=OnnxParser,
        Runtime=Runtime,
    )
    return trt


def problems(model: onnx.ModelProto) -> Iterator[str]:
    """Yield what TensorRT would reject: bytes used before they are converted, and symbolic sizes."""
    (image,) = model.graph.input
    if image.type.tensor_type.elem_type == onnx.TensorProto.UINT8:
        users = {node.op_type for node in model.graph.node if image.name in node.input}
        if users != {"Cast"}:
            yield f"UINT8 input used by {sorted(users)}"
    if any(not dimension.dim_value for dimension in image.type.tensor_type.shape.dim):
        yield "dynamic input without an optimization profile"


def report(monitor: Any) -> bool:
    """Report as TensorRT does during a build; return whether the build continues."""
    monitor.phase_start("Building Engine", None, 2)
    monitor.phase_start("Tactic Selection", "Building Engine", 5)
    goes_on = monitor.step_complete("Tactic Selection", 0)
    monitor.phase_finish("Tactic Selection")
    goes_on = goes_on and monitor.step_complete("Building Engine", 0)
    monitor.phase_finish("Building Engine")
    return bool(goes_on)


def view(address: int, shape: Any, dtype: type) -> np.ndarray:
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * count).from_address(address)
    return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
