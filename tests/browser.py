"""A headless Chromium that notes what a page does: scripts that speak, dialogs, and requests."""

import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Path of the browser; None where there is none."""

_STARTING = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""The browser speaks over the file descriptors 3 and 4."""

PATIENCE_S = 60.0
SETTLING_S = 0.5
"""How long a page is watched after it was loaded."""


@dataclass
class Seen:
    """What a page did.

    Args:
        said: what its scripts and the browser's console said; a refused script is said too.
        dialogs: what its dialogs said.
        requests: addresses that it asked for, beside its own.
        source: its document as the browser holds it.
    """

    said: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    source: str = ""

    @property
    def did(self) -> list[str]:
        """Everything that a page without scripts does not do."""
        return [*self.said, *self.dialogs, *self.requests]


def _far_pipe() -> tuple[int, int]:
    """Return both ends of a pipe, neither of them 3 or 4."""
    near = os.pipe()
    reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in near)
    for end in near:
        os.close(end)
    return reading, writing


class Browser:
    """One browser process, spoken to by its pipe in the DevTools protocol."""

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="biotune-browser-", ignore_cleanup_errors=True)
        (reading, self._to), (self._from, writing) = _far_pipe(), _far_pipe()
        self._numbers, self._rest = itertools.count(1), b""
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", _STARTING, str(reading), str(writing)),
                *(str(PROGRAM), *flags, f"--user-data-dir={self._profile.name}"),
            ],
            pass_fds=(reading, writing),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reading)
        os.close(writing)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def visit(self, url: str) -> Seen:
        """Open a page and watch it until shortly after it was loaded.

        Raises OSError: there is no such page; TimeoutError: the browser does not answer, or the page is never loaded.
        """
        seen = Seen()
        target = self._ask("Target.createTarget", {"url": "about:blank"}, seen)["targetId"]
        session = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True}, seen)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable", {}, seen, session)
        if "errorText" in (answer := self._ask("Page.navigate", {"url": url}, seen, session)):
            raise OSError(f"{url}: {answer['errorText']}")
        self._listen(seen, session, until="Page.loadEventFired", seconds=PATIENCE_S)
        self._listen(seen, session, until="", seconds=SETTLING_S)
        whole = {"expression": "document.documentElement.outerHTML"}
        seen.source = self._ask("Runtime.evaluate", whole, seen, session)["result"]["value"]
        self._ask("Target.closeTarget", {"targetId": target}, seen)
        own = url.partition("#")[0]
        seen.requests = [asked for asked in seen.requests if asked != own and not asked.startswith("data:")]
        return seen

    def open(self, path: Path, without_policy: bool = False) -> Seen:
        """Visit a file; on demand, a copy that lacks the policy which forbids scripts and requests."""
        if not without_policy:
            return self.visit(path.absolute().as_uri())
        copy = Path(self._profile.name) / f"copy{path.suffix}"
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".html" and 'http-equiv="Content-Security-Policy"' not in text:
            raise ValueError(f"{path} has no policy")
        copy.write_text(text.replace('http-equiv="Content-Security-Policy"', ""), encoding="utf-8")
        return self.visit(copy.as_uri())

    def _ask(self, method: str, parameters: dict[str, Any], seen: Seen, session: str = "") -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        limit = time.monotonic() + PATIENCE_S
        while (answer := self._next(limit)) is not None:
            if answer.get("id") == number:
                return answer.get("result", {})  # type: ignore[no-any-return]
            self._note(answer, seen, session)
        raise TimeoutError(f"the browser does not answer to {method}")

    def _listen(self, seen: Seen, session: str, until: str, seconds: float) -> None:
        limit = time.monotonic() + seconds
        while (message := self._next(limit)) is not None:
            self._note(message, seen, session)
            if message.get("method") == until:
                return
        if until:
            raise TimeoutError("the page is never loaded")

    def _note(self, message: dict[str, Any], seen: Seen, session: str) -> None:
        if message.get("sessionId") != session:
            return
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled":
                seen.said.append(" ".join(str(value.get("value")) for value in parameters["args"]))
            case "Runtime.exceptionThrown":
                seen.said.append(parameters["exceptionDetails"]["text"])
            case "Log.entryAdded":
                seen.said.append(parameters["entry"]["text"])
            case "Page.javascriptDialogOpening":
                seen.dialogs.append(parameters["message"])
                self._send_only("Page.handleJavaScriptDialog", {"accept": False}, session)
            case "Network.requestWillBeSent":
                seen.requests.append(parameters["request"]["url"])

    def _send_only(self, method: str, parameters: dict[str, Any], session: str) -> None:
        message = {"id": next(self._numbers), "method": method, "params": parameters, "sessionId": session}
        os.write(self._to, json.dumps(message).encode() + b"\0")

    def _next(self, limit: float) -> dict[str, Any] | None:
        """Return the browser's next message; None if none comes in time."""
        while b"\0" not in self._rest:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                return None
            piece = os.read(self._from, 2**16)
            if not piece:
                return None
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)  # type: ignore[no-any-return]
