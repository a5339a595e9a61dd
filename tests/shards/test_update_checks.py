"""Every check of an update: one way to break it, and what that costs the participant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from shards.rounds.state import require_progress
from shards.updates.state import get_record
from shards.updates.types import SlotUse
from tests.support.shard_rounds import TestRound, build_round
from tests.support.shards import ShardChain, codes
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.gradchain.fl.v1 import update_pb2

OTHER_HASH: Final = b"\xee" * 32


def swap_payload(item: TestRound) -> update_pb2.Update:
    update = item.update(0)
    update.payload = item.values(1).tobytes()
    return update


def shorten_payload(item: TestRound) -> update_pb2.Update:
    update = item.update(0)
    update.payload = update.payload[:-1]
    return update


def lengthen_payload(item: TestRound) -> update_pb2.Update:
    return item.update(0, np.append(item.values(0), np.int8(1)))


def commit_twice(item: TestRound) -> update_pb2.Update:
    commitment = item.statement(0, item.values(0).tobytes()).commitments[0]
    return set_commitments(commitment, commitment)(item)


def forge_signature(item: TestRound) -> update_pb2.Update:
    update = item.update(0)
    update.signed.signature = bytes(64)
    return update


def borrow_signature(item: TestRound) -> update_pb2.Update:
    update = item.update(0)
    update.signed.signature = item.update(1).signed.signature
    return update


def borrow_assignment(item: TestRound) -> update_pb2.Update:
    update = item.update(0)
    update.assignment.CopyFrom(item.proof(1))
    return update


def recount_assignment(item: TestRound) -> update_pb2.Update:
    """In a tree of four leaves the path of leaf 0 is also that of leaf 0 in a tree of three."""
    update = item.update(0)
    update.assignment.count = 3
    return update


def sign_as_stranger(item: TestRound) -> update_pb2.Update:
    stranger = TestRound(item.opened, (build_key(77), *item.keys[1:]))
    return stranger.update(0)


def sign_for_another_attempt(item: TestRound) -> update_pb2.Update:
    return set_field("attempt", item.opened.attempt + 1)(item)


def leave_range(item: TestRound) -> update_pb2.Update:
    values = item.values(0)
    values[3] = -128
    return item.update(0, values)


def change(
    edit: Callable[[update_pb2.UpdateStatement], None],
) -> Callable[[TestRound], update_pb2.Update]:
    def build(item: TestRound) -> update_pb2.Update:
        return item.changed_update(0, edit)

    return build


def set_field(name: str, value: str | int | bytes) -> Callable[[TestRound], update_pb2.Update]:
    def edit(statement: update_pb2.UpdateStatement) -> None:
        setattr(statement, name, value)

    return change(edit)


def set_commitments(*commitments: bytes) -> Callable[[TestRound], update_pb2.Update]:
    def edit(statement: update_pb2.UpdateStatement) -> None:
        statement.commitments[:] = commitments

    return change(edit)


def add_unknown_field(item: TestRound) -> update_pb2.Update:
    update = item.update(0)
    update.signed.statement += b"\xf8\x07\x01"
    update.signed.signature = item.keys[0].sign(b"whatever")
    return update


def lie_about_clipped(item: TestRound) -> update_pb2.Update:
    clipped = item.statement(0, item.values(0).tobytes()).clipped
    return set_field("clipped", clipped + 1)(item)


def send_no_point(item: TestRound) -> update_pb2.Update:
    return set_commitments(b"\xff" * 48)(item)


@dataclass(frozen=True)
class Case:
    build: Callable[[TestRound], update_pb2.Update]
    codespace: str
    code: int
    spends: bool = False


CASES: Final = {
    "an unknown round": Case(sign_for_another_attempt, "shard", 12),
    "an unknown field": Case(add_unknown_field, "tx", 3),
    "a commitment of another size": Case(set_commitments(b"\x01" * 47), "tx", 15),
    "another hub": Case(set_field("hub_chain_id", "hub-2"), "shard", 21),
    "another shard": Case(set_field("shard", "shard-2"), "shard", 21),
    "another spec": Case(set_field("spec_digest", OTHER_HASH), "shard", 22),
    "another base": Case(set_field("base_root", OTHER_HASH), "shard", 23),
    "another scale": Case(set_field("scale", 9), "shard", 24),
    "a stranger": Case(sign_as_stranger, "shard", 25),
    "another participant's place": Case(borrow_assignment, "shard", 25),
    "a place in a tree of another size": Case(recount_assignment, "shard", 25),
    "a short payload": Case(shorten_payload, "shard", 26),
    "a long payload": Case(lengthen_payload, "shard", 26),
    "a commitment too many": Case(commit_twice, "shard", 27),
    "no signature": Case(forge_signature, "tx", 6),
    "another participant's signature": Case(borrow_signature, "tx", 6),
    "a swapped payload": Case(swap_payload, "shard", 31),
    "a coordinate of -128": Case(leave_range, "shard", 40, spends=True),
    "a wrong number of clipped coordinates": Case(lie_about_clipped, "shard", 41, spends=True),
    "a wrong number of large coordinates": Case(lambda item: item.miscounted(0), "shard", 41, spends=True),
    "a commitment to other bytes": Case(lambda item: item.miscommitted(0), "shard", 42, spends=True),
    "a commitment that is no point": Case(send_no_point, "shard", 42, spends=True),
}


@pytest.mark.parametrize("name", CASES)
def test_a_block_refuses(name: str) -> None:
    case = CASES[name]
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    outcome = chain.submit(case.build(item))
    assert codes(outcome) == [(case.codespace, case.code)]
    assert outcome.results[0].data == b"\x00"
    assert require_progress(chain.state, item.round_id).accepted == 0


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.spends])
def test_whatever_a_carrier_could_have_done_keeps_the_slot(name: str) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    chain.submit(CASES[name].build(item))
    assert chain.state.blobs == {}
    assert codes(chain.submit(item.update(0))) == [("", 0)]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.spends])
def test_a_lie_of_the_signer_spends_the_slot(name: str) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    lie = CASES[name].build(item)
    chain.submit(lie)
    record = get_record(chain.state, item.round_id, item.participants[0])
    assert record is not None
    assert record.use is SlotUse.SPENT
    assert require_progress(chain.state, item.round_id).spent == 1
    assert codes(chain.submit(item.update(0))) == [("shard", 30)]
    assert codes(chain.submit(lie)) == [("shard", 30)]


CHECKED_LATER: Final = ("a commitment to other bytes", "a commitment that is no point")


@pytest.mark.parametrize("name", [name for name in CASES if name not in CHECKED_LATER])
def test_the_mempool_refuses(name: str) -> None:
    case = CASES[name]
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    with pytest.raises(AppError) as caught:
        chain.check(case.build(item))
    assert (caught.value.CODESPACE, caught.value.CODE) == (case.codespace, case.code)  # noqa: SIM300 - not constants


@pytest.mark.parametrize("name", CHECKED_LATER)
def test_the_mempool_leaves_commitments_to_the_block(name: str) -> None:
    chain = ShardChain().start()
    item = build_round()
    chain.open(item)
    assert len(chain.check(CASES[name].build(item))) == 1


def test_an_update_in_the_block_of_the_close_time_is_too_late() -> None:
    chain = ShardChain().start()
    item = build_round(close_after_s=10)
    chain.open(item)
    outcome = chain.submit(item.update(0))
    assert codes(outcome) == [("", 0)]
    chain.time_ns = NOW_NS + 9 * SECOND_NS
    assert codes(chain.submit(item.update(1))) == [("shard", 20)]


def test_an_update_just_before_the_close_time_is_taken() -> None:
    chain = ShardChain().start()
    item = build_round(close_after_s=10)
    chain.open(item)
    chain.time_ns = NOW_NS + 9 * SECOND_NS - 1
    assert codes(chain.submit(item.update(1))) == [("", 0)]


def test_an_update_of_a_round_that_closed_by_number_is_refused() -> None:
    chain = ShardChain().start()
    item = build_round(2)
    chain.open(item)
    chain.submit(item.update(0), item.update(1))
    stranger = TestRound(item.opened, (build_key(5), build_key(6)))
    assert codes(chain.submit(stranger.update(0))) == [("shard", 20)]


def test_updates_of_several_blobs_are_taken() -> None:
    chain = ShardChain().start()
    item = build_round(parameters=2 * 40_960 + 7)
    chain.open(item)
    assert codes(chain.submit(item.update(0))) == [("", 0)]


def test_a_lie_in_the_last_of_several_blobs_is_found() -> None:
    chain = ShardChain().start()
    item = build_round(parameters=40_960 + 7)
    chain.open(item)
    first, second = item.statement(0, item.values(0).tobytes()).commitments
    outcome = chain.submit(set_commitments(first, first)(item), item.update(1))
    assert outcome.results[0].data == b"\x02"
    assert second != first


def test_the_most_blobs_of_a_transaction_fit() -> None:
    chain = ShardChain().start()
    item = build_round(1, parameters=32 * 40_960)
    values = np.zeros(32 * 40_960, np.int8)
    chain.open(item)
    assert codes(chain.submit(item.update(0, values))) == [("", 0)]
