"""Client updates: our verdict is that of CometBFT's light client and of ibc-go's 07-tendermint on every case."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given, settings

from ibc.tendermint import verify_update
from tests.interop.differences import LENIENT_SIGNATURE, explain, name_of
from tests.interop.update_case import UpdateCase, sound_updates
from tests.interop.update_mutations import changed_updates
from tests.support.judge_go import INVALID, UNTRUSTED, VERIFIED, Judge

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.interop.conftest import ReportCases

CASES = 1_000


def compare(judge: Judge, case: UpdateCase, tally: Counter[str]) -> None:
    """Assert that the verdicts are the same, or different on purpose, and count them."""
    ours = verify_update(case.trusted, case.header, case.options, case.now_ns)
    theirs = judge.judge_update(case.trusted, case.header, case.options, case.now_ns)
    for opinion in (theirs.ibc, theirs.light):
        difference = explain(ours, opinion)
        if difference is not None:
            assert difference is not LENIENT_SIGNATURE  # none of the keys here are of small order
            tally[difference.name] += 1
    tally[name_of(ours)] += 1


def count_verdicts(judge: Judge, cases: SearchStrategy[UpdateCase]) -> Counter[str]:
    """Judge many cases and return how many there were of each verdict."""
    tally: Counter[str] = Counter()

    @settings(max_examples=CASES)
    @given(cases)
    def check(case: UpdateCase) -> None:
        compare(judge, case, tally)

    check()
    return tally


def test_sound_headers_have_the_same_verdict_everywhere(judge: Judge, report_cases: ReportCases) -> None:
    tally = count_verdicts(judge, sound_updates())
    report_cases("sound updates", tally)
    assert sum(tally[verdict] for verdict in (VERIFIED, UNTRUSTED, INVALID)) >= CASES
    assert min(tally[verdict] for verdict in (VERIFIED, UNTRUSTED, INVALID)) >= 20, tally


def test_changed_headers_have_the_same_verdict_everywhere(judge: Judge, report_cases: ReportCases) -> None:
    tally = count_verdicts(judge, changed_updates())
    report_cases("changed updates", tally)
    assert sum(tally[verdict] for verdict in (VERIFIED, UNTRUSTED, INVALID)) >= CASES
    assert min(tally[verdict] for verdict in (VERIFIED, UNTRUSTED, INVALID)) >= 20, tally
