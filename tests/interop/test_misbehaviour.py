"""Evidence: we freeze a client for the same pairs of headers as ibc-go's 07-tendermint."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ibc import errors
from ibc.identifiers import Height, height_to_wire
from ibc.tendermint import check_misbehaviour
from ibc.times import time_to_wire
from tests.interop import comparisons, differences
from tests.interop.evidence_differences import ANOTHER_REVISION
from tests.interop.update_case import (
    ABSENT,
    COMMIT,
    NIL,
    TRUSTED_HEIGHT,
    UpdateCase,
    make_update,
    member_powers,
    new_powers,
)
from tests.interop.update_mutations import MUTATIONS
from tests.support.differential import Tally
from tests.support.ibc import SECOND_NS, START_NS
from tests.support.judge_go import INVALID, PANIC, VERIFIED, Judge
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ibc.tendermint import TrustedState
    from tests.interop.conftest import ReportCases

CASES = 1_000
FOUR = {0: 10, 1: 10, 2: 10, 3: 10}

STRICTER = (
    differences.STRANGER_AFTER_QUORUM,
    differences.VALIDATOR_TWICE,
    differences.VOTE_WITHOUT_TIME,
    differences.NO_NEXT_VALIDATORS,
)


@dataclass
class Evidence:
    """Two headers, which start from the same trusted state or from two of one client."""

    one: UpdateCase
    other: UpdateCase

    @property
    def states(self) -> dict[int, TrustedState]:
        """What the client trusts, by height."""
        return {case.trusted.height: case.trusted for case in (self.other, self.one)}

    def start_of(self, case: UpdateCase) -> TrustedState:
        """Return the state that a header says it starts from, or the one it was made for where there is none."""
        return self.states.get(case.header.trusted_height.revision_height, case.trusted)

    @property
    def message(self) -> tendermint_pb2.Misbehaviour:
        return tendermint_pb2.Misbehaviour(
            client_id="07-tendermint-0", header_1=self.one.header, header_2=self.other.header
        )


@st.composite
def signed_headers(draw: st.DrawFn, old: Mapping[int, int], height: int, start: int) -> UpdateCase:
    """Return a header that says this or that, by validators that have changed more or less."""
    new = dict(old) if draw(st.booleans()) else draw(new_powers(old))
    usual = st.sampled_from([COMMIT] * 9 + [NIL, ABSENT])
    flags = draw(st.lists(usual, min_size=len(new), max_size=len(new)))
    case = make_update(old, new, height=height, flags=flags, start=start)
    case.inner.app_hash = bytes([draw(st.integers(0, 2))]) * 32
    later = draw(st.sampled_from([-SECOND_NS, -1, 0, 0, 1, 1_000_000 * SECOND_NS]))
    case.inner.time.CopyFrom(time_to_wire(START_NS + 4 * SECOND_NS + later))
    case.seal()
    return case


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Return two headers, mostly of one height, of which one may be changed in one way."""
    old = draw(member_powers)
    height = TRUSTED_HEIGHT + draw(st.integers(1, 3))
    lower = height - draw(st.sampled_from([0, 0, 0, 1, -1]))
    one = draw(signed_headers(old, height, TRUSTED_HEIGHT))
    start = draw(
        st.sampled_from([TRUSTED_HEIGHT, TRUSTED_HEIGHT - 2, TRUSTED_HEIGHT - 1, TRUSTED_HEIGHT + 1])
    )
    known = old if start == TRUSTED_HEIGHT or draw(st.booleans()) else draw(member_powers)
    other = draw(signed_headers(known, max(lower, TRUSTED_HEIGHT + 1), start))
    options, now_ns = one.options, one.now_ns
    if draw(st.booleans()):
        chosen = draw(st.sampled_from([one, other]))
        draw(st.sampled_from(MUTATIONS))(draw, chosen)
        options, now_ns = chosen.options, chosen.now_ns
    for case in (one, other):  # there is one client, which trusts one state of a height
        case.options, case.now_ns = options, now_ns
    if one.trusted.height == other.trusted.height:
        other.trusted = one.trusted
    return Evidence(one, other)


def our_error(evidence: Evidence) -> errors.IbcError | None:
    """Return why we refuse evidence, or None."""
    one, other = evidence.one, evidence.other
    try:
        starts = evidence.start_of(one), evidence.start_of(other)
        check_misbehaviour(*starts, evidence.message, one.options, one.now_ns)
    except errors.IbcError as error:
        return error
    return None


def compare(judge: Judge, evidence: Evidence) -> str:
    """Assert that the verdicts are the same or different on purpose, and return the kind of the case."""
    one = evidence.one
    ours = our_error(evidence)
    states = list(evidence.states.values())
    theirs = judge.judge_misbehaviour(states, evidence.message, one.options, one.now_ns)
    if ours is None and theirs.verdict != VERIFIED:
        assert "proposer" in theirs.reason, theirs
        return differences.PROPOSER.name
    if ours is not None and theirs.verdict == VERIFIED:
        if isinstance(ours, errors.WrongChainId):
            return ANOTHER_REVISION.name
        found = [
            item
            for item in STRICTER
            if type(ours) is item.error and re.search(item.our_message, ours.message) is not None
        ]
        assert found, f"ours: {ours!r}"
        return found[0].name
    assert theirs.verdict in {VERIFIED, INVALID, PANIC}
    return "ibc-go panics, we refuse" if theirs.verdict == PANIC else theirs.verdict


def test_evidence_has_the_same_verdict_in_ibc_go(judge: Judge, report_cases: ReportCases) -> None:
    tally = Tally()
    starts: Counter[int] = Counter()

    @settings(max_examples=CASES)
    @given(evidences())
    def check(evidence: Evidence) -> None:
        kind = compare(judge, evidence)
        tally.count(kind)
        starts[len(evidence.states)] += kind == VERIFIED

    check()
    assert tally.cases >= CASES
    assert min(tally[VERIFIED], tally[INVALID]) >= 50, tally
    assert min(starts[1], starts[2]) >= 20, starts
    report_cases(comparisons.EVIDENCE, tally)


def test_evidence_of_another_revision_is_refused_by_us_alone(judge: Judge) -> None:
    one, other = make_update(FOUR, FOUR), make_update(FOUR, FOUR)
    for number, case in enumerate((one, other)):
        case.inner.chain_id = "sim-4"
        case.inner.app_hash = bytes([number]) * 32
        case.header.trusted_height.CopyFrom(height_to_wire(Height(3, TRUSTED_HEIGHT)))
        case.seal()
    evidence = Evidence(one, other)
    assert compare(judge, evidence) == ANOTHER_REVISION.name
