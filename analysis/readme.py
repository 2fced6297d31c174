"""Tables that scripts keep up to date in README.md, each between two marks."""

from __future__ import annotations

from pathlib import Path

from clit.errors import UserError

README = Path(__file__).resolve().parent.parent / "README.md"


def with_block(name: str, block: str) -> str:
    """README.md's text with what stands between the marks of `name` replaced; UserError if it does not have them."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = README.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise UserError(f"README.md has no place for the table: it needs the lines {begin} and {end}.")
    return f"{before}{begin}\n{block}\n{end}{after}"
