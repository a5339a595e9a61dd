from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.state import PROVABLE
from aggregation.merkle import merkle_path, verify_merkle_path
from hub.accounts.query import read_account
from hub.accounts.state import get_balance
from hub.errors import SettlementNotFound
from hub.rounds.types import RoundId
from hub.settlement.payout import divide_budget, settlement_root, share_of_round
from hub.settlement.query import read_settlement
from hub.settlement.types import Claim
from hub.tasks.state import require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import make_checkpoint, make_updates
from tests.support.hub import CREATOR, SUPPLY, TREASURY, participant_key, start_training
from tests.support.txs import SECOND_NS
from tx.codec import encode
from tx.paths import settlement_root_key
from wire.gradchain.fl.v1 import task_pb2
from wire.gradchain.hub.v1 import query_pb2


def test_a_round_pays_its_participants_in_proportion_to_weight() -> None:
    chain, task = start_training(2, 4, budget=1_000, rounds=2)
    chain.run_round(task)
    for number in range(4):
        answer = read_account(chain.state, participant_key(number).public_key)
        assert (answer.balance, answer.earned) == (125, 125)
    assert chain.round(RoundId(task, 1, 0)).paid == 500
    assert get_balance(chain.state, TREASURY.public_key) == 0
    assert require_task(chain.state, task).escrow == 500


def test_what_does_not_divide_goes_to_the_treasury() -> None:
    chain, task = start_training(1, 3, budget=1_000, rounds=1)
    chain.run_round(task)
    assert get_balance(chain.state, participant_key(0).public_key) == 333
    assert read_account(chain.state, TREASURY.public_key).balance == 1
    assert read_account(chain.state, TREASURY.public_key).earned == 0


def test_the_last_round_takes_what_does_not_divide_by_the_rounds() -> None:
    chain, task = start_training(1, 2, budget=1_001, rounds=3)
    paid = []
    for number in range(1, 4):
        chain.run_round(task)
        paid.append(chain.round(RoundId(task, number, 0)).paid)
    assert paid == [332, 332, 334]
    assert get_balance(chain.state, TREASURY.public_key) == 1_001 - sum(paid)
    assert require_task(chain.state, task).escrow == 0


def test_a_round_without_weight_goes_to_the_treasury() -> None:
    chain, task = start_training(1, 2, budget=1_000, rounds=2)
    chain.complete(chain.parts(task)[0], make_checkpoint(chain.parts(task)[0], []))
    assert get_balance(chain.state, TREASURY.public_key) == 500
    answer = read_settlement(chain.state, task, 1)
    assert (list(answer.leaves), answer.settlement_root) == ([], settlement_root(task, 1, ()))


def test_who_brought_no_update_is_not_paid() -> None:
    chain, task = start_training(1, 3, rounds=1)
    part = chain.parts(task)[0]
    chain.complete(part, make_checkpoint(part, make_updates(part)[:2]))
    leaves = read_settlement(chain.state, task, 1).leaves
    assert sorted(leaf.account for leaf in leaves) == sorted(part.participants[:2])
    assert get_balance(chain.state, part.participants[2]) == 0
    assert get_balance(chain.state, part.participants[0]) == 500


def test_clipped_weights_are_paid_less() -> None:
    clip = task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=100))
    chain, task = start_training(1, 2, rounds=1, rule=clip, budget=10_000)
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    chain.complete(part, made)
    leaves = read_settlement(chain.state, task, 1).leaves
    total = sum(leaf.weight for leaf in leaves)
    assert total == made.header.total_weight < 2 * part.info.unit_weight
    for leaf in leaves:
        assert leaf.amount == 10_000 * leaf.weight // total


