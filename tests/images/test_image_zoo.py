"""Every kind of file has one outcome, and it is the one that docs/data.md promises."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

import image_zoo
from biotune.images.decoding import UnreadableImageError, decode_with_facts, quiet
from image_zoo import Specimen
from medical_zoo import MEDICAL

ZOO = (*image_zoo.ZOO, *MEDICAL)
DOCS = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture
def outcome_of(tmp_path: Path):
    def examined(specimen: Specimen):
        path = tmp_path / specimen.name
        specimen.write(path)
        with quiet():
            return decode_with_facts(path)

    return examined


def _named(specimen: Specimen) -> str:
    return f"{specimen.kind} {specimen.name!a}"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("specimen", [specimen for specimen in ZOO if not specimen.reason], ids=_named)
def test_a_file_that_is_used(outcome_of, specimen: Specimen) -> None:
    image, facts = outcome_of(specimen)

    assert image.mode == "RGB"
    assert facts.notes == specimen.notes
    assert specimen.size in (None, image.size, (facts.width, facts.height))
    if specimen.corner is not None:
        assert np.abs(np.array(image.getpixel((0, 0))) - specimen.corner).max() <= 4


@pytest.mark.timeout(20)
@pytest.mark.parametrize("specimen", [specimen for specimen in ZOO if specimen.reason], ids=_named)
def test_a_file_that_is_left_out(outcome_of, specimen: Specimen) -> None:
    if specimen.reason == "Permission denied" and os.geteuid() == 0:
        pytest.skip("root may read every file")

    with pytest.raises(UnreadableImageError) as caught:
        outcome_of(specimen)

    assert specimen.reason in caught.value.reason


def _documented() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| (.+?) \| (used|left out[^|]*?) \|(.*)\|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    return {kind: (outcome, said) for kind, outcome, said in rows}


@pytest.mark.parametrize("specimen", ZOO, ids=_named)
def test_the_documented_outcome_is_the_expected_one(specimen: Specimen) -> None:
    outcome, said = _documented()[specimen.kind]
    promised = re.findall("`(.+?)`", said)

    assert outcome.startswith("left out" if specimen.reason else "used")
    assert all(part in specimen.reason or part in specimen.notes for part in promised)


def test_every_documented_kind_of_file_is_in_the_zoo() -> None:
    assert set(_documented()) == {specimen.kind for specimen in ZOO}
