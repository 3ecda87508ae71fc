"""The table of docs/texts.md is that of the result file."""

import json
from pathlib import Path

from benchmarks.texts import NETWORKS, SETS, table_lines

ROOT = Path(__file__).parent.parent.parent


def test_the_page_has_the_table_of_the_results():
    content = json.loads((ROOT / "docs" / "results" / "texts.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8")

    assert content["command"] in page
    assert "\n".join(table_lines(content)) in page
    assert [row["set"] for row in content["results"] if row["entry"] == NETWORKS[0]] == list(SETS)
    assert not [place for place in ("/home/", "/root/", "/tmp/", "/work/") if place in json.dumps(content)]
