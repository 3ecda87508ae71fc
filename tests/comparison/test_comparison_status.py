"""Where a comparison stands, while it works, when it was stopped and at its end."""

import json

import pytest

from biotune.comparison import ComparePlan, parse_entries
from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.runs.comparisons import comparison_status, finished_comparison
from biotune.runs.events import Progress
from biotune.runs.folder import StopSignal
from tiny import BRIEF, compare, tiny_config, write_classes


@pytest.fixture(scope="module")
def plan(images, tmp_path_factory):
    other = write_classes(tmp_path_factory.mktemp("more") / "other", first_seed=7)
    return ComparePlan(tiny_config(images, BRIEF), (str(images), str(other)), parse_entries("full,llrd"), tuned=False)


@pytest.fixture(scope="module")
def stopped(plan, tmp_path_factory):
    """Stopped after one training on the second data set, and what was said of it meanwhile."""
    folder, seen = tmp_path_factory.mktemp("stopped") / "out", []
    stop = StopSignal()

    def observe(event):
        if isinstance(event, Progress):
            seen.append((comparison_status(folder), event.seconds_left))
            stop.requested = seen[-1][0].data_sets[1].trainings == 1

    with pytest.raises(InterruptedRunError):
        compare(plan, folder, observer=observe, stop=stop)
    return folder, seen


def test_while_it_works(stopped):
    first, last = stopped[1][0][0], stopped[1][-1][0]
    assert [one.status for one in first.data_sets] == ["running", "waiting"]
    assert [one.status for one in last.data_sets] == ["finished", "running"]
    assert {found.status for found, _ in stopped[1]} == {"running"}
    assert first.seconds_left is None
    assert "running; 1 of 2 data sets done, now other; " in last.sentence()


def test_the_time_left_is_what_the_comparison_itself_says(stopped):
    """Of this data set and of the one to come; the comparison takes off what the present training has taken."""
    said: dict[float, list[float]] = {}
    for found, left in stopped[1]:
        if found.seconds_left is not None:
            said.setdefault(found.seconds_left, []).append(left)
    assert len(said) > 1
    assert [max(lefts) for lefts in said.values()] == pytest.approx(list(said), rel=0.1)


def test_when_it_was_stopped(stopped, cli):
    folder = stopped[0]
    found = cli("status", folder)
    assert "out: stopped; 1 of 2 data sets done; " in found.out
    assert found.out.endswith(" left; run the same command to continue.\n")
    report = cli("report", folder)
    assert (report.code, report.out) == (2, "")
    assert f"'{folder}' holds no finished comparison; see 'biotune status {folder}'." in report.err
    with pytest.raises(InputError, match="holds no finished comparison"):
        finished_comparison(folder)


def test_at_its_end(plan, cli, tmp_path):
    folder = tmp_path / "out"
    comparison = compare(plan, folder)
    found = cli("status", folder)
    assert "out: finished; 2 of 2 data sets done; " in found.out
    assert found.out.endswith("; open its comparison.html.\n")
    assert json.loads(cli("status", folder, "--json").out)["seconds_left"] is None
    assert json.loads(cli("report", folder, "--json").out) == json.loads(json.dumps(comparison))
    tables = cli("report", folder).out
    assert "Layer-wise decay" in tables
    assert f"Report:  {folder / 'comparison.html'}\n" in tables


def test_a_changed_result_is_named_until_the_command_writes_it_again(plan, cli, tmp_path):
    folder = tmp_path / "out"
    compare(plan, folder)
    path = folder / "comparison.json"
    whole = json.loads(path.read_text())
    path.write_text(path.read_text().replace('"verdict": "', '"verdict":  "', 1))
    assert json.loads(path.read_text()) == whole  # it reads as before: only the digest tells
    done = cli("report", folder)
    assert done.code == 4
    assert f"'{path}' is not as the run left it; run the same command again" in done.err
    compare(plan, folder)
    assert cli("report", folder).code == 0


@pytest.mark.parametrize("name", ["plan.json", "comparison.json"])
@pytest.mark.parametrize("content", ["", "[]", '{"data": 3'])
def test_a_damaged_file_is_named(name, content, tmp_path):
    (tmp_path / "plan.json").write_text('{"data": [], "methods": []}')
    (tmp_path / name).write_text(content)
    with pytest.raises(DamagedStateError, match=f"{name}' is damaged"):
        (comparison_status if name == "plan.json" else finished_comparison)(tmp_path)
