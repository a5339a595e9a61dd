"""Parts of a page of the docs that commands write, each between two marks."""

from __future__ import annotations

from typing import Final

Marks = tuple[str, str]

LAST_RUN: Final[Marks] = ("<!-- last run -->\n", "<!-- end of last run -->\n")


def read_part(page: str, marks: Marks) -> str:
    """Return what stands between two marks.

    Raises:
      ValueError: the page lacks one.

    """
    begin, end = _find_part(page, marks)
    return page[begin:end]


def replace_part(page: str, marks: Marks, text: str) -> str:
    """Return the page with other text between two marks.

    Raises:
      ValueError: the page lacks one.

    """
    begin, end = _find_part(page, marks)
    return page[:begin] + text + page[end:]


def _find_part(page: str, marks: Marks) -> tuple[int, int]:
    """Return where the part between two marks begins, and where it ends."""
    before, opening, rest = page.partition(marks[0])
    part, closing, _ = rest.partition(marks[1])
    if not opening or not closing:
        raise ValueError(
            f"expected {marks[0].strip()} and then {marks[1].strip()} in the page, got one without"
        )
    begin = len(before) + len(opening)
    return begin, begin + len(part)
