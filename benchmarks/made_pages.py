"""Tables within the pages of docs/, between two comments that name the script that makes them."""

import re
from collections.abc import Iterable


def with_table(page: str, name: str, script: str, lines: Iterable[str]) -> str:
    """Return a page with one of its tables made again.

    Args:
        page: text of the page.
        name: name of the table.
        script: the script that makes it, as the first comment says.
        lines: those of the table.

    Returns:
        The page; all else stays. SystemExit is raised where the page has no place, or several, for the table.
    """
    begin, end = f"<!-- {name}: made by {script} -->", f"<!-- end of {name} -->"
    text = "\n".join(lines).strip()
    made = f"{begin}\n{text}\n{end}".replace("\\", r"\\")
    page, count = re.subn(f"{re.escape(begin)}.*?{re.escape(end)}", made, page, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"the page has {count} places for '{name}', made by {script}; one is needed.")
    return page
