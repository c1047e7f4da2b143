"""Fixtures every test may use; what is missing on a user's machine skips with its reason."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from space_clip_ros import settings

ROOT = Path(__file__).resolve().parents[1]
_DOMAINS = itertools.count(1)

# Tests of what needs a library that may not be installed; without it there is nothing of them to run.
_NEEDED = {
    "rclpy": (
        "ros/*",
        "messages/*",
        "tools/test_*.py",
        "tools/demo/*",
        "tools/live/test_view.py",
        "tools/bags/test_re[cp]*.py",
        "tools/bags/test_serialized.py",
        "tools/bags/test_definitions.py",
        "tools/benchmark/test_camera_sender.py",
        "tools/benchmark/test_conversions.py",
        "tools/benchmark/test_end_to_end.py",
    ),
    "rosbags": ("tools/bags/*", "tools/reporting/*", "tools/lerobot/*", "tools/fleet/*"),
    "pyarrow": ("tools/lerobot/*",),
    "tornado": ("tools/live/*",),
    "torch": (
        *("export", "inference", "model", "training", "tools/benchmark"),
        *(
            f"cli/commands/test_{name}.py"
            for name in ("ablate", "adopt", "convert", "engine", "evaluate", "export", "predict", "text", "train")
        ),
        *("cli/test_drive_evidence.py", "data/test_dataset.py"),
    ),
    "colcon_core": ("test_colcon.py",),
}
collect_ignore_glob = [
    pattern for library, patterns in _NEEDED.items() if not importlib.util.find_spec(library) for pattern in patterns
]

EVERY_INTERPRETER = "--every-interpreter"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(EVERY_INTERPRETER, action="store_true", help="also run on every other CPython 3.10 to 3.13 found")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs an environment of its own for each interpreter, unless it is asked for."""
    if not config.getoption(EVERY_INTERPRETER):
        items[:] = [item for item in items if item.get_closest_marker("every_interpreter") is None]


# A shell starts background jobs with SIGINT ignored, and every process a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def read_ply() -> Callable[[Path], Any]:
    """Return a reader of our PLY files: a structured array of x, y, z, and red, green, blue if there are any."""

    def read(path: Path) -> Any:
        header, _, data = path.read_bytes().partition(b"end_header\n")
        kinds = {b"float": "<f4", b"uchar": "u1"}
        lines = [line.split() for line in header.splitlines()]
        fields = [(name.decode(), kinds[kind]) for _, kind, name in (line for line in lines if line[0] == b"property")]
        vertices = np.frombuffer(data, fields)
        assert [b"element", b"vertex", str(len(vertices)).encode()] in lines
        return vertices

    return read


@pytest.fixture(scope="session")
def project_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference numbers and the sample drive: ``$SPACE_CLIP_SHARED``, else ``../shared``."""
    folder = Path(os.environ.get("SPACE_CLIP_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set SPACE_CLIP_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def reference_dir(shared_dir: Path) -> Path:
    return shared_dir / "reference"


@pytest.fixture(scope="session")
def kitti_drive_dir(shared_dir: Path) -> Path:
    """The sample of a real KITTI drive: 48 frames with scans."""
    return shared_dir / "kitti_sample" / "2011_09_26" / "2011_09_26_drive_9001_sync"


@pytest.fixture(scope="session")
def scenes() -> Any:
    """Depth maps of simple scenes, worked out ray by ray (``simple_scenes.py``)."""
    return _beside("simple_scenes")


@pytest.fixture(scope="session")
def coded_depth() -> Any:
    """A model that reads depth from the picture (``coded_depth.py``)."""
    pytest.importorskip("onnx")
    return _beside("coded_depth")


@pytest.fixture(scope="session")
def third_party_models() -> Any:
    """Writes small ONNX depth models as others would (``third_party_models.py``)."""
    pytest.importorskip("onnx")
    return _beside("third_party_models")


@pytest.fixture(scope="session")
def toy_clip() -> Any:
    """A CLIP that learns coloured shapes by name, and depth on it (``toy_clip.py``)."""
    for library in ("torch", "open_clip", "onnx", "tokenizers"):
        pytest.importorskip(library)
    return _beside("toy_clip")


@pytest.fixture(scope="session")
def toy_pair(toy_clip: Any, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Holds model.onnx, which has learnt coloured shapes by name and depth, and text.onnx, the text tower for it.

    Training takes 20 s of an idle core, and many times that on a busy machine: give its tests a timeout of 1200 s.
    """
    return made_once("toy_pair", toy_clip.write_pair)


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., Any]:
    """Makes small models with random weights (``tiny_model.py``), the same ones every time."""
    return _beside("tiny_model").tiny_model


