"""How a Python program sees a run: warnings of Python, a bar below the cell of a notebook, the report."""

import sys
import types
import warnings

import pytest

import biotune
import tiny
from biotune.errors import BioTuneWarning, InputError
from biotune.notebook import NotebookDisplay, Page, shown
from biotune.runs.events import Message, Progress


class Output:
    """The output below a cell, as IPython's ``display(..., display_id=True)`` gives it."""

    def __init__(self, shown):
        self.drawn = [shown._repr_html_()]

    def update(self, shown):
        self.drawn.append(shown._repr_html_())


@pytest.fixture
def outputs(monkeypatch):
    """What a notebook displays."""
    made = []

    def display(shown, display_id):
        assert display_id
        made.append(Output(shown))
        return made[-1]

    package, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return made


def test_a_notebook_has_one_output_whose_bar_goes_at_the_end(outputs):
    with NotebookDisplay() as display:
        display(Message("9 images of <b>cats</b>"))
        display(Progress("search", 3, 12, "candidate 4", 0.5, 75.0))
    (output,) = outputs
    said = "<div>9 images of &lt;b&gt;cats&lt;/b&gt;</div>"
    assert output.drawn[0] == ""
    assert output.drawn[1] == output.drawn[-1] == said
    assert output.drawn[2].startswith(said)
    assert '<progress value="0.292"' in output.drawn[2]  # 3.5 of 12
    assert "search 3/12 (candidate 4), about 1 min 15 s left" in output.drawn[2]


def test_a_notebook_is_drawn_seldom_within_a_step(outputs, monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    with NotebookDisplay() as display:
        for fraction in range(100):
            display(Progress("search", 0, 2, fraction=fraction / 100))
        display(Progress("search", 1, 2))
    assert len(outputs[0].drawn) == 4  # empty, step 0, step 1, the end


def test_warnings_are_those_of_python_and_name_the_line_that_called(capsys):
    with warnings.catch_warnings(record=True) as caught, shown(None) as observer:
        warnings.simplefilter("always")
        observer(Message("12 images are few.", warning=True))
        observer(Message("12 images."))
    (found,) = caught
    assert (found.category, str(found.message), found.filename) == (BioTuneWarning, "12 images are few.", __file__)
    assert capsys.readouterr().err == "12 images.\n"


def test_a_programs_own_observer_receives_all():
    heard = []
    with shown(heard.append) as observer:
        observer(Message("12 images are few.", warning=True))
    assert heard == [Message("12 images are few.", warning=True)]


def test_warnings_of_a_run_point_at_the_program(images, tmp_path, no_report):
    settings = {section: {**fields, **tiny.BRIEF.get(section, {})} for section, fields in tiny.TINY.items()}
    with pytest.warns(BioTuneWarning, match="Small images are upscaled") as caught:
        biotune.tune(images, out=tmp_path / "run", **settings)
    assert {one.filename for one in caught} == {__file__}


def test_the_report_is_shown_inside_a_frame_and_is_a_path_elsewhere(tmp_path):
    path = tmp_path / "report.html"
    path.write_text('<!doctype html><p title="a">cats & dogs</p>')
    page = Page(path)
    assert repr(page) == str(path)
    frame = page._repr_html_()
    assert frame.startswith(
        '<iframe srcdoc="&lt;!doctype html&gt;&lt;p title=&quot;a&quot;&gt;cats &amp; dogs&lt;/p&gt;"'
    )
    assert frame.count('"') == 6


def test_a_missing_report_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"there is no report '.*report\.html'; 'biotune status .*' says where"):
        Page(tmp_path / "report.html")
