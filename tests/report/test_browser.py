"""Pages in a browser without a window: nothing in its console, and no request for anything but the page."""

import json
import shutil
import subprocess

import made_up_comparison
import pytest
from made_up_run import HOSTILE, with_names, with_votes
from opened import opened, opened_comparison, opened_history

from biotune.report.comparison_figures import draw_comparison
from biotune.report.comparison_page import render_comparison
from biotune.report.live_page import waiting_page
from biotune.report.run_page import draw_figures, render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ITS_OWN = "not an origin"
"""Who asks, in the log of the network, where the browser asks for itself: for updates, or the time."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def seen(page, folder):
    """Return what the browser wrote into its console, and the addresses that it asked for besides the page."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    log = folder / "net.json"
    ended = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *(f"--user-data-dir={folder / 'profile'}", "--no-first-run", "--enable-logging=stderr"),
            *(f"--log-net-log={log}", "--window-size=390,900", "--dump-dom", (folder / "page.html").as_uri()),
        ],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    assert "</html>" in ended.stdout
    events = (json.loads(line.rstrip(",\n")) for line in log.read_text().splitlines() if '"initiator"' in line)
    requests = [event["params"] for event in events]
    console = [line for line in ended.stderr.splitlines() if ":CONSOLE:" in line]
    return console, sorted({one["url"] for one in requests if "url" in one and one["initiator"] != ITS_OWN})


def test_what_a_page_loads_and_writes_is_seen(tmp_path):
    """Else the other tests could not fail."""
    page = "<html><body><img src='http://127.0.0.1:9/a.png'><script>console.log('here')</script></body></html>"
    console, asked = seen(page, tmp_path)
    assert any("here" in line for line in console)
    assert asked == ["http://127.0.0.1:9/a.png"]


def test_the_page_of_a_run_loads_nothing_and_complains_of_nothing(summary, history, answered, tmp_path):
    run, done = opened(with_votes(summary)), opened_history(history)
    assert seen(render(run, done, draw_figures(run, done, answered), answered), tmp_path) == ([], [])


@pytest.mark.parametrize("name", HOSTILE[:7])
def test_no_name_makes_it_load_anything(name, summary, history, tmp_path):
    run, done = opened(with_names(summary, name)), opened_history(history)
    assert seen(render(run, done, draw_figures(run, done, None)), tmp_path) == ([], [])


def test_other_pages_load_nothing_and_complain_of_nothing(tmp_path):
    found = opened_comparison(made_up_comparison.comparison(("biotune", "full", "lora"), ("a", "b"), tuned=False))
    for number, page in enumerate(
        (render_comparison(found, draw_comparison(found)), waiting_page("There is no run yet."))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert seen(page, folder) == ([], [])
