"""How the trainings went: a panel for each method, on one scale."""

import pytest
from matplotlib.colors import to_hex

from biotune.report import figures
from biotune.report.training_figures import learning_curves, panels_of
from biotune.results.history import Curve

SEED = 7


def curve(method, train=(), loss=(), accuracy=()):
    return Curve(
        label=method, method=method, seed=SEED, train_loss=train, validation_loss=loss,
        validation_accuracy=accuracy, validation_score=accuracy,
    )  # fmt: skip


def lines(axes):
    return [line.get_ydata().tolist() for line in axes.get_lines()]


def test_equal_curves_have_panels_of_their_own():
    same = {"train": (1.0, 0.5, 0.2)}
    figure = learning_curves(panels_of([curve("biotune", **same), curve("full", **same), curve("full", **same)]))
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["BioTune", "Full fine-tuning"]
    assert lines(first) == [[1.0, 0.5, 0.2]]
    assert lines(second) == [[1.0, 0.5, 0.2]] * 2
    assert first.get_ylim() == second.get_ylim()
    assert (first.get_ylabel(), first.get_yscale()) == ("loss, nats", "log")
    assert not any("$" in label.get_text() for label in first.get_yticklabels())
    assert not figure.legends  # one kind of line only


def test_the_loss_on_validation_images_stands_beside_that_of_training():
    one = curve("biotune", (1.0, 0.1), (0.9, 1.2), (0.5, 0.4))
    loss, accuracy = learning_curves(panels_of([one])).axes
    training, validation = loss.get_lines()
    assert (training.get_ydata().tolist(), validation.get_ydata().tolist()) == ([1.0, 0.1], [0.9, 1.2])
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert to_hex(training.get_color()) != to_hex(validation.get_color())
    line, dot = accuracy.get_lines()
    assert line.get_ydata().tolist() == [50, 40]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (1, 50)
    (legend,) = learning_curves(panels_of([one])).legends
    assert [text.get_text() for text in legend.get_texts()] == ["training loss", "validation loss"]


def test_older_runs_have_accuracies_alone():
    figure = learning_curves(panels_of([curve("full", accuracy=(0.1, 0.5, 0.3))]))
    (axes,) = figure.axes
    assert axes.get_ylabel() == "validation accuracy, %"
    assert lines(axes) == [[10, 50, 30], [50]]


def test_what_is_fitted_at_once_has_no_panel():
    curves = [curve("biotune", (1.0, 0.5)), curve("probe", (0.4,))]
    assert [name for name, _ in panels_of(curves)] == ["BioTune"]
    assert panels_of([curve("probe", (0.4,))]) == []


def test_accuracies_of_one_panel_alone_are_not_drawn():
    """The trainings of the search held images out, the final ones did not: a row of empty panels would say nothing."""
    judged = [curve("biotune", (1.0, 0.6), (1.1, 0.9), (0.5, 0.6))]
    figure = learning_curves(panels_of([curve("biotune", (1.0, 0.5))], judged))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss, nats", ""]


def test_trainings_of_the_search_come_second():
    judged = [curve("biotune", (1.0, 0.6), (1.1, 0.9))]
    panels = panels_of([curve("biotune", (1.0, 0.5)), curve("full", (1.0, 0.4))], judged)
    assert [name for name, _ in panels] == ["BioTune", "BioTune, in the search", "Full fine-tuning"]
    assert panels[1][1] == judged


@pytest.mark.parametrize("count", [1, 7])
def test_it_draws_whatever_the_number_of_methods(count):
    curves = [curve(f"method {number}", (1.0, 0.5), (1.0, 0.9), (0.5, 0.6)) for number in range(count)]
    figure = learning_curves(panels_of(curves))
    assert figures.to_png(figure).startswith(b"\x89PNG")
    assert len(figure.axes) == 2 * count
