"""A real browser for the tests that look at pages."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any


class Browser:
    """A headless Chromium, controlled over its debugging pipe (Chrome DevTools Protocol).

    Attributes:
        complaints: warnings and errors on the console, exceptions, and requests for anything but the page itself and
            what is below it.
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
        self._allowed: tuple[str, ...] = ("about:",)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, page: Path | str, width: int, height: int, phone: bool = False, dark: bool = False) -> None:
        """Show a file or a URL, and wait until it has loaded."""
        self.complaints.clear()
        self._events.clear()
        url = page if isinstance(page, str) else page.resolve().as_uri()
        self._allowed = ("file:", "data:") if isinstance(page, Path) else ("data:", url)
        scale = 2 if phone else 1
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=url)
        deadline = time.monotonic() + 60
        while "Page.loadEventFired" not in self._events:
            assert time.monotonic() < deadline, "the page did not load"
            self.ask("1")
        self.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; wait for it if it is a promise."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Move, press or release the left button: mouseMoved, mousePressed, mouseReleased."""
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def screenshot(self, whole: bool = False) -> bytes:
        """Return a PNG of the visible part, or of the whole page."""
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
        elif method == "Network.requestWillBeSent" and not content["request"]["url"].startswith(self._allowed):
            self.complaints.append(f"asked for {content['request']['url']}")
