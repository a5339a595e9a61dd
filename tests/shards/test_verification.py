"""Costly checks are made once, together, and a forgotten verdict changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.context import Services, VerificationCache
from abci_app.reading import ReadCache
from aggregation.batch import are_all_true, verify_claims
from shards.errors import CommitmentMismatch, CountMismatch, PayloadMismatch, UnknownRound
from shards.updates import types, verification
from shards.updates.msgs import parse_submission
from shards.updates.verification import (
    require_commitments,
    verify_commitments,
    verify_content,
)
from tests.support.shard_rounds import build_round, bundle
from tests.support.shards import ShardChain, codes
from tx.failures import InvalidSignature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregation.batch import BlobClaim
    from aggregation.kzg import Setup


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of claims of each check of commitments."""
    sizes: list[int] = []

    def count(setup: Setup, claims: Sequence[BlobClaim]) -> list[bool]:
        sizes.append(len(claims))
        return verify_claims(setup, claims)

    monkeypatch.setattr(verification, "verify_claims", count)
    return sizes


def test_the_commitments_of_a_block_are_checked_together(checked: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round(parameters=40_961)
    chain.open(item)
    chain.block(bundle(item.update(0), item.update(1)), bundle(item.update(2)))
    assert checked == [6]


def test_a_proposer_checks_no_commitments(checked: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    txs = [bundle(item.update(0), item.update(1))]
    assert chain.propose(*txs) == txs
    assert checked == []


def test_commitments_whose_verdicts_are_known_are_not_checked_again(checked: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    txs = [bundle(item.update(0), item.update(1))]
    chain.rehearse(*txs)
    assert codes(chain.block(*txs)) == [("", 0)]
    assert checked == [2]


@pytest.fixture
def equations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of claims of each check that is made ahead."""
    sizes: list[int] = []

    def count(setup: Setup, claims: Sequence[BlobClaim]) -> bool:
        sizes.append(len(claims))
        return are_all_true(setup, claims)

    monkeypatch.setattr(verification, "are_all_true", count)
    return sizes


def test_what_was_checked_ahead_is_not_checked_in_the_block(equations: list[int], checked: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round(parameters=40_961)
    chain.open(item)
    txs = [bundle(item.update(0), item.update(1)), bundle(item.update(2))]
    chain.look_ahead(*txs)
    chain.look_ahead(*txs)
    assert codes(chain.block(*txs)) == [("", 0), ("", 0)]
    assert (equations, checked) == ([6], [])


def test_a_lie_is_found_in_the_block_although_a_look_ahead_met_it(
    equations: list[int], checked: list[int]
) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    txs = [bundle(item.update(0), item.miscommitted(1), item.update(2))]
    chain.look_ahead(*txs)
    outcome = chain.block(*txs)
    assert outcome.results[0].data == b"\x05"
    assert (equations, checked) == ([3], [3])


def test_a_look_ahead_leaves_out_what_fails_another_check(equations: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    swapped = item.update(0)
    swapped.payload = item.values(1).tobytes()
    chain.look_ahead(
        bundle(swapped, item.update(1)), bundle(item.update(1, item.values(2))), b"no transaction"
    )
    assert equations == [1]


def test_a_look_ahead_changes_no_outcome() -> None:
    outcomes = []
    for looks_ahead in (False, True):
        chain = ShardChain().start()
        item = build_round()
        chain.open(item)
        txs = [
            bundle(item.update(0), item.update(1)),
            bundle(item.miscounted(2)),
            bundle(item.miscommitted(3)),
        ]
        if looks_ahead:
            chain.look_ahead(*txs)
            chain.look_ahead(*txs[:1])
        outcome = chain.block(*txs)
        outcomes.append((outcome.results, chain.state.digest()))
    assert outcomes[0] == outcomes[1]


def test_updates_of_unknown_rounds_cost_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(*_: object) -> None:
        raise AssertionError("expected no signature to be verified")

    monkeypatch.setattr(types, "verify_signature", verify)
    item = build_round()
    with pytest.raises(UnknownRound):
        ShardChain().start().check(item.update(0), item.update(1))


def test_updates_that_fail_another_check_cost_no_commitment(checked: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    swapped = item.update(0)
    swapped.payload = item.values(1).tobytes()
    chain.submit(swapped, item.miscounted(1), item.changed_update(2, lambda it: setattr(it, "scale", 3)))
    assert checked == []


def test_a_second_statement_in_a_block_costs_no_commitment(checked: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    outcome = chain.submit(item.update(0), item.update(0, item.values(1)))
    assert outcome.results[0].data == b"\x01"
    assert checked == [1]


def test_a_lie_before_a_true_update_of_the_same_slot_wins_the_slot(checked: list[int]) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    outcome = chain.submit(item.miscommitted(0), item.update(0))
    assert outcome.results[0].data == b"\x00"
    assert checked == [1]


def test_a_forgotten_verdict_is_found_again(services: Services) -> None:
    item = build_round()
    true = parse_submission(item.update(0))
    false = parse_submission(item.miscommitted(1))
    require_commitments(services, true)
    with pytest.raises(CommitmentMismatch):
        require_commitments(services, false)
    with pytest.raises(CommitmentMismatch):
        require_commitments(services, false)


def test_verdicts_of_commitments_are_told_apart_by_payload_and_commitments(services: Services) -> None:
    item = build_round()
    first = parse_submission(item.update(0))
    second = parse_submission(item.update(1))
    statement = item.statement(2, first.payload)
    statement.commitments[:] = second.statement.commitments
    crossed = parse_submission(item.sign(2, statement, first.payload))
    assert verify_commitments(services, [first, second, crossed]) == [True, True, False]
    assert verify_commitments(services, [crossed, second, first]) == [False, True, True]


def test_no_submissions_have_no_verdicts(services: Services) -> None:
    assert verify_commitments(services, []) == []


def test_a_verdict_on_counts_is_bound_to_the_counts(services: Services) -> None:
    item = build_round()
    verify_content(parse_submission(item.update(0)), services.verified)
    with pytest.raises(CountMismatch):
        verify_content(parse_submission(item.miscounted(0)), services.verified)


def test_what_was_read_of_one_update_says_nothing_of_another(services: Services) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    good, bad = item.update(0), item.update(1)
    bad.signed.signature = good.signed.signature
    chain.check(good)
    for _ in range(2):  # the second time as it was read before
        with pytest.raises(InvalidSignature):
            chain.check(bad)


def test_a_remembered_verdict_does_not_vouch_for_another_payload(services: Services) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    update = item.update(0)
    chain.check(update)
    chain.rehearse(bundle(update))
    update.payload = item.values(1).tobytes()
    with pytest.raises(PayloadMismatch):
        chain.check(update)
    assert codes(chain.submit(update)) == [("shard", 31)]


def test_what_is_forgotten_changes_no_outcome() -> None:
    outcomes = []
    for capacity in (0, 65_536):
        chain = ShardChain().start()
        chain.services = Services(chain.services.kzg, VerificationCache(capacity), ReadCache(capacity))
        item = build_round()
        chain.open(item)
        outcome = chain.submit(item.update(0), item.miscommitted(1), item.update(2))
        outcomes.append((outcome.results, chain.state.digest()))
    assert outcomes[0] == outcomes[1]
