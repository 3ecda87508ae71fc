"""Values that are typed in a form of their own."""

import pytest

from biotune.errors import InputError
from biotune.settings.reading import read_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("45s", 45),
        ("30m", 1800),
        ("1h30m", 5400),
        ("1h", 3600),
        ("1h1m1s", 3661),
        ("0.5m", 30),
        (" 2s ", 2),
    ],
)
def test_durations(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["abc", "", "0", "-5m", "30 minutes", "1m1h", "1d", "m", "nan", "1e3"])
def test_other_durations_are_refused(text):
    with pytest.raises(InputError, match=rf"the duration '{text}' cannot be read; write seconds, or for example 45s"):
        read_duration(text)
