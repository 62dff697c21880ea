# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a page in Chromium without a screen: its layout, a picture, a PDF.

Chromium reads commands of the DevTools protocol from descriptor 3 and writes answers to descriptor 4: objects of JSON, each
with a null byte behind it. So nothing listens on a port.
"""

import base64
import collections
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile

from common import Trouble

PROGRAM = "chromium"
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # root has to give it
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
#: bash passes the two pipes on under the numbers that Chromium expects.
_WITH_PIPES = 'exec "$@" 3<&"$COMMANDS" 4>&"$ANSWERS"'


@contextlib.contextmanager
def browser():
    """Start Chromium, and end it with all its processes. Raises Trouble if it is not installed."""
    program = shutil.which(PROGRAM)
    if not program:
        raise Trouble(f"{PROGRAM} is not installed: run tools/setup tests, or apt-get install {PROGRAM}")
    to_read, commands = os.pipe()
    answers, to_write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="pk-chromium.") as home:
        process = subprocess.Popen(
            ["bash", "-c", _WITH_PIPES, "bash", program, *_OPTIONS, f"--user-data-dir={home}", "about:blank"],
            env={**os.environ, "HOME": home, "COMMANDS": str(to_read), "ANSWERS": str(to_write)},
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            with open(commands, "wb", buffering=0) as out, open(answers, "rb", buffering=0) as back:
                yield Browser(out, back)
                out.write(b'{"id": 0, "method": "Browser.close"}\0')
                process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Browser:
    """A running Chromium with one page."""

    def __init__(self, commands, answers):
        self._commands, self._answers = commands, answers
        self._numbers = itertools.count(1)
        self._session = None
        self._unread = bytearray()
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def show(self, path, *, width, height=900, dark=False, printed=False):
        """Load a file in a window of this size in pixels, or as it is printed on paper of this width."""
        self.resize(width=width, height=height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", media="print" if printed else "screen", features=[scheme])
        self._call("Page.navigate", until="Page.loadEventFired", url=f"file://{path}")

    def resize(self, *, width, height=900):
        """Change the size of the window."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def evaluate(self, expression):
        """Return the value of an expression of JavaScript on the page."""
        said = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in said:
            raise Trouble(f"the page does not answer: {said['exceptionDetails']}")
        return said["result"].get("value")

    def roles(self):
        """Return how many elements of each role assistive technology finds on the page."""
        nodes = self._call("Accessibility.getFullAXTree")["nodes"]
        return collections.Counter(node["role"]["value"] for node in nodes if not node["ignored"])

    def picture(self, path, *, whole=False):
        """Write what the window shows, or the whole page, as PNG."""
        said = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        path.write_bytes(base64.b64decode(said["data"]))

    def pdf(self, path):
        """Write the page as it is printed on A4, as PDF."""
        said = self._call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        path.write_bytes(base64.b64decode(said["data"]))

    def _clip(self, whole):
        if not whole:
            return {}
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def _call(self, method, *, until=None, **parameters):
        """Send a command and return its result, with ``until`` only after this event."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        result = None
        while result is None or until:
            said = self._next()
            if said.get("id") == number:
                if "error" in said:
                    raise Trouble(f"{PROGRAM} refused {method}: {said['error']['message']}")
                result = said["result"]
            elif said.get("method") == until:
                until = None
        return result

    def _next(self):
        while (end := self._unread.find(b"\0")) < 0:
            said = self._answers.read(1 << 20)
            if not said:
                raise Trouble(f"{PROGRAM} ended before it answered")
            self._unread += said
        text = self._unread[:end]
        del self._unread[: end + 1]
        return json.loads(text)
