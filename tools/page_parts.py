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
    begin = page.index(marks[0]) + len(marks[0])
    return page[begin : page.index(marks[1], begin)]


def replace_part(page: str, marks: Marks, text: str) -> str:
    """Return the page with other text between two marks.

    Raises:
      ValueError: the page lacks one.

    """
    begin = page.index(marks[0]) + len(marks[0])
    return page[:begin] + text + page[page.index(marks[1], begin) :]
