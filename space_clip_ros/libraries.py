"""What is wrong with a library that cannot be imported, and what to do about it. Nothing heavy is imported here.

The usual causes on a robot: pip brought NumPy 2 beside an OpenCV that Ubuntu built for NumPy 1, ROS 2 is not sourced,
or the Python that runs is not the one that ROS 2 was built for.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import os
import re
import sys
import sysconfig
import traceback
from pathlib import Path

from space_clip_ros.errors import SpaceClipError, describe

_NUMERIC = ("numpy", "cv2")
_EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "open_clip": "train",
    "safetensors": "language",
    "tokenizers": "language",
    "onnx": "engine",
    "rosbags": "bags",
    "backports": "bags",
    "tensorboard": "train",
    "tornado": "view",
    "pyarrow": "lerobot",
    "ray": "fleet",
    "fsspec": "fleet",
    "h5py": "nyu",
    "scipy": "nyu",
    "wandb": "wandb",
}
_ROS = re.compile(r"(rclpy|rpyutils|rosidl_\w+|builtin_interfaces|lifecycle_msgs|rcl_interfaces|\w+_msgs)\b")
_SOURCE = "source /opt/ros/DISTRO/setup.bash"
_CLONE = "in the clone of space_clip_ros: "
ROS_REMEDY = f"{_SOURCE}, or {_CLONE}pip install -c constraints/jazzy.txt -e '.[ros]'"
"""What to do where there is no ROS 2."""

_DISTRIBUTIONS = {"cuda": "cuda-python", "cv2": "opencv-python-headless", "yaml": "PyYAML"}
_OTHER_NUMPY = re.compile(
    r"numpy\.core\.multiarray failed|numpy\.core\.umath failed|_ARRAY_API|_UFUNC_API|compiled using NumPy 1"
    r"|compiled against (NumPy )?(C-)?ABI|numpy\.\w+ size changed"
)
_IMPORT = re.compile(r"\s*(?:from|import)\s+(\w+)")


class LibraryError(SpaceClipError, ImportError):
    """A library that is missing, or that cannot be loaded."""


def check_numeric_libraries() -> None:
    """Import NumPy and OpenCV.

    Whatever NumPy prints about modules that were built for another version of it is left out if an import fails.

    Raises:
        LibraryError: one of them is missing or cannot be loaded.
    """
    for name in _NUMERIC:
        output = io.StringIO()
        try:
            with contextlib.redirect_stderr(output):
                importlib.import_module(name)
        except (ImportError, AttributeError, ValueError, RuntimeError) as error:
            raise import_error(error, name) from error
        sys.stderr.write(output.getvalue())


def import_error(error: Exception, library: str = "") -> LibraryError:
    """Return what an exception during an import means.

    Args:
        error: what the import raised.
        library: what was to be imported; read off the error and its traceback if empty.
    """
    library = library or _library(error)
    if _OTHER_NUMPY.search(str(error)):
        installed = _numpy_version()
        fitting = "'numpy<2'" if installed.startswith("2.") else "'numpy>=1.26,<2'"
        return LibraryError(library, f"is built for another NumPy than the installed {installed}", _pip(fitting))
    if "isn't present on the system" in str(error):
        version = "{}.{}".format(*sys.version_info)
        return LibraryError(
            library,
            f"ROS 2's modules are built for another Python than this {version} ({sys.executable})",
            "use the one of your ROS 2, usually /usr/bin/python3, with no conda or pyenv before it on PATH",
        )
    if isinstance(error, ModuleNotFoundError):
        return _missing(library)
    reason = f"is installed, but cannot be loaded ({describe(error).partition(' The C extension ')[0]})"
    return LibraryError(
        library, reason, _SOURCE if _ROS.match(library) else "install it again, for this machine's versions"
    )


def pip_install(library: str) -> str:
    """Return the command that installs a library for this Python and keeps NumPy 1 where that is installed.

    pip would otherwise bring NumPy 2, beside which OpenCV and cv_bridge as Ubuntu and ROS 2 build them do not load.
    An extra of this package is installed from a clone: no package index has this package.
    """
    numpy_1 = _numpy_version().startswith("1.")
    if extra := _EXTRAS.get(library):
        constraints = "constraints/robot.txt" if numpy_1 else "constraints/wheels.txt"
        return _CLONE + _pip("-c", constraints, "-e", f"'.[{extra}]'")
    return _pip(_DISTRIBUTIONS.get(library, library), *(("'numpy<2'",) if numpy_1 else ()))


def _pip(*arguments: str) -> str:
    """Return a pip command, with the option that Ubuntu 24.04's own Python asks for (PEP 668)."""
    managed = sys.prefix == sys.base_prefix and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()
    return " ".join(("pip install", *(["--break-system-packages"] if managed else ()), *arguments))


def _missing(library: str) -> LibraryError:
    reason = f"is not installed for this Python, {sys.executable}"
    if _ROS.match(library):
        if os.environ.get("ROS_DISTRO"):
            remedy = f"sudo apt install ros-{os.environ['ROS_DISTRO']}-{library.replace('_', '-')}"
        else:
            remedy = ROS_REMEDY
        return LibraryError(library, reason, remedy)
    return LibraryError(library, reason, pip_install(library))


def _library(error: Exception) -> str:
    """Return the package that could not be imported: the error's own, else the last one named on the way there."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name.partition(".")[0]
    lines = (_IMPORT.match(frame.line or "") for frame in traceback.extract_tb(error.__traceback__))
    named = [match[1] for match in lines if match and match[1] != "space_clip_ros"]
    name = named[-1] if named else getattr(error, "name", None)
    return str(name or "a library").partition(".")[0]


def _numpy_version() -> str:
    try:
        return importlib.metadata.version("numpy")
    except importlib.metadata.PackageNotFoundError:
        return ""
