"""One word for one thing, and plain English: words that the glossary replaces, phrases that no colleague would write.

A row is a regular expression and what to write in its place. A new word for an old thing goes into the glossary first.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("*.md", "docs/*.md", "benchmarks/*.md")
CODE = ("src/biotune/**/*.py", "src/biotune/report/templates/*", "benchmarks/**/*.py", "examples/*.py", "docs/*.py")
FILES = sorted({path for pattern in DOCUMENTS + CODE for path in ROOT.glob(pattern)} - {ROOT / "docs" / "settings.md"})
"""All prose and all code; settings.md is made from the code, where its words are checked."""

SYNONYMS = {
    r"adoptions?": "adaptation",
    r"biotune\.(bench|data|fitness|genotype)": "benchmarks; images, datasets, pixels, inspection; trials; space",
    r"chromosomes?": "individual, genes",
    r"contenders?|entrants?|contests?": "entry; comparison",
    r"genotypes?": "genes, space",
    r"hyperparameters?": "settings, options",
    r"intake|take_in": "loading",
    r"likeness": "near duplicate; similarity",
    r"lr_ratios?": "multipliers",
    r"rivals?": "other methods, other searches, baselines",
    r"rulers?": "the full fine-tune that is the unit of cost",
    r"set_ids?": "block",
}
"""Words for things that have a name in docs/glossary.md."""

COMPARED = "longer|less|more|better|worse|fewer|lower|higher|larger|smaller|later|earlier|faster|slower|wider"
NOTHING = "need|reason|room|way|such|limit|test|validation|difference|evidence|doubt|problem|matter"
PHRASES = {
    r"anew": "again, from the start",
    r"as dear as|dearer|dearest|is dear": "expensive",
    r"bearable": "a limit in numbers",
    r"cannot be had|(is|are) to be had|can be had": "is not available",
    r"dealt to": "divided into",
    r"forth and back": "in both directions",
    r"go(es)? on (from|where|with|past)|gone on from|going on uses": "continue, resume",
    rf"(?<!there )(is|are) no (?!({COMPARED}|{NOTHING})\b)[a-z]+(?= that| of| in|[.,;:]|$)": "is not a ...",
    r"(is|are) no independent": "is not independent",
    r"(is|are) none either": "is not ... either",
    r"likewise": "say it again, or say 'the same'",
    r"mend(s|ed|ing)?": "fix",
    r"seldom": "rarely",
    r"told (apart|from)": "distinguished from; no clear difference",
    r"turned about": "reflected",
    r"uses? (it|its tensors|them) up": "consumes",
    r"whither|thereby|therein|whereof|thereof|hitherto": "plain words",
    r"without end": "endless",
}
"""Phrases that a reader would have to translate."""

ELLIPSES = r"^\s+\w+: (of|for) (the|a|its) \w+\.$"
"""A line of ``Args:`` that says nothing: ``session: of the run.``"""

NOT_PROSE = r"^```.*?^```$|<!-- [^>]*?(?:made|written) by .*?<!-- end of .*?-->|`[^`]+`|\]\([^)\s]+\)"
"""Of a page: tables that are made from results or from the code, code, and addresses."""


def prose(path: Path) -> str:
    """Return the text of a file, without what is not prose on a page; lines keep their numbers."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        return text
    return re.sub(NOT_PROSE, lambda match: "`" + "\n" * match[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)


def offences(path: Path) -> list[str]:
    """Return where a file uses a banned word: ``line: word -> instead``."""
    rows = []
    for number, line in enumerate(prose(path).splitlines(), 1):
        for pattern, instead in {**SYNONYMS, **PHRASES}.items():
            rows += [
                f"{number}: '{match[0]}' -> {instead}"
                for match in re.finditer(rf"(?<![\w.-])(?:{pattern})(?![\w-])", line, re.IGNORECASE)
            ]
        if re.search(ELLIPSES, line) and path.suffix == ".py":
            rows.append(f"{number}: '{line.strip()}' -> say what it is, or leave the line out")
    return rows


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(ROOT).as_posix() for path in FILES])
def test_a_file_uses_the_words_of_the_glossary(path: Path) -> None:
    assert offences(path) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Its fitness is no lower, and there is no network, so nothing is used up.",
        "They are no longer needed; there is no need. It is not copied from there.",
        "See `benchmarks.intake`, `--rivals` and [a page](intake.md).",
        "The search goes on.",
    ],
)
def test_good_english_passes(sentence: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(sentence)

    assert offences(page) == []


@pytest.mark.parametrize(
    ("sentence", "instead"),
    [
        ("These are no copies.", "is not a ..."),
        ("It goes on from there.", "continue, resume"),
        ("The rival's work is as dear as the search.", "expensive"),
        ("They cannot be told apart.", "distinguished from; no clear difference"),
    ],
)
def test_what_nobody_would_write_is_refused(sentence: str, instead: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(sentence)

    assert instead in " ".join(offences(page))


def test_the_glossary_is_in_order_and_has_each_word_once() -> None:
    rows = re.findall(r"^\| ([^|]+?) \|", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    words = [row for row in rows if row != "word"]

    assert words == sorted(set(words), key=str.lower)