def test_a_payment_can_be_proven() -> None:
    chain, task = start_training(2, 5, rounds=1)
    chain.run_round(task)
    answer = read_settlement(chain.state, task, 1)
    assert chain.state.get(PROVABLE, settlement_root_key(task, 1)) == answer.settlement_root
    accounts = [leaf.account for leaf in answer.leaves]
    assert accounts == sorted(accounts)
    encoded = [encode(leaf) for leaf in answer.leaves]
    for index, leaf in enumerate(encoded):
        path = merkle_path(encoded, index)
        verify_merkle_path(answer.settlement_root, leaf, index, len(encoded), path)
    assert {leaf.domain for leaf in answer.leaves} == {"gradchain/settlement/1"}


@pytest.mark.parametrize("round_number", [0, 2, 2**64 - 1])
def test_a_round_that_is_not_settled_has_no_settlement(round_number: int) -> None:
    chain, task = start_training(1, 2)
    chain.run_round(task)
    with pytest.raises(SettlementNotFound):
        read_settlement(chain.state, task, round_number)


def test_a_challenge_window_delays_the_settlement_but_not_the_next_round() -> None:
    chain, task = start_training(1, 2, params={"challenge_window_ns": 50 * SECOND_NS})
    round_id = chain.run_round(task)
    assert chain.newest(task).round == 2
    shown = chain.round(round_id)
    assert shown.status == query_pb2.ROUND_STATUS_AGGREGATED
    assert (shown.settlement_root, shown.paid) == (b"", 0)
    assert (require_task(chain.state, task).escrow, require_task(chain.state, task).reserved) == (1_000, 500)
    chain.block(after_s=49)
    assert get_balance(chain.state, participant_key(0).public_key) == 0
    chain.block(after_s=1)
    assert chain.round(round_id).status == query_pb2.ROUND_STATUS_SETTLED
    assert get_balance(chain.state, participant_key(0).public_key) == 250
    assert (require_task(chain.state, task).escrow, require_task(chain.state, task).reserved) == (500, 0)


def test_a_task_that_fails_during_a_window_still_owes_the_round() -> None:
    chain, task = start_training(
        1, 2, rounds=4, max_attempts=1, params={"challenge_window_ns": 500 * SECOND_NS}
    )
    chain.run_round(task)
    chain.block(after_s=100)
    record = require_task(chain.state, task)
    assert (record.status, record.escrow, record.reserved) == (TaskStatus.FAILED, 250, 250)
    assert get_balance(chain.state, CREATOR.public_key) == SUPPLY - 1_000 - 250
    chain.block(after_s=500)
    assert get_balance(chain.state, participant_key(0).public_key) == 125
    assert require_task(chain.state, task).escrow == 0


def test_a_complete_task_settles_its_last_round_after_the_window() -> None:
    chain, task = start_training(1, 2, rounds=1, params={"challenge_window_ns": 50 * SECOND_NS})
    chain.run_round(task)
    assert require_task(chain.state, task).status is TaskStatus.COMPLETE
    chain.block(after_s=50)
    assert get_balance(chain.state, participant_key(1).public_key) == 500


claims = st.dictionaries(
    st.binary(min_size=32, max_size=32), st.integers(0, 2**80), min_size=0, max_size=20
).map(lambda weights: [Claim(account, weight) for account, weight in sorted(weights.items())])


@given(st.integers(0, 2**63 - 1), claims)
def test_pay_is_in_proportion_and_never_more_than_the_budget(budget: int, items: list[Claim]) -> None:
    payments = divide_budget(budget, items)
    total = sum(claim.weight for claim in items)
    assert [(payment.account, payment.weight) for payment in payments] == [
        (claim.account, claim.weight) for claim in items
    ]
    paid = sum(payment.amount for payment in payments)
    assert 0 <= paid <= budget
    if total:
        assert budget - paid < max(1, len(items))
        for payment in payments:
            assert payment.amount == budget * payment.weight // total
    else:
        assert paid == 0


@given(st.integers(1, 2**63 - 1), st.integers(1, 1_000))
def test_the_shares_of_all_rounds_are_the_budget(budget: int, rounds: int) -> None:
    shares = [share_of_round(budget, rounds, number) for number in range(1, rounds + 1)]
    assert sum(shares) == budget
    assert len(set(shares[:-1])) <= 1
    assert all(share >= 0 for share in shares)
