from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.support.judge_go import Judge

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    ReportCases: TypeAlias = Callable[[str, Counter[str]], None]

_PROPERTY = "cases judged"


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """The reference implementations, in one process for all tests."""
    with Judge() as running:
        yield running


@pytest.fixture
def report_cases(record_property: Callable[[str, object], None]) -> ReportCases:
    """Have the numbers of cases printed at the end of the run."""

    def report(what: str, tally: Counter[str]) -> None:
        counts = ", ".join(f"{name} {count}" for name, count in tally.most_common())
        record_property(_PROPERTY, f"{what}: {tally.total()} ({counts})")

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for test in terminalreporter.getreports("passed"):
        for name, value in test.user_properties:
            if name == _PROPERTY:
                terminalreporter.write_line(f"{_PROPERTY}: {value}")
