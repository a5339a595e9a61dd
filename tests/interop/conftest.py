from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.support.differential import PROPERTY, Comparison, Tally, encode_report
from tests.support.judge_go import Judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    ReportCases: TypeAlias = Callable[[Comparison, Tally], None]


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """The reference implementations, in one process for all tests."""
    with Judge() as running:
        yield running


@pytest.fixture
def report_cases(record_property: Callable[[str, object], None]) -> ReportCases:
    """Have the numbers of cases printed at the end of the run (tests/conftest.py)."""

    def report(comparison: Comparison, tally: Tally) -> None:
        record_property(PROPERTY, encode_report(comparison.subject, tally))

    return report
