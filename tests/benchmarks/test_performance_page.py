"""The tables of docs/performance.md are those of the result files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_made_from_the_results():
    command = [sys.executable, "-m", "benchmarks.performance", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ["throughput", "scale", "search", "search_paper", "search_reference"])
def test_a_result_says_how_it_was_made_and_names_no_place(file):
    name, _, _ = file.partition("_")
    text = (ROOT / "docs" / "results" / f"{file}.json").read_text(encoding="utf-8")
    content = json.loads(text)

    assert content["benchmark"] == name
    assert content["command"].startswith((f"python -m benchmarks {name}", f"biotune bench {name}"))
    assert {"cpu", "threads", "load_average"} <= set(content["machine"])
    assert not [place for place in ("/home/", "/root/", "/tmp/", "/work/") if place in text]
