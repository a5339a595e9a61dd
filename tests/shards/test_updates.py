"""Updates in blocks: repeats, second statements, liars among others, bundles, and what a carrier cannot do."""

from __future__ import annotations

import pytest

from abci_app.execution import is_valid_proposal, select_for_proposal
from shards.errors import AlreadyAccepted, SecondUpdate, SlotSpent
from shards.rounds.state import require_progress
from shards.updates.msgs import read_update
from shards.updates.state import get_record, get_signed, list_accepted
from tests.support.shard_rounds import TestRound, build_round, bundle
from tests.support.shards import ShardChain, codes
from tests.support.txs import build_key
from tx.keys import format_address
from wire.gradchain.fl.v1 import packet_pb2, update_pb2


def start(participants: int = 4) -> tuple[ShardChain, TestRound]:
    chain = ShardChain().start()
    item = build_round(participants)
    chain.open(item)
    return chain, item


def test_an_accepted_update_is_recorded_with_its_payload() -> None:
    chain, item = start()
    update = item.update(2)
    outcome = chain.submit(update)
    participant = item.participants[2]
    record = get_record(chain.state, item.round_id, participant)
    kept = get_signed(chain.state, item.round_id, participant)
    assert record is not None
    assert record.height == chain.height
    assert record.payload_bytes == len(update.payload)
    assert kept is not None
    assert (kept.signed, kept.assignment, kept.payload) == (update.signed, update.assignment, b"")
    assert list(chain.state.blobs.values()) == [update.payload]
    event = outcome.results[0].events[0]
    assert event.kind == "update_accepted"
    assert dict(event.attributes) == {
        "task": "1",
        "round": "1",
        "attempt": "1",
        "participant": format_address(participant),
        "statement_digest": record.statement_digest.hex(),
    }


def test_the_same_statement_again_is_a_success_that_changes_nothing() -> None:
    chain, item = start()
    chain.submit(item.update(0))
    before = chain.state.digest()
    outcome = chain.submit(item.update(0))
    assert codes(outcome) == [("", 0)]
    assert outcome.results[0].data == b"\x01"
    assert outcome.results[0].events == ()
    assert chain.state.digest() == before


def test_the_same_statement_after_the_round_has_closed_is_still_a_success() -> None:
    chain, item = start(1)
    chain.submit(item.update(0))
    assert codes(chain.submit(item.update(0))) == [("", 0)]


def test_the_mempool_refuses_the_same_statement_again() -> None:
    chain, item = start()
    chain.submit(item.update(0))
    with pytest.raises(AlreadyAccepted):
        chain.check(item.update(0))


def test_another_statement_of_the_same_round_is_refused() -> None:
    chain, item = start()
    chain.submit(item.update(0))
    before = chain.state.digest()
    second = item.update(0, item.values(1))
    assert codes(chain.submit(second)) == [("shard", 29)]
    with pytest.raises(SecondUpdate):
        chain.check(second)
    assert chain.state.digest() == before


def test_the_mempool_refuses_updates_of_a_spent_slot() -> None:
    chain, item = start()
    chain.submit(item.miscommitted(0))
    with pytest.raises(SlotSpent):
        chain.check(item.update(0))


def test_a_lie_is_kept_as_evidence_together_with_its_payload() -> None:
    chain, item = start()
    update = item.miscommitted(0)
    chain.submit(update)
    kept = get_signed(chain.state, item.round_id, item.participants[0])
    assert kept is not None
    assert kept.signed == update.signed
    assert update.payload in chain.state.blobs.values()


def test_liars_in_a_block_harm_nobody_else() -> None:
    chain, item = start(6)
    updates = [item.miscommitted(i) if i in {1, 4} else item.update(i) for i in range(6)]
    outcome = chain.submit(*updates)
    assert outcome.results[0].data == bytes([0b101101])
    accepted = list_accepted(chain.state, item.round_id)
    assert set(accepted) == {item.participants[i] for i in (0, 2, 3, 5)}
    assert require_progress(chain.state, item.round_id).spent == 2


def test_malformed_items_in_a_block_harm_nobody_else() -> None:
    chain, item = start()
    garbage = update_pb2.Update(payload=b"x" * 25)
    garbage.signed.statement = b"\xff\xff"
    outcome = chain.submit(update_pb2.Update(), item.update(0), garbage, item.update(1))
    assert outcome.results[0].data == b"\x0a"


