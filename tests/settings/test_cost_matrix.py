"""The cost matrix: read from a file, checked, and put in the order of a network's classes."""

import pytest

from biotune.errors import InputError
from biotune.settings.costs import MOST_CLASSES, checked_costs, costs_of, read_costs
from biotune.settings.refine import RefineConfig

PLAIN = "true class,cat,dog\ncat,0,1\ndog,5,0\n"


def written(tmp_path, text, encoding="utf-8"):
    (tmp_path / "costs.csv").write_bytes(text.encode(encoding))
    return str(tmp_path / "costs.csv")


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "\ufeff,cat,dog\r\ncat,0,1\r\n\r\ndog,5,0\r\n",
        ',dog, cat\n"cat",1,0\n dog ,0,5e0\n',  # rows decide the order
    ],
)
def test_a_matrix_is_read(tmp_path, text):
    assert read_costs(written(tmp_path, text)) == (("cat", (0.0, 1.0)), ("dog", (5.0, 0.0)))


def test_it_is_put_in_the_order_of_the_classes(tmp_path):
    rows = read_costs(written(tmp_path, "x,a,b,c\na,0,1,2\nb,3,0,4\nc,5,6,0\n"))

    assert costs_of(rows, ("c", "a", "b")) == [[0, 5, 6], [2, 0, 1], [4, 3, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; its first line names the answers"),
        ("x,cat,dog\n", "is empty"),
        ("x,cat,dog\ncat,0,1\n", "has 'dog' either as an answer or as a true class"),
        ("x,cat\ncat,0\ndog,1\n", "has 'dog' either as an answer or as a true class"),
        ("x,cat,dog\ncat,0\ndog,1,0\n", "has 1 costs in line 2, not one for each of 2 answers"),
        ("x,cat,dog\ncat,0,1,2\ndog,1,0\n", "has 3 costs in line 2"),
        ("x,cat,cat\ncat,0,1\n", "has 'cat' twice in its first line"),
        ("x,cat,dog\ncat,0,1\ncat,0,1\n", "has two lines for 'cat'"),
        ("x,cat,\ncat,0,1\n,1,0\n", "has an empty name in its first line"),
        ("x,cat,dog\ncat,0,one\ndog,1,0\n", "has 'one' in line 2; a cost is a number of at least 0"),
        ("x,cat,dog\ncat,0,-1\ndog,1,0\n", "has '-1' in line 2"),
        ("x,cat,dog\ncat,0,nan\ndog,1,0\n", "has 'nan' in line 2"),
        ("x,cat,dog\ncat,0,\u0661\ndog,1,0\n", "in line 2; a cost is a number"),
        ("x,cat,dog\ncat,0,0\ndog,0,0\n", "has no cost above 0"),
        ('x,"cat\ncat,0\n', "is not CSV"),
    ],
)
def test_what_is_not_a_matrix_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_costs(written(tmp_path, text))


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="cannot read the cost matrix"):
        read_costs(str(tmp_path / "nothing.csv"))
    with pytest.raises(InputError, match="Is a directory"):
        read_costs(str(tmp_path))
    with pytest.raises(InputError, match="is not a text in UTF-8"):
        read_costs(written(tmp_path, PLAIN.replace("cat", "k\u00e4tzchen"), "latin-1"))


def test_too_many_classes():
    count = MOST_CLASSES + 1
    with pytest.raises(InputError, match="151 classes; there may be 150 at most"):
        checked_costs(tuple((str(one), (1.0,) * count) for one in range(count)))


@pytest.mark.parametrize(
    ("names", "message"), [(("cat",), "has a row for 'dog'"), (("cat", "dog", "emu"), "no row for 'emu'")]
)
def test_other_classes_are_refused(tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        costs_of(read_costs(written(tmp_path, PLAIN)), names)


def test_matrix_and_objective_belong_together():
    rows = (("cat", (0.0, 1.0)), ("dog", (5.0, 0.0)))
    with pytest.raises(ValueError, match="add --objective costs"):
        RefineConfig(costs=rows)
    with pytest.raises(ValueError, match="needs a cost matrix: add --costs FILE"):
        RefineConfig(objective="costs")
    with pytest.raises(ValueError, match="needs 2 numbers of at least 0 for 'dog'"):
        RefineConfig(objective="costs", costs=(("cat", (0.0, 1.0)), ("dog", (5.0,))))
    assert RefineConfig(objective="costs", costs=rows).measure(("dog", "cat")).name == "mean cost"
