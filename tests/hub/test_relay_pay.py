"""Who is paid for carrying what a round waits for, and who is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.state import BULK, PROVABLE
from aggregation.merkle import merkle_path, verify_merkle_path
from hub.accounts.query import read_account
from hub.accounts.state import get_balance
from hub.errors import InvalidField
from hub.rounds.types import RoundId
from hub.settlement.keys import CARRIED_PREFIX
from hub.settlement.payout import RELAY_PART, divide_share, pay_relayers
from hub.settlement.query import read_relay_pay, read_settlement
from hub.settlement.types import Carried, Claim, PendingSettlement
from hub.tasks.state import require_task
from hub.tasks.types import TaskStatus
from ibc.packet import ERROR_ACK
from ibc.ports import SUCCESS_ACK
from tests.support.federation import make_checkpoint, make_updates
from tests.support.hub import (
    AUTHORITY,
    RELAYER,
    TREASURY,
    HubChain,
    body_message,
    make_spec,
    participant_key,
    start_training,
)
from tests.support.hub_link import RELAYER as SIGNER
from tests.support.hub_link import SimulatedShard
from tests.support.txs import SECOND_NS, build_key
from tx.codec import encode
from tx.paths import settlement_root_key
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from tests.support.federation import Checkpointed, ShardRound

FEE = 7
OTHER = build_key(555)
LARGE = 70_000
"""Parameters of a model whose aggregate takes four parts."""


def start(
    shards: int = 1,
    participants: int = 2,
    *,
    fee: int = FEE,
    parameters: int = 50,
    budget: int = 10_000,
    rounds: int = 2,
    min_shards: int = 1,
    max_staleness: int = 1,
) -> tuple[HubChain, int]:
    """Return a hub with a fee in the first round of a task; with the defaults each round pays 5,000."""
    return start_training(
        shards,
        participants,
        parameters=parameters,
        params={"relay_fee": fee, "missing_limit": 9},
        budget=budget,
        rounds=rounds,
        min_shards=min_shards,
        max_staleness=max_staleness,
    )


def first_part(chain: HubChain, task: int) -> tuple[ShardRound, Checkpointed]:
    part = chain.parts(task)[0]
    return part, make_checkpoint(part)


def relayed(chain: HubChain, task: int, round_number: int) -> dict[bytes, tuple[int, int]]:
    """Return (packets, amount) of every relayer that a settled round paid."""
    leaves = read_settlement(chain.state, task, round_number).leaves
    return {leaf.account: (leaf.packets, leaf.amount) for leaf in leaves if leaf.packets}


def test_the_first_delivery_of_every_header_and_body_earns_the_fee() -> None:
    chain, task = start(2, 4)
    before = get_balance(chain.state, RELAYER.public_key)
    chain.run_round(task)
    assert relayed(chain, task, 1) == {RELAYER.public_key: (4, 4 * FEE)}
    answer = read_account(chain.state, RELAYER.public_key)
    assert (answer.balance - before, answer.earned) == (4 * FEE, 4 * FEE)


def test_participants_share_what_relayers_leave() -> None:
    chain, task = start(2, 4)
    chain.run_round(task)
    each = (5_000 - 4 * FEE) // 4
    assert [get_balance(chain.state, participant_key(number).public_key) for number in range(4)] == [each] * 4
    shown = chain.round(RoundId(task, 1, 0))
    assert (shown.paid, shown.relay_paid) == (4 * each, 4 * FEE)
    assert get_balance(chain.state, TREASURY.public_key) == 5_000 - 4 * each - 4 * FEE
    assert require_task(chain.state, task).escrow == 5_000


def test_a_packet_is_paid_to_the_signer_of_the_message_that_brought_it() -> None:
    chain = HubChain().start(relay_fee=FEE)
    shard = SimulatedShard(chain)
    chain.must_send(AUTHORITY, *shard.link())
    task = chain.create_task(make_spec(budget=10_000))
    chain.register(task, 0, 1)
    part, made = first_part(chain, task)
    packet = shard.send(made.packet())
    first, second = shard.relay(packet), shard.relay(packet)
    chain.block(first, second)
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert relayed(chain, task, 1) == {SIGNER.public_key: (1, FEE), RELAYER.public_key: (1, FEE)}


def test_who_brings_a_header_again_earns_nothing() -> None:
    chain, task = start()
    part, made = first_part(chain, task)
    assert chain.deliver(part.shard, made.packet()) == SUCCESS_ACK
    assert chain.deliver(part.shard, made.packet(), OTHER) == b"AlreadyCheckpointed"
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert relayed(chain, task, 1) == {RELAYER.public_key: (2, 2 * FEE)}


def test_each_part_of_a_body_is_paid_to_whoever_brought_it_first() -> None:
    chain, task = start(parameters=LARGE)
    part, made = first_part(chain, task)
    assert len(made.parts) == 4
    chain.deliver(part.shard, made.packet())
    chain.must_send(OTHER, body_message(part, [made.parts[2], made.parts[2]], OTHER))
    chain.must_send(RELAYER, body_message(part, made.parts[1:3]))
    chain.must_send(OTHER, body_message(part, made.parts, OTHER))
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert relayed(chain, task, 1) == {OTHER.public_key: (3, 3 * FEE), RELAYER.public_key: (2, 2 * FEE)}


def test_a_delivery_that_is_refused_earns_nothing() -> None:
    chain, task = start()
    part, made = first_part(chain, task)
    false = make_checkpoint(part)
    false.header.scale += 1
    assert chain.deliver(part.shard, false.packet(), OTHER) == b"InvalidCheckpoint"
    assert chain.send(OTHER, body_message(part, made.parts, OTHER)) == ("hub", 86)
    chain.deliver(part.shard, made.packet())
    junk = body_message(part, made.parts, OTHER)
    junk.parts[0].data = bytes(len(junk.parts[0].data))
    assert chain.send(OTHER, junk) == ("aggregation", 6)
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert list(relayed(chain, task, 1)) == [RELAYER.public_key]


def test_a_message_that_fails_with_its_transaction_earns_nothing() -> None:
    chain, task = start()
    part, made = first_part(chain, task)
    chain.deliver(part.shard, made.packet())
    good, bad = body_message(part, made.parts, OTHER), body_message(part, made.parts, OTHER)
    bad.round = 9
    assert chain.send(OTHER, good, bad) == ("hub", 80)
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert relayed(chain, task, 1) == {RELAYER.public_key: (2, 2 * FEE)}


def test_a_packet_over_the_client_of_another_shard_earns_nothing() -> None:
    chain, task = start(2, 4)
    chain.create_client("stranger")
    made = [make_checkpoint(part) for part in chain.parts(task)]
    assert chain.deliver("stranger", made[0].packet(), OTHER) == b"ForeignClient"
    for part, checkpoint in zip(chain.parts(task), made, strict=True):
        chain.complete(part, checkpoint)
    assert relayed(chain, task, 1) == {RELAYER.public_key: (4, 4 * FEE)}


@pytest.mark.parametrize("answer", [SUCCESS_ACK, ERROR_ACK, None], ids=["taken", "refused", "timed out"])
def test_what_became_of_the_hubs_own_packets_earns_nothing(answer: bytes | None) -> None:
    chain, task = start(2, 2)
    packet, content = chain.sent()[1]
    chain.answer(packet, answer)
    chain.block()
    assert content.round_opened.round == 1
    chain.complete(chain.parts(task)[0])
    chain.block(after_s=100)
    assert relayed(chain, task, 1) == {RELAYER.public_key: (2, 2 * FEE)}


def test_a_checkpoint_without_updates_has_a_header_to_be_paid() -> None:
    chain, task = start()
    part = chain.parts(task)[0]
    chain.complete(part, make_checkpoint(part, []))
    assert relayed(chain, task, 1) == {RELAYER.public_key: (1, FEE)}
    assert get_balance(chain.state, TREASURY.public_key) == 5_000 - FEE


def test_a_lie_of_a_shard_is_paid_for_as_the_truth_would_be() -> None:
    """A relayer carries what a shard has signed; that a body is false comes out when its last part is there."""
    chain, task = start(2, 4)
    honest, liar = chain.parts(task)
    chain.complete(honest)
    false = make_checkpoint(liar, make_updates(liar)[:1])
    false.header.grams_root = b"\x01" * 32
    chain.deliver(liar.shard, false.packet(), OTHER)
    chain.must_send(OTHER, body_message(liar, false.parts, OTHER))
    shown = chain.round(RoundId(task, 1, 0))
    assert shown.shards[1].status == query_pb2.SHARD_ROUND_STATUS_REJECTED
    assert relayed(chain, task, 1) == {RELAYER.public_key: (2, 2 * FEE), OTHER.public_key: (2, 2 * FEE)}


def test_a_void_attempt_pays_nothing_and_leaves_nothing_to_be_paid() -> None:
    chain, task = start(2, 4, min_shards=2)
    held_back = chain.parts(task)[1]
    made = make_checkpoint(held_back)
    chain.deliver(chain.parts(task)[0].shard, make_checkpoint(chain.parts(task)[0]).packet(), OTHER)
    chain.block(after_s=100)
    assert chain.newest(task) == RoundId(task, 1, 1)
    assert list(chain.state.scan(BULK, CARRIED_PREFIX)) == []
    assert chain.deliver(held_back.shard, made.packet(), OTHER) == SUCCESS_ACK
    chain.run_round(task)
    assert relayed(chain, task, 1) == {RELAYER.public_key: (4, 4 * FEE)}
    assert get_balance(chain.state, OTHER.public_key) == 0


def test_a_late_delivery_is_paid_by_the_round_that_is_aggregated_next() -> None:
    chain, task = start(2, 4, rounds=2, max_staleness=1)
    fast, slow = chain.parts(task)
    late = make_checkpoint(slow)
    chain.complete(fast)
    chain.block(after_s=100)
    assert relayed(chain, task, 1) == {RELAYER.public_key: (2, 2 * FEE)}
    chain.deliver(slow.shard, late.packet(), OTHER)
    chain.must_send(OTHER, body_message(slow, late.parts, OTHER))
    chain.run_round(task)
    assert relayed(chain, task, 2) == {RELAYER.public_key: (4, 4 * FEE), OTHER.public_key: (2, 2 * FEE)}


def test_a_delivery_that_is_too_late_earns_nothing() -> None:
    chain, task = start(2, 4, rounds=2, max_staleness=0)
    fast, slow = chain.parts(task)
    late = make_checkpoint(slow)
    chain.complete(fast)
    chain.block(after_s=100)
    assert chain.deliver(slow.shard, late.packet(), OTHER) == b"CheckpointTooLate"
    chain.run_round(task)
    assert relayed(chain, task, 2) == {RELAYER.public_key: (4, 4 * FEE)}


def test_after_the_end_of_a_task_nothing_is_counted_any_more() -> None:
    chain, task = start(2, 4, rounds=1)
    fast, slow = chain.parts(task)
    late = make_checkpoint(slow)
    chain.complete(fast)
    chain.block(after_s=100)
    assert require_task(chain.state, task).status is TaskStatus.COMPLETE
    chain.deliver(slow.shard, late.packet(), OTHER)
    chain.send(OTHER, body_message(slow, late.parts, OTHER))
    assert list(chain.state.scan(BULK, CARRIED_PREFIX)) == []


def test_tasks_pay_for_their_own_packets() -> None:
    chain, first = start()
    second = chain.create_task(make_spec(budget=20))
    chain.register(second, 0, 1)
    part, made = first_part(chain, second)
    chain.deliver(part.shard, made.packet(), OTHER)
    chain.complete(chain.parts(first)[0])
    assert relayed(chain, first, 1) == {RELAYER.public_key: (2, 2 * FEE)}
    chain.must_send(OTHER, body_message(part, made.parts, OTHER))
    assert relayed(chain, second, 1) == {}


def test_relayers_get_no_more_than_a_tenth_of_a_rounds_share() -> None:
    chain, task = start(2, 4, fee=1_000, budget=10_000)
    chain.run_round(task)
    assert relayed(chain, task, 1) == {RELAYER.public_key: (4, 4 * 125)}
    chain, task = start(2, 4, fee=1_000, budget=78)
    chain.run_round(task)
    assert relayed(chain, task, 1) == {}
    assert chain.round(RoundId(task, 1, 0)).paid == 36


def test_without_a_fee_relayers_are_not_in_the_settlement() -> None:
    chain, task = start(fee=0)
    chain.run_round(task)
    answer = read_settlement(chain.state, task, 1)
    assert [(leaf.packets, leaf.amount) for leaf in answer.leaves] == [(0, 2_500), (0, 2_500)]
    assert read_relay_pay(chain.state, RELAYER.public_key, 0, 0, 0).packets == 0


def test_the_fee_waits_for_the_challenge_window_with_all_other_pay() -> None:
    params = {"relay_fee": FEE, "challenge_window_ns": 50 * SECOND_NS}
    chain, task = start_training(1, 2, budget=10_000, params=params)
    chain.run_round(task)
    assert read_account(chain.state, RELAYER.public_key).earned == 0
    chain.block(after_s=50)
    assert read_account(chain.state, RELAYER.public_key).earned == 2 * FEE


def test_a_relayers_pay_can_be_proven_beside_that_of_participants() -> None:
    chain, task = start(2, 5)
    chain.run_round(task)
    answer = read_settlement(chain.state, task, 1)
    assert chain.state.get(PROVABLE, settlement_root_key(task, 1)) == answer.settlement_root
    assert [leaf.packets for leaf in answer.leaves] == [0] * 5 + [4]
    assert answer.leaves[5].weight == 0
    encoded = [encode(leaf) for leaf in answer.leaves]
    for index, leaf in enumerate(encoded):
        path = merkle_path(encoded, index)
        verify_merkle_path(answer.settlement_root, leaf, index, len(encoded), path)


def test_a_participant_that_relays_has_a_leaf_for_either_work() -> None:
    chain, task = start()
    part, made = first_part(chain, task)
    worker = participant_key(0)
    chain.deliver(part.shard, made.packet(), worker)
    chain.must_send(worker, body_message(part, made.parts, worker))
    leaves = [
        leaf for leaf in read_settlement(chain.state, task, 1).leaves if leaf.account == worker.public_key
    ]
    assert [(leaf.weight > 0, leaf.packets, leaf.amount) for leaf in leaves] == [
        (True, 0, (5_000 - 2 * FEE) // 2),
        (False, 2, 2 * FEE),
    ]
    assert read_account(chain.state, worker.public_key).earned == (5_000 - 2 * FEE) // 2 + 2 * FEE


def test_what_an_account_earned_as_a_relayer_is_told_by_round_with_totals() -> None:
    chain, task = start(rounds=4)
    for _ in range(4):
        chain.run_round(task)
    second = chain.create_task(make_spec(budget=10_000))
    chain.register(second, 0, 1)
    chain.run_round(second)
    share = {1: 2 * FEE, 2: 2 * FEE}
    answer = read_relay_pay(chain.state, RELAYER.public_key, 0, 0, 0)
    assert (answer.packets, answer.amount) == (10, 10 * FEE)
    assert [(entry.task, entry.round) for entry in answer.rounds] == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)]
    assert all((entry.packets, entry.amount) == (2, share[entry.task]) for entry in answer.rounds)
    page = read_relay_pay(chain.state, RELAYER.public_key, 1, 3, 2)
    assert [(entry.task, entry.round) for entry in page.rounds] == [(1, 3), (1, 4)]
    assert (page.packets, page.amount) == (10, 10 * FEE)


def test_an_account_that_never_relayed_has_earned_nothing_by_it() -> None:
    chain, task = start()
    chain.run_round(task)
    answer = read_relay_pay(chain.state, participant_key(0).public_key, 0, 0, 0)
    assert (answer.packets, answer.amount, list(answer.rounds)) == (0, 0, [])
    with pytest.raises(InvalidField):
        read_relay_pay(chain.state, b"short", 0, 0, 0)


carried = st.dictionaries(
    st.binary(min_size=32, max_size=32), st.integers(1, 10_000), min_size=0, max_size=20
).map(lambda counts: tuple(Carried(account, packets) for account, packets in sorted(counts.items())))
claims = st.dictionaries(
    st.binary(min_size=32, max_size=32), st.integers(0, 2**80), min_size=0, max_size=20
).map(lambda weights: tuple(Claim(account, weight) for account, weight in sorted(weights.items())))


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), carried)
def test_every_delivery_is_paid_the_same_and_never_more_than_the_fee(
    fee: int, budget: int, entries: tuple[Carried, ...]
) -> None:
    payments = pay_relayers(fee, budget, entries)
    packets = sum(entry.packets for entry in entries)
    total = sum(payment.amount for payment in payments)
    if not payments:
        assert not packets or fee == 0 or budget // RELAY_PART < packets
        return
    assert [(payment.account, payment.packets) for payment in payments] == [
        (entry.account, entry.packets) for entry in entries
    ]
    each, rest = divmod(total, packets)
    assert rest == 0
    assert all(payment.amount == each * payment.packets for payment in payments)
    assert each == fee or (each + 1) * packets > budget // RELAY_PART
    assert each <= fee
    assert total <= budget // RELAY_PART


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), carried, claims)
def test_no_round_pays_more_than_its_share(
    fee: int, budget: int, entries: tuple[Carried, ...], items: tuple[Claim, ...]
) -> None:
    settled = divide_share(fee, PendingSettlement(0, budget, items, entries))
    assert settled.paid == sum(payment.amount for payment in settled.payments)
    assert settled.relay_paid == sum(payment.amount for payment in settled.relay_payments)
    assert 0 <= settled.paid + settled.relay_paid <= budget
