"""How names, numbers, lists and times are written: the same on the terminal, in tables, figures, pages and errors."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.filesize import decimal

METHOD_NAMES = {
    "biotune": "BioTune",
    "refined": "Refined",
    "trained": "As trained",
    "full": "Full fine-tuning",
    "full_tuned": "Full, tuned rate",
    "mask_one_rate": "BioTune's mask, one rate",
    "linear_probe": "Linear probing",
    "probe": "Logistic regression",
    "lp_ft": "LP-FT",
    "l1_sp": "L1-SP",
    "l2_sp": "L2-SP",
    "gradual_last_first": "G-LF",
    "gradual_first_last": "G-FL",
    "auto_rgn": "AutoRGN",
    "lora": "LoRA",
    "llrd": "Layer-wise decay",
    "random": "Random search",
    "ga": "GA",
    "pso": "PSO",
    "rpso": "RPSO",
    "bat": "Bat algorithm",
    "firefly": "Firefly algorithm",
    "de": "DE",
    "dehb": "DEHB",
    "cmaes": "CMA-ES",
    "tpe": "TPE",
    "gp": "GP",
    "nsga2": "NSGA-II",
    "greedy": "Greedy blocks",
    "refit": "Refit",
}
"""Display name of each method and search, in the order of every table of a run."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REPLACED = {"Cc": " ", "Zl": " ", "Zp": " ", "Cs": "\N{REPLACEMENT CHARACTER}"}


def method_name(key: str) -> str:
    """Return the display name of ``name`` or ``name:option=value,...``, for example ``L2-SP (alpha=0.1)``.

    A method that has none is written as it is.
    """
    name, colon, options = key.partition(":")
    if name not in METHOD_NAMES:
        return key
    return METHOD_NAMES[name] + (f" ({options.replace(',', ', ')})" if colon else "")


def about(kind: str, words: str) -> str:
    """Return words about images as words about what a set holds, ``image`` or ``text``: ``Images`` becomes ``Texts``.

    The words must hold nothing that a user gave.
    """
    if kind == "image":
        return words
    return re.sub(r"\b(image|Image)(?=s?\b)", lambda found: kind.title() if found[0].istitle() else kind, words)


def printable(text: str, limit: int = 2000) -> str:
    """Return text without control characters, direction overrides and lone surrogates, cut to ``limit`` characters."""
    kept = (_REPLACED.get(unicodedata.category(char), char) for char in text[: limit + 1] if char not in _BIDI_CONTROLS)
    return shorten("".join(kept), limit)


def shorten(text: str, limit: int) -> str:
    """Return text of at most ``limit`` characters, an ellipsis standing for what was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def label(name: str, limit: int = 28) -> str:
    """Return a name fit for an axis or a table cell: printable, short, never empty."""
    return printable(name, limit).strip() or "(empty)"


def moment(text: str) -> str:
    """Write a time of ``summary.json`` for people, ``30 November 2026, 20:47``; what is no time stays as it is."""
    try:
        found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return label(text, 40)
    return f"{found.day} {_MONTHS[found.month - 1]} {found.year}, {found:%H:%M}"


def csv_cell(text: str) -> str:
    """Return a CSV cell that no spreadsheet takes for a formula, and that UTF-8 can hold."""
    known = text.encode(errors="replace").decode()
    return "'" + known if known[:1] in ("=", "+", "-", "@", "\t", "\r") else known


def count(number: int) -> str:
    """Write a count with commas between thousands."""
    return f"{number:,}"


def plural(number: int, noun: str, plural_noun: str = "") -> str:
    """Write a count with its noun: ``1 image``, ``1,234 images``; a plural without an ``s`` is given."""
    return f"{number:,} {noun if number == 1 else plural_noun or f'{noun}s'}"


def named_values(values: Mapping[str, object]) -> str:
    """Return what a recipe says besides its multipliers, as a sentence; empty where it says nothing."""
    pairs = [f"{label(name)} = {label(str(value))}" for name, value in values.items()]
    return f"All of its trainings have {listed(pairs)}." if pairs else ""


def listed(names: Sequence[str], limit: int = 8, conjunction: str = "and") -> str:
    """Join names in a sentence: ``a, b and c``, or ``a, b and 5 more`` where there are more than ``limit``."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"
    *others, last = names or [""]
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def failures(counts: Sequence[tuple[str, int, int]]) -> str:
    """Return sentences on final trainings without a score: of each name, how many diverged and were out of memory."""
    sentences = []
    for what, place in (("diverged", 1), ("did not fit into memory", 2)):
        named = [f"{row[0]} ({row[place]})" for row in counts if row[place]]
        number = sum(int(row[place]) for row in counts)
        if named:
            sentences.append(f"{plural(number, 'final training')} {what}: {listed(named, 60)}.")
    return " ".join(sentences)


