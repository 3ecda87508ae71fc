"""Uploading to the hub, up to the network: a server on this machine takes the place of the hub."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

from biotune.errors import InputError
from biotune.exports import export
from biotune.exports.hub import push, require_repository


class Hub(BaseHTTPRequestHandler):
    """Makes repositories and takes commits, for who has the right token."""

    def log_message(self, *args):
        pass

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def content(self):
        """What was sent, whole or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def may(self):
        return self.headers.get("Authorization") == "Bearer right"

    def do_GET(self):
        self.answer(200 if self.may() else 401, {"id": "me/photos", "sha": "0" * 40, "siblings": []})

    def do_POST(self):
        content = self.content()
        if not self.may():
            self.answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self.server.made.append(json.loads(content))
            self.answer(200, {"url": f"{self.server.address}/me/photos"})
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(content)["files"]
            self.answer(
                200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        else:
            for line in map(json.loads, content.splitlines()):
                if line["key"] == "file":
                    self.server.taken[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer(200, {"commitUrl": f"{self.server.address}/me/photos/commit/1", "commitOid": "1" * 40})


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.made, server.taken, server.address = [], {}, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "right")
    yield server
    server.shutdown()
    server.server_close()


def test_the_folder_is_uploaded_as_it_is(hub, finished, tmp_path):
    done = export(finished.folder, "hub", out=tmp_path / "export", push="me/photos")

    files = {path.relative_to(done.folder).as_posix(): path for path in done.folder.rglob("*") if path.is_file()}
    assert hub.taken == {name: path.read_bytes() for name, path in files.items()}
    assert {"README.md", "config.json", "model.safetensors", "labels.json", "predict.py"} <= set(hub.taken)
    assert (hub.made[0]["name"], "private" in json.dumps(hub.made[0])) == ("photos", True)
    assert done.address == f"{hub.address}/me/photos"


def test_who_may_not_is_told_so_in_one_sentence(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(
        InputError, match=r"^'.*' is complete, but was not uploaded to me/photos \(.*401.*hf auth login"
    ):
        push(tmp_path, "me/photos")


@pytest.mark.parametrize("offline", [True, False])
def test_offline_it_ends_at_once(offline, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    reason = "HF_HUB_OFFLINE is set" if offline else "no answer from http://127.0.0.1:9: are you offline?"
    with pytest.raises(InputError) as caught:
        push(tmp_path, "me/photos")
    assert f"({reason})" in str(caught.value)


@pytest.mark.parametrize("name", ["photos", "me/", "/photos", "me/my photos", "a/b/c", "../x", "me/phötos"])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match="give --push OWNER/NAME"):
        require_repository(name)
