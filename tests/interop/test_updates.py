"""Client updates: our verdict is that of CometBFT's light client and of ibc-go's 07-tendermint on every case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings

from ibc.tendermint import verify_update
from tests.interop import comparisons
from tests.interop.differences import LENIENT_SIGNATURE, explain, name_of
from tests.interop.update_case import UpdateCase, sound_updates
from tests.interop.update_mutations import changed_updates
from tests.support.differential import Tally
from tests.support.judge_go import INVALID, UNTRUSTED, VERIFIED, Judge

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.interop.conftest import ReportCases

CASES = 1_000


def compare(judge: Judge, case: UpdateCase, tally: Tally) -> None:
    """Assert that the verdicts are the same, or different on purpose, and count them."""
    ours = verify_update(case.trusted, case.header, case.options, case.now_ns)
    theirs = judge.judge_update(case.trusted, case.header, case.options, case.now_ns)
    differences = [explain(ours, opinion) for opinion in (theirs.ibc, theirs.light)]
    assert LENIENT_SIGNATURE not in differences  # none of the keys here are of small order
    names = dict.fromkeys(difference.name for difference in differences if difference is not None)
    tally.count(" and ".join(names) or name_of(ours))


def count_verdicts(judge: Judge, cases: SearchStrategy[UpdateCase]) -> Tally:
    """Judge many cases and return how many there were of each verdict."""
    tally = Tally()

    @settings(max_examples=CASES)
    @given(cases)
    def check(case: UpdateCase) -> None:
        compare(judge, case, tally)

    check()
    return tally


def test_sound_headers_have_the_same_verdict_everywhere(judge: Judge, report_cases: ReportCases) -> None:
    tally = count_verdicts(judge, sound_updates())
    report_cases(comparisons.SOUND_UPDATES, tally)
    assert tally.cases >= CASES
    assert min(tally[verdict] for verdict in (VERIFIED, UNTRUSTED, INVALID)) >= 20, tally


def test_changed_headers_have_the_same_verdict_everywhere(judge: Judge, report_cases: ReportCases) -> None:
    tally = count_verdicts(judge, changed_updates())
    report_cases(comparisons.CHANGED_UPDATES, tally)
    assert tally.cases >= CASES
    assert min(tally[verdict] for verdict in (VERIFIED, UNTRUSTED, INVALID)) >= 20, tally