def importers(*libraries: str) -> set[str]:
    """Return our loaded modules that import one of the libraries, themselves or through another of them."""

    def origin(value: Any) -> str:
        return value.__name__ if isinstance(value, ModuleType) else str(getattr(value, "__module__", ""))

    ours = {name: module for name, module in sys.modules.items() if name.startswith("space_clip_ros.")}
    origins = {name: {origin(value) for value in list(vars(module).values())} for name, module in ours.items()}
    modules: set[str] = set()
    while more := {
        name
        for name, imported in origins.items()
        if name not in modules
        and any(name_imported in modules or name_imported.partition(".")[0] in libraries for name_imported in imported)
    }:
        modules |= more
    return modules


@pytest.fixture()
def uninstall(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes libraries look as if they were not installed; our modules that import them are imported again."""

    def block(*libraries: str) -> None:
        for name in importers(*(library.partition(".")[0] for library in libraries)):
            monkeypatch.delitem(sys.modules, name)
        for library in libraries:
            monkeypatch.setitem(sys.modules, library, None)

    return block


def forget(*libraries: str) -> None:
    """Unload our modules that import the libraries."""
    for name in importers(*libraries):
        del sys.modules[name]


@pytest.fixture()
def fake_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A fake GPU with TensorRT 10.3 (``fake_gpu.py``), and an empty cache of engines."""
    module = _beside("fake_gpu")
    for name in ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    gpu = module.Gpu(forget)
    gpu.install("10.3.0")
    yield gpu
    gpu.remove()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition; fail with its name, and only after a generous time."""

    def wait(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s:g} s in vain for {what}"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium or Chrome: ``$SPACE_CLIP_BROWSER``, else what is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "chromium-headless-shell")
    program = os.environ.get("SPACE_CLIP_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium or Chrome found; install one (apt install chromium) or set SPACE_CLIP_BROWSER")
    browser = _beside("browser").Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Fills a folder for all processes of a run: ``made_once(name, make)`` has one of them call ``make(folder)``.

    No test may write there.
    """
    base = tmp_path_factory.getbasetemp()
    shelf = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made_once"
    shelf.mkdir(exist_ok=True)

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        path, draft = shelf / name, shelf / f"{name}.draft"
        with (shelf / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.is_dir():
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir()
                make(draft)
                draft.rename(path)
        return path

    return folder


@pytest.fixture(scope="session")
def package_dir(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Holds tiny.pt2, a package for this CPU and images of 100 x 60 pixels, made by the command of tiny.safetensors;
    what the command printed, in said.txt; and compiled.pt2, the package as PyTorch alone writes it.

    The model has every output.
    """
    pytest.importorskip("torch")
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        pytest.skip(f"no C++ compiler {compiler}; install one (apt install g++), or set CXX")
    module = _beside("tiny_package")
    return made_once("package", module.make)


@pytest.fixture(scope="session")
def tiny_model_file() -> Path:
    """An exported model of random weights that takes any image size; depth is some metres everywhere.

    ``test/export/test_tiny_model.py`` makes it, and compares it with today's.
    """
    return ROOT / "test" / "tiny_random.onnx"


@pytest.fixture
def domain() -> int:
    """A ROS domain that nobody on this machine uses: no test of another run, and no demo that a test started.

    With pytest-xdist each of its processes has every n-th domain to itself.
    """
    from space_clip_ros.ros.common.dds import is_unused

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    each = 100 // workers
    candidates = (1 + own + (os.getpid() * 7 + next(_DOMAINS)) % each * workers for _ in range(each))
    return next(filter(is_unused, candidates), 1 + own)


@pytest.fixture
def ros(domain: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Initialised rclpy on a domain of its own."""
    rclpy = pytest.importorskip("rclpy")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    rclpy.init(domain_id=domain)
    yield domain
    rclpy.try_shutdown()


@pytest.fixture
def spinning(ros: int) -> Iterator[Callable[..., Any]]:
    """Spin nodes in one thread of their own; called with a node, it returns it. Destroyed at the end."""
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.impl.implementation_singleton import rclpy_implementation

    executor, nodes, stopping = SingleThreadedExecutor(), [], threading.Event()

    def add(node: Any) -> Any:
        nodes.append(node)
        executor.add_node(node)
        return node

    def spin() -> None:
        while not stopping.is_set():
            # Tests destroy publishers and subscriptions in their own thread, perhaps while this one waits for them.
            with contextlib.suppress(rclpy_implementation.InvalidHandle):
                executor.spin_once(timeout_sec=0.02)

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    yield add
    stopping.set()
    thread.join(30)
    executor.shutdown()
    for node in reversed(nodes):
        getattr(node, "close", lambda: None)()
        node.destroy_node()


@pytest.fixture(scope="session")
def small_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of a synthetic drive, 312 x 94 pixels, with scans; not to be changed."""
    from space_clip_ros.geometry.camera import PinholeCamera
    from space_clip_ros.synthetic.drive import write_drive

    camera = PinholeCamera(312, 94, fx=180.0, fy=180.0, cx=152.0, cy=43.0)
    return write_drive(tmp_path_factory.mktemp("drive"), frames=5, seed=3, camera=camera)


@pytest.fixture()
def run_yaml(tmp_path: Path, kitti_drive_dir: Path) -> Path:
    """A run of two steps on the sample drive."""
    drive = str(kitti_drive_dir)
    flat = {
        "model.encoder.width": 16,
        "model.encoder.heads": 2,
        "model.encoder.image_size": 32,
        "model.encoder.trainable": True,
        "model.decoder.channels": [8, 8, 8, 8],
        "model.decoder.film_hidden": 8,
        "model.input_size": [32, 96],
        "initial_depth": 10.0,
        "data.train": [{"path": drive, "frames": [0, 4]}],
        "data.validation": [{"path": drive, "frames": [40, 41]}],
        "data.workers": 0,
        "optimizer.batch_size": 2,
        "optimizer.epochs": 1,
        "runtime.device": "cpu",
        "run.dir": str(tmp_path / "run"),
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(settings.nest(flat)))
    return path


@pytest.fixture(scope="session")
def interrupt() -> Callable[[list[str], Callable[[], bool], signal.Signals], int]:
    """Runs ``space_clip`` with the arguments, signals it once it has begun, and returns its exit status."""

    def run(arguments: list[str], begun: Callable[[], bool], number: signal.Signals) -> int:
        command = [sys.executable, "-m", "space_clip_ros.cli.main", *arguments]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            end = time.monotonic() + 60
            while not begun():
                assert time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(number)
            status = process.wait(30)
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        # CPython ends itself with SIGINT, which shells report as 130 too, if Ctrl-C came while exec() ran a string, as
        # generated code does: it takes the KeyboardInterrupt for unhandled even after it has been caught.
        return 130 if status == -signal.SIGINT else status

    return run


def _beside(name: str) -> Any:
    """Return a module of this folder, which is not a package."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "test" / f"{name}.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
