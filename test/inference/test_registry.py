"""A backend is one file in ``backends/`` that registers itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros import config
from space_clip_ros.errors import BackendError
from space_clip_ros.inference import backends, load_predictor, registry
from space_clip_ros.inference.registry import backend_factories

FOURTH = '''
from space_clip_ros.inference.backend import Prediction, model_info
from space_clip_ros.inference.model_files import GRAPH_SUFFIXES
from space_clip_ros.inference.registry import BackendFactory, register
from space_clip_ros.model_config import ModelConfig
import numpy as np


class Constant:
    """Returns 7 m for small images, and gives large ones to the fallback."""

    def __init__(self, request):
        import a_library

        self.request = request
        facts = dict(backend="fourth", device=request.device, precision="fp32", fixed_size=None, file=request.file)
        self.info = model_info(ModelConfig(name=a_library.NAME), **facts)

    def run(self, image, language=True):
        if image.shape[0] > 50:
            return self.request.fallback().run(image)
        return Prediction(np.full(image.shape[:2], 7, np.float32), {"inference": 1.0})

    def close(self):
        pass


def load():
    import a_library

    return Constant


register(
    BackendFactory(
        name="fourth",
        suffixes=GRAPH_SUFFIXES,
        devices=("cpu",),
        rank=15,
        package="a_library",
        install="a-library",
        load=load,
    )
)
'''


@pytest.fixture
def fourth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one more backend; gives the folder of the library it needs, which is not installed yet."""
    more, library = tmp_path / "more_backends", tmp_path / "library"
    more.mkdir()
    library.mkdir()
    (more / "fourth.py").write_text(FOURTH, encoding="utf-8")
    monkeypatch.setattr(registry, "_FACTORIES", dict(backend_factories()))
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(more)])
    monkeypatch.syspath_prepend(library)
    yield library
    for name in ("space_clip_ros.inference.backends.fourth", "a_library"):
        sys.modules.pop(name, None)


def install(library: Path) -> None:
    (library / "a_library.py").write_text("NAME = 'sevens'", encoding="utf-8")


def test_every_backend_is_a_file_of_its_name_and_a_choice_of_the_parameter() -> None:
    factories = backend_factories()
    assert ("auto", *factories) == config.BACKENDS
    assert list(factories) == ["onnxruntime", "tensorrt", "torch"]
    assert all(factory.name == name for name, factory in factories.items())


def test_no_library_is_imported_to_know_the_backends() -> None:
    blocked = ["torch", "onnxruntime", "onnx", "tensorrt"]
    program = (
        f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from space_clip_ros.inference.registry import backend_factories\n"
        "assert len(backend_factories()) == 3"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("backend", ["auto", "fourth"])
def test_one_more_file_is_one_more_backend(model_dir: Path, fourth: Path, backend: str) -> None:
    install(fourth)
    with load_predictor(model_dir / "any.onnx", backend=backend, device="cpu") as predict:
        assert (predict.info.backend, predict.info.name) == ("fourth", "sevens")
        assert predict.info.passed_over == ()
        assert (predict(np.zeros((20, 30, 3), np.uint8)) == 7).all()


def test_auto_gives_it_the_next_backend_as_fallback(model_dir: Path, fourth: Path) -> None:
    install(fourth)
    large = np.zeros((60, 100, 3), np.uint8)
    with (
        load_predictor(model_dir / "any.onnx", device="cpu") as predict,
        load_predictor(model_dir / "any.onnx", backend="onnxruntime", device="cpu") as expected,
    ):
        np.testing.assert_array_equal(predict(large), expected(large))


def test_auto_passes_it_over_if_its_library_is_missing(model_dir: Path, fourth: Path) -> None:
    with load_predictor(model_dir / "any.onnx", device="cpu") as predict:
        assert predict.info.backend == "onnxruntime"
        assert predict.info.passed_over == ("fourth on cpu (needs the Python package 'a_library')",)
    with pytest.raises(BackendError, match=r"backend fourth for .*: needs .*'a_library'; pip install a-library$"):
        load_predictor(model_dir / "any.onnx", backend="fourth")


def test_other_devices_and_files_are_rejected(model_dir: Path, fourth: Path) -> None:
    with pytest.raises(BackendError, match=r"runs on the CPU, not on device cuda; give device auto or cpu"):
        load_predictor(model_dir / "any.onnx", backend="fourth", device="cuda")
    with pytest.raises(BackendError, match=r"backend fourth: cannot run .*; give backend torch or auto"):
        load_predictor(model_dir / "checkpoint.safetensors", backend="fourth")