def test_updates_of_a_round_that_opens_in_the_same_block_are_taken() -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.inbox.append(packet_pb2.HubPacket(round_opened=item.opened))
    assert codes(chain.submit(item.update(0))) == [("", 0)]


def test_a_genuine_update_survives_a_swapped_copy_before_it_in_the_block() -> None:
    chain, item = start()
    swapped = item.update(0)
    swapped.payload = item.values(1).tobytes()
    outcome = chain.block(bundle(swapped), bundle(item.update(0)))
    assert codes(outcome) == [("shard", 31), ("", 0)]


def test_a_swapped_copy_claims_nothing_in_a_proposal() -> None:
    chain, item = start()
    swapped = item.update(0)
    swapped.payload = item.values(1).tobytes()
    misplaced = item.update(0)
    misplaced.assignment.CopyFrom(item.proof(1))
    forged = item.update(0)
    forged.signed.signature = bytes(64)
    txs = [bundle(item.update(1), swapped, misplaced, forged, item.update(0))]
    assert select_for_proposal(chain.app, chain.services, txs, 1_000_000) == txs
    assert is_valid_proposal(chain.app, chain.services, txs)


def test_two_statements_of_one_participant_are_one_claim() -> None:
    chain, item = start()
    updates = [item.update(0), item.update(0, item.values(1))]
    assert read_update(updates[0]).claim == read_update(updates[1]).claim
    txs = [bundle(*updates)]
    assert select_for_proposal(chain.app, chain.services, txs, 1_000_000) == []
    assert not is_valid_proposal(chain.app, chain.services, txs)


def test_bundles_that_share_updates_are_all_taken_in_one_block() -> None:
    """Whoever copies public updates into bundles of its own keeps none out."""
    chain, item = start()
    own = bundle(*(item.update(number) for number in range(4)))
    copies = [bundle(item.update(number), item.update(number + 1)) for number in range(3)]
    txs = [*copies, own]
    assert select_for_proposal(chain.app, chain.services, txs, 10_000_000) == txs
    assert is_valid_proposal(chain.app, chain.services, txs)
    outcome = chain.block(*txs)
    assert codes(outcome) == [("", 0)] * 4
    assert [result.data for result in outcome.results] == [b"\x03", b"\x03", b"\x03", b"\x0f"]


def test_of_two_statements_of_one_participant_in_a_block_the_first_is_taken() -> None:
    chain, item = start()
    outcome = chain.block(bundle(item.update(0)), bundle(item.update(0, item.values(1)), item.update(1)))
    assert codes(outcome) == [("", 0), ("", 0)]
    assert [result.data for result in outcome.results] == [b"\x01", b"\x02"]


def test_claims_of_other_rounds_and_participants_are_apart() -> None:
    rounds = [build_round(number=1), build_round(number=2), build_round(attempt=2), build_round(task=2)]
    claims = [read_update(item.update(i)).claim for item in rounds for i in range(4)]
    assert len(set(claims)) == 16


def test_any_bytes_have_a_claim() -> None:
    first, second = update_pb2.Update(), update_pb2.Update(payload=b"x")
    assert read_update(first).claim != read_update(second).claim


def test_a_bundle_with_a_pending_update_is_taken_for_what_is_new() -> None:
    chain, item = start()
    pending = frozenset(chain.check(item.update(0)))
    assert len(chain.check(item.update(0), item.update(1), pending=pending)) == 1


def test_a_participant_of_two_rounds_has_a_slot_in_each() -> None:
    chain = ShardChain().start()
    first, second = build_round(number=1), build_round(number=2)
    chain.open(first, second)
    assert codes(chain.submit(first.update(0), second.update(0))) == [("", 0)]


def test_participants_with_equal_payloads_are_both_counted() -> None:
    chain, item = start(2)
    chain.submit(item.update(0, item.values(0)), item.update(1, item.values(0)))
    assert require_progress(chain.state, item.round_id).accepted == 2
    assert len([1 for segment, _ in chain.state.blobs if segment.startswith(b"updates")]) == 1


def test_a_stranger_with_the_right_place_of_nobody_cannot_enter() -> None:
    chain, item = start(2)
    padded = TestRound(item.opened, (*item.keys, build_key(50)))
    assert codes(chain.submit(padded.update(2))) == [("shard", 25)]