def quoted(names: Sequence[str], limit: int = 3) -> str:
    """Join names in a sentence as ``listed`` does, each in single quotes."""
    return listed([f"'{name}'" for name in names], limit)


def percent(fraction: float | None, digits: int = 1, unit: str = "\N{NO-BREAK SPACE}%") -> str:
    """Write a fraction of 1 as per cent: ``0.8743`` becomes ``87.4 %``."""
    return MISSING if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.{digits}f}{unit}"


def share(fraction: float | None) -> str:
    """Write a share of parameters: with more digits where it is small, so that a trained head never reads 0 %."""
    return percent(fraction, 1 if fraction is None or fraction >= 0.01 or fraction == 0 else 2)


def points(difference: float | None) -> str:
    """Write a difference of two fractions in percentage points, with its sign: ``0.0152`` becomes ``+1.5``."""
    if difference is None or not math.isfinite(difference):
        return MISSING
    value = round(100 * difference, 1)
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{abs(value):.1f}"


def interval(low: float, high: float) -> str:
    """Write the ends of an interval of differences in percentage points."""
    return f"[{points(low)},\N{NO-BREAK SPACE}{points(high)}]"


def duration(seconds: float | None) -> str:
    """Write a time span with its two largest units: ``4.2 s``, ``41 s``, ``12 min 03 s``, ``3 h 20 min``."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def short_duration(seconds: float) -> str:
    """Write a time span for a narrow column: ``41 s``, ``9:43`` (minutes and seconds), ``3h20``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02d}" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02d}"


def cpu_seconds(seconds: float) -> str:
    """Write a CPU time: ``0.3 CPU s``, ``41 CPU s``, ``1,230 CPU s``."""
    return f"{seconds:.1f} CPU s" if round(seconds, 1) < 10 else f"{seconds:,.0f} CPU s"


def file_size(num_bytes: float) -> str:
    """Write a number of bytes with its decimal unit: ``512 bytes``, ``1.5 GB``."""
    return decimal(round(num_bytes))


def multiplier(value: float) -> str:
    """Write a learning-rate multiplier: ``frozen`` for 0, else a times sign and three significant digits."""
    return "frozen" if value == 0 else f"\N{MULTIPLICATION SIGN}{_significant(value)}"


def rate(value: float) -> str:
    """Write a learning rate with three significant digits."""
    return MISSING if value == 0 else _significant(value)


def memory(num_bytes: float | None) -> str:
    """Write a number of bytes in GiB, with two decimals below 10."""
    if num_bytes is None or not math.isfinite(num_bytes):
        return MISSING
    gib = num_bytes / 2**30
    return f"{gib:.2f}" if gib < 9.995 else f"{gib:.1f}"


def cost(full_finetunes: float | None) -> str:
    """Write a cost in units of one full fine-tune."""
    return MISSING if full_finetunes is None or not math.isfinite(full_finetunes) else f"{full_finetunes:.1f}"


def parameters(number: int) -> str:
    """Write a number of parameters in thousands or millions: ``1.28 M``."""
    for size, suffix in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:#.3g}".rstrip(".") + f"\N{NO-BREAK SPACE}{suffix}"
    return str(number)


def _significant(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
