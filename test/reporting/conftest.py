"""A small recording with everything a report shows, and a real browser to look at the page."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Reports read bags; without rosbags there is nothing of them to run.
collect_ignore_glob = [] if importlib.util.find_spec("rosbags") else ["test_*.py"]

START_NS = 1_790_000_000_000_000_000
PERIOD_NS = 100_000_000
LATENCY_NS = 40_000_000
WIDTH, HEIGHT = 64, 32


def scale_of(index: int) -> float:
    """How much too far the depth of a frame is: frame 3 is the worst."""
    return 1.5 if index == 3 else 1.0 + 0.01 * index


def truth() -> np.ndarray:
    """True depth: 4 m at the bottom to 60 m at the top, unknown in the leftmost quarter."""
    rows = np.linspace(60.0, 4.0, HEIGHT, dtype=np.float32)
    depth = np.repeat(rows[:, None], WIDTH, axis=1)
    depth[:, : WIDTH // 4] = np.nan
    return depth


def image(index: int) -> np.ndarray:
    """A ramp from red to blue that moves, (H, W, 3) uint8 RGB."""
    ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = ramp[::-1], np.roll(ramp, index)
    return pixels


@pytest.fixture()
def write_recording() -> Callable[..., Path]:
    """Write a bag: ``write_recording(path, frames=6, without=("/image",), compressed=False, latency_ns=...)``."""
    return _write


@pytest.fixture()
def recording(tmp_path: Path) -> Path:
    """Six frames, one of them without depth."""
    return _write(tmp_path / "drive")


def _write(
    path: Path,
    frames: int = 6,
    without: tuple[str, ...] = (),
    compressed: bool = False,
    latency_ns: int = LATENCY_NS,
    prefix: str = "/",
) -> Path:
    from space_clip_ros.bags import messages, qos
    from space_clip_ros.bags.writer import TYPES, BagWriter
    from space_clip_ros.geometry.camera import PinholeCamera

    camera = PinholeCamera(WIDTH, HEIGHT, 50.0, 50.0, 31.5, 15.5)
    picture = "image/compressed" if compressed else "image"
    kinds = {
        picture: "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image",
        "camera_info": "sensor_msgs/msg/CameraInfo",
        "ground_truth/image": "sensor_msgs/msg/Image",
        "depth/image": "sensor_msgs/msg/Image",
        "depth/camera_info": "sensor_msgs/msg/CameraInfo",
    }
    kinds = {prefix + name: kind for name, kind in kinds.items()} | {"/diagnostics": _kind("DiagnosticArray")}
    kinds = {name: kind for name, kind in kinds.items() if name not in without}
    with BagWriter(path) as bag:
        for name, kind in kinds.items():
            bag.add(name, kind, qos.SENSOR)
        for index in range(frames):
            stamp = START_NS + index * PERIOD_NS
            head = messages.header(stamp, "camera")
            rgb = image(index)
            contents = {
                prefix + picture: messages.compressed_image(rgb, "png", head)
                if compressed
                else messages.image(rgb, head),
                prefix + "camera_info": messages.camera_info(camera, head),
                prefix + "ground_truth/image": messages.image(truth(), head),
                "/diagnostics": _diagnostics(TYPES, head),
                prefix + "depth/image": messages.image(
                    np.nan_to_num(truth(), nan=9.0) * np.float32(scale_of(index)), head
                ),
                prefix + "depth/camera_info": messages.camera_info(camera, head),
            }
            for name, content in contents.items():
                if name in kinds and not (index == 4 and "depth" in name):
                    bag.write(name, stamp + (latency_ns if "depth" in name else 1_000_000), content)
    return path


def _kind(name: str) -> str:
    return f"diagnostic_msgs/msg/{name}"


def _diagnostics(types: Any, head: Any) -> Any:
    pair = types.types[_kind("KeyValue")]
    values = [pair(*item) for item in (("backend", "<onnx>"), ("stage_ms: engine", "31.25"), ("dropped: busy", "1"))]
    status = types.types[_kind("DiagnosticStatus")](0, "depth: pipeline", "runs", "cpu", values)
    return types.types[_kind("DiagnosticArray")](head, [status])


class Browser:
    """A headless Chromium, spoken to over its debugging pipe (Chrome DevTools Protocol).

    Attributes:
        complaints: what pages wrote to the console as warning or error, exceptions and requests for anything.
    """

    def __init__(self, program: str, folder: Path) -> None:
        to_browser, to_us = os.pipe(), os.pipe()
        switches = ["--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--hide-scrollbars", "--mute-audio"]
        switches += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--remote-debugging-pipe"]
        # The browser takes commands on descriptor 3 and answers on 4.
        script = f'exec 3<&{to_browser[0]} 4>&{to_us[1]}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", program, *switches, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(to_browser[0], to_us[1]),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(to_us[1])
        self._out, self._in = os.fdopen(to_browser[1], "wb", 0), os.fdopen(to_us[0], "rb", 0)
        self._buffer, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []
        self._events: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, page: Path, width: int, height: int, phone: bool = False, dark: bool = False) -> None:
        """Show a file and wait until it has loaded."""
        self.complaints.clear()
        self._events.clear()
        scale = 2 if phone else 1
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=page.resolve().as_uri())
        deadline = time.monotonic() + 60
        while "Page.loadEventFired" not in self._events:
            assert time.monotonic() < deadline, "the page did not load"
            self.ask("1")
        self.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise's is waited for."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Move, press or release the left button: mouseMoved, mousePressed, mouseReleased."""
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def screenshot(self, whole: bool = False) -> bytes:
        """Return a PNG of what is seen, or of the whole page."""
        return base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def close(self) -> None:
        self._out.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._in.close()

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        self._out.write(json.dumps(command).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message)
                return message["result"]
            self._note(message)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = self._in.read(1 << 16)
            assert data, "the browser ended"
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(line)

    def _note(self, message: dict[str, Any]) -> None:
        method, content = message.get("method", ""), message.get("params", {})
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(content["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(content["args"]))
        elif method == "Log.entryAdded" and content["entry"]["level"] in ("error", "warning"):
            self.complaints.append(content["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not content["request"]["url"].startswith(("file:", "data:")):
            self.complaints.append(f"asked for {content['request']['url']}")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium or Chrome: ``$SPACE_CLIP_BROWSER``, else what is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "chromium-headless-shell")
    program = os.environ.get("SPACE_CLIP_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium or Chrome found; install one (apt install chromium) or set SPACE_CLIP_BROWSER")
    browser = Browser(program, tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()
