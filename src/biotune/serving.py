"""A small web server for the page of a run: on this machine alone, for reading alone, behind a secret address."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from biotune.errors import BioTuneError, InputError
from biotune.report.live_page import live_page, waiting_page

ADDRESS = "127.0.0.1"
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer(ThreadingHTTPServer):
    """Serves the page of one folder at one path, ``/TOKEN/``; everything else is not found.

    It listens on the loopback address only. Without the token, which other users of the machine do not know, and with a
    ``Host`` of another name, as a hostile web page would send it, nothing is served.

    Args:
        folder: of a run or a comparison; it need not exist yet.
        port: to listen on; 0 for any free one.

    Raises:
        InputError: the port cannot be used.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.token = folder, secrets.token_urlsafe(16)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise InputError(
                f"cannot listen on port {port} ({error.strerror}); give another with --port, or 0 for any free one."
            ) from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """The values of the header ``Host`` that are served."""
        return f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"

    def page(self) -> str:
        """Return the page, or one that says why there is none."""
        try:
            return live_page(self.folder)
        except BioTuneError as error:
            return waiting_page(str(error))


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: PageServer
    timeout = 30
    server_version, sys_version = "biotune", ""

    def do_GET(self) -> None:
        """Send the page."""
        self._answer(with_page=True)

    def do_HEAD(self) -> None:
        """Send what a GET would send, without the page."""
        self._answer(with_page=False)

    def _answer(self, with_page: bool) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if not secrets.compare_digest(self.path.encode(), f"/{self.server.token}/".encode()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = self.server.page().encode()
        self.send_response(HTTPStatus.OK)
        for name, value in {**_HEADERS, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_page:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the terminal for the run."""


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve the page of a folder in a thread of this process while the caller works; yield its address."""
    with PageServer(folder, port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.url
        finally:
            server.shutdown()
