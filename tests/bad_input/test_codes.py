"""Each kind of bad input has a code of its own, with cause and cure in docs/errors.md."""

from __future__ import annotations

from typing import Final

import pytest

from tools.errors_doc import ROOT, TARGET, load_errors
from tools.removal_list import read_items

ITEMS: Final = {item.name: item for item in read_items(ROOT)}
ERRORS: Final = {f"{error.CODESPACE}/{error.CODE}": error for error in load_errors()}
PAGE: Final = TARGET.read_text()


def test_no_two_kinds_share_a_code() -> None:
    codes = [code for item in ITEMS.values() for code in {removal.code for removal in item.removals} if code]
    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize("name", ITEMS)
def test_every_code_is_registered_and_documented_with_cause_and_cure(name: str) -> None:
    for code in {removal.code for removal in ITEMS[name].removals if removal.code}:
        error = ERRORS[code]
        section = PAGE.split(f"## {error.CODESPACE}\n")[1].split("\n## ")[0]
        (row,) = [row for row in section.splitlines() if row.startswith(f"| {error.CODE} |")]
        _, _, title, cause, cure, _ = (cell.strip() for cell in row.split(" | ".strip()))
        assert title == error.__name__
        assert len(cause) > 10
        assert cure == " ".join(error.CURE.split())
