"""What pages do in a browser: nothing, whatever the names are, also where no policy forbids it."""

from dataclasses import replace

import made_up_comparison
import pytest
from made_up_run import HOSTILE, with_names
from opened import opened, opened_comparison, opened_history

import browser
from biotune.report.comparison_figures import draw_comparison
from biotune.report.comparison_page import render_comparison
from biotune.report.figures import to_svg
from biotune.report.run_page import draw_figures, render
from biotune.serving import served

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="there is no Chromium")
ACTING = "".join(name for name in HOSTILE if "<" in name or ":" in name)


@pytest.fixture(scope="module")
def window():
    with browser.Browser() as opened_browser:
        yield opened_browser


@pytest.mark.parametrize(
    ("markup", "noticed"),
    [
        ("<script>console.log('it ran')</script>", "it ran"),
        ("<script>throw 'it threw'</script>", "Uncaught"),
        ("<img src=x: onerror=alert('asked')>", "asked"),
        ("<img src=http://evil.example/x.png>", "http://evil.example/x.png"),
        ("<meta http-equiv=refresh content='0;url=http://evil.example/x'>", "http://evil.example/x"),
    ],
)
def test_what_a_page_does_is_noticed(markup, noticed, window, tmp_path):
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    (tmp_path / "page.html").write_text(f"<!doctype html>{policy}<title>page</title>{markup}")
    assert noticed in window.open(tmp_path / "page.html", without_policy=True).did


def test_a_refused_script_is_noticed_too(window, tmp_path):
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    (tmp_path / "page.html").write_text(f"<!doctype html>{policy}<script>console.log('it ran')</script>")
    assert "Content Security Policy" in window.open(tmp_path / "page.html").did[0]


def test_a_page_with_hostile_names_does_nothing(summary, history, answered, window, tmp_path):
    found, done = opened(with_names(summary, ACTING)), opened_history(history)
    figures = draw_figures(found, done, replace(answered, classes=(ACTING,) * 6, paths=(ACTING,) * 12))
    (tmp_path / "run.html").write_text(render(found, done, figures), encoding="utf-8")
    compared = opened_comparison(made_up_comparison.with_names(ACTING))
    page = render_comparison(compared, draw_comparison(compared))
    (tmp_path / "comparison.html").write_text(page, encoding="utf-8")
    for number, figure in enumerate(figures.values()):
        (tmp_path / f"{number}.svg").write_text(to_svg(figure), encoding="utf-8")

    paths = sorted(tmp_path.iterdir())
    assert len(paths) > 4
    assert [window.open(path).did for path in paths] == [[]] * len(paths)
    pages = [path for path in paths if path.suffix == ".html"]
    assert [window.open(path, without_policy=True).did for path in pages] == [[], []]


def test_the_live_page_does_nothing(window, tmp_path):
    with served(tmp_path / "<script>alert(1)") as url:
        seen = window.visit(url)
    assert seen.did == []
    assert "&lt;script&gt;alert(1)" in seen.source
