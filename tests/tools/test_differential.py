"""The counts of the comparison with reference implementations, and the check of their page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.differential import Tally, decode_report, describe_report, encode_report
from tools import differential

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with the page and the versions that it depends on."""
    for name in (differential.PAGE, differential.MODULES):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text((differential.ROOT / name).read_text())
    return tmp_path


def make_tally(*outcomes: str) -> Tally:
    tally = Tally()
    for outcome in outcomes:
        tally.count(outcome)
    return tally


def test_what_is_no_verdict_is_a_listed_difference() -> None:
    tally = make_tally("verified", "invalid", "a proposer", "a proposer")
    assert (tally.cases, tally.equal, tally.differences) == (4, 2, [("a proposer", 2)])


def test_a_report_survives_the_way_from_a_worker() -> None:
    tally = make_tally("verified", "verified", "untrusted")
    assert decode_report(encode_report("updates", tally)) == ("updates", tally)
    assert describe_report(encode_report("updates", tally)) == (
        "cases judged: updates: 3, equal 3 (verified 2, untrusted 1)"
    )


def test_reports_are_read_out_of_what_the_tests_have_written(tmp_path: Path) -> None:
    value = encode_report("updates", make_tally("verified")).replace('"', "&quot;")
    file = tmp_path / "report.xml"
    file.write_text(
        "<testsuites><testcase><properties>"
        f'<property name="cases judged" value="{value}"/><property name="other" value="1"/>'
        "</properties></testcase></testsuites>"
    )
    assert list(differential.read_reports(file)) == [("updates", make_tally("verified"))]


def test_the_page_is_current() -> None:
    assert list(differential.find_problems(differential.ROOT)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        (differential.PAGE, "| real headers |", "| other headers |", "other kinds of cases"),
        (differential.MODULES, "ics23/go v0.11.0", "ics23/go v0.12.0", "with other modules"),
        (differential.PAGE, "| a packet of several payloads |", "| a packet |", "differences is not current"),
    ],
)
def test_what_is_not_current_is_said(repository: Path, name: Path, old: str, new: str, problem: str) -> None:
    file = repository / name
    file.write_text(file.read_text().replace(old, new))
    assert [said for said in differential.find_problems(repository) if problem in said]
