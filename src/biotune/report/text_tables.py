"""Tables as text files: Markdown to read, LaTeX to print."""

import re
from collections.abc import Iterator, Sequence

from biotune import wording

Cell = tuple[str, bool]
"""Text, and whether it is bold."""

LATEX_HEAD = "% Needs \\usepackage{booktabs} and an engine that reads UTF-8."
"""First line of a file with LaTeX tables."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", wording.MINUS: "$-$", wording.MISSING: "--",
    "\N{NO-BREAK SPACE}": "~", "“": "``", "”": "''", "[": "{[}", "]": "{]}",
}  # fmt: skip
_MARKDOWN = re.compile(r"[\\`*_<>#|~$]|\](?=[(:\[])")


def markdown(value: str) -> str:
    """Escape every character that Markdown or HTML could take for more than itself."""
    return _MARKDOWN.sub(r"\\\g<0>", wording.printable(value)).replace("&", "&amp;")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Cell]], align: str = "---:") -> str:
    """Return a table in Markdown.

    Args:
        head: names of the columns.
        rows: cells, as many in each row as there are columns.
        align: alignment of all columns but the first.

    Returns:
        Lines without the last line end.
    """
    lines = [[markdown(name) for name in head], ["---", *[align] * (len(head) - 1)]]
    lines += [[f"**{markdown(cell)}**" if bold else markdown(cell) for cell, bold in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table in LaTeX, for ``booktabs``; the first column is aligned to the left, the others to the right."""
    return "\n".join(_latex_lines(caption, head, rows)) + "\n"


def _latex_lines(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    yield r"\begin{table}"
    yield rf"\caption{{{_latex(caption)}}}"
    yield r"\centering\small"
    yield rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}"
    yield r"\toprule"
    yield rf"{' & '.join(map(_latex, head))} \\"
    yield r"\midrule"
    for row in rows:
        yield " & ".join(rf"\textbf{{{_latex(cell)}}}" if bold else _latex(cell) for cell, bold in row) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _latex(value: str) -> str:
    return "".join(_LATEX.get(char, char) for char in wording.printable(value))
