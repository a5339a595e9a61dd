"""What commands write into pages of the docs stands between two marks, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.page_parts import read_part, replace_part

MARKS = ("<b>", "<c>")
TEXTS = st.text("abc\n")


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_part_of_a_page_is_replaced_between_its_marks(before: str, old: str, new: str, after: str) -> None:
    page = f"{before}<b>{old}<c>{after}"
    assert read_part(page, MARKS) == old
    assert replace_part(page, MARKS, new) == f"{before}<b>{new}<c>{after}"


@pytest.mark.parametrize("page", ["nothing here", "a<b>c", "a<c>b", "a<c>b<b>c"])
def test_a_page_without_a_place_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match="expected <b> and then <c>"):
        read_part(page, MARKS)
    with pytest.raises(ValueError, match="expected <b> and then <c>"):
        replace_part(page, MARKS, "anything")
