"""``biotune serve``: a page that follows a run, for this machine alone, and who is refused."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

import tiny
from biotune.errors import InputError
from biotune.report.live_page import live_page
from biotune.runs.folder import StopSignal
from biotune.runs.so_far import so_far
from biotune.serving import PageServer, served
from pretended import pretend


def asked(url: str, method: str = "GET", path: str | None = None, **headers: str) -> tuple[int, str, dict[str, str]]:
    """Return status, content and headers of an answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request(method, parts.path if path is None else path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def stopped(images, tmp_path_factory):
    """A run that was stopped in the search, after some trainings; not to be changed."""
    folder, stop, trained = tmp_path_factory.mktemp("stopped") / "run", StopSignal(), []

    def evaluate(worker, task):
        trained.append(task)
        stop.requested = len(trained) > 4
        return worker.evaluate(task)

    with pytest.MonkeyPatch.context() as patch:
        pretend(patch, evaluate)
        with pytest.raises(Exception, match="stopped"):
            tiny.run(tiny.tiny_config(images), folder, stop=stop)
    return folder


def test_the_page_of_a_run_at_work_says_how_far_it_has_come(stopped):
    found, page = so_far(stopped), live_page(stopped)
    searched = next(step for step in found.steps if step.phase == "search")
    assert 0 < searched.done < searched.total
    assert f"{searched.done} of {searched.total}" in page
    assert found.status.candidates == len(found.tried) > 0
    assert [row.fitness for row in found.tried] == sorted((row.fitness for row in found.tried), reverse=True)
    assert f"{found.tried[0].fitness:.4f}" in page
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "run the same command to continue" in page
    assert "<script" not in page


def test_the_page_of_a_finished_run_is_its_report(finished):
    assert live_page(finished.folder) == (finished.folder / "report.html").read_text(encoding="utf-8")


def test_who_knows_the_address_gets_the_page_and_nobody_else(stopped):
    with served(stopped) as url:
        status, page, headers = asked(url)
        assert (status, page) == (200, live_page(stopped))
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "biotune" in headers["Server"]
        assert asked(url, "HEAD")[:2] == (200, "")
        port = urlsplit(url).port
        assert asked(url, Host=f"localhost:{port}")[0] == 200
        assert asked(url, Host="evil.example")[0] == 403  # a name that a hostile page points at this machine
        assert asked(url, Host=f"evil.example:{port}")[0] == 403
        for path in ("/", "/run.sqlite", "/../", f"{urlsplit(url).path}run.sqlite", f"{urlsplit(url).path}../"):
            assert asked(url, path=path)[0] == 404
        assert asked(url, "POST")[0] == 501
        assert asked(url, "PUT")[0] == 501


def test_the_server_listens_on_the_loopback_address_alone(stopped):
    with PageServer(stopped) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert len(server.token) >= 20
        with PageServer(stopped) as other:
            assert other.token != server.token
        with pytest.raises(InputError, match=f"cannot listen on port {server.server_port} .*; give another"):
            PageServer(stopped, server.server_port)


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path):
    """As for the first second of ``tune --serve``."""
    with served(tmp_path / "later") as url:
        status, page, _ = asked(url)
    assert status == 200
    assert "Nothing to show yet" in page
    assert "holds no run of biotune" in page


def test_names_are_escaped(tmp_path):
    with served(tmp_path / "<script>alert(1)") as url:
        assert "<script>" not in asked(url)[1]


def test_the_command_shows_the_page_until_it_is_interrupted(finished):
    command = [sys.executable, "-m", "biotune", "serve", str(finished.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        url = re.search(r"http://\S+", line)[0]
        assert asked(url)[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", urlsplit(url).port), 5):
        pass


def test_a_folder_without_a_run_is_refused(cli, tmp_path):
    done = cli("serve", tmp_path)
    assert done.code == 2
    assert "holds no run of biotune; give the folder that --out named" in done.err


def test_a_run_says_where_its_page_is(cli, images, tmp_path):
    sizes = ("--population", 2, "--generations", 0, "--seeds", 1, "--baselines", "none", "--epochs", 1)
    network = ("--model", tiny.NETWORK, "--weights", "random", "--image-size", 32, "--threads", 1)
    done = cli("tune", images, *network, *sizes, "--serve", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    url = re.search(r"Open (http://127\.0\.0\.1:\d+/\S+/)", done.err)[1]
    with pytest.raises(OSError, match="refused"):
        asked(url)


def test_a_page_takes_little_time(stopped):
    """It is asked for every ten seconds: below a hundredth of a run."""
    live_page(stopped)
    start = time.process_time()
    for _ in range(5):
        live_page(stopped)
    assert (time.process_time() - start) / 5 < 0.1
