"""Whatever order and bundles updates come in, the state follows from simple rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.rounds.state import require_progress
from shards.updates.state import get_record
from shards.updates.types import SlotUse
from tests.support.shard_rounds import TestRound, build_round, bundle
from tests.support.shards import ShardChain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wire.gradchain.fl.v1 import update_pb2

PARTICIPANTS: Final = 3
KINDS: Final = ("good", "other", "lie", "miscount", "swapped", "forged", "misplaced", "malformed")
AUTHENTIC: Final = {"good", "other", "lie", "miscount"}
STATEMENT_OF: Final = {"swapped": "good", "forged": "good", "misplaced": "good"}
"""Items that carry the statement of another kind: once that one is accepted, they bring nothing new."""
MANY: Final = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Item:
    participant: int
    kind: str


items = st.builds(Item, st.integers(0, PARTICIPANTS - 1), st.sampled_from(KINDS))
blocks = st.lists(st.lists(st.lists(items, min_size=1, max_size=4), max_size=3), max_size=5)
"""Blocks of bundles of items."""


@lru_cache(maxsize=1)
def shared_round() -> TestRound:
    return build_round(PARTICIPANTS, parameters=12)


@lru_cache(maxsize=64)
def build_item(participant: int, kind: str) -> update_pb2.Update:
    item = shared_round()
    other = (participant + 1) % PARTICIPANTS
    if kind == "other":
        return item.update(participant, item.values(participant + 50))
    if kind == "lie":
        return item.miscommitted(participant)
    if kind == "miscount":
        return item.miscounted(participant)
    update = item.update(participant)
    if kind == "swapped":
        update.payload = item.values(other).tobytes()
    if kind == "forged":
        update.signed.signature = bytes(64)
    if kind == "misplaced":
        update.assignment.index = other
    if kind == "malformed":
        update.signed.statement += b"\x00"
    return update


def build_tx(content: Sequence[Item]) -> bytes:
    return bundle(*(build_item(item.participant, item.kind) for item in content))


def start() -> ShardChain:
    chain = ShardChain().start()
    chain.open(shared_round())
    return chain


@MANY
@given(blocks)
def test_each_slot_is_used_by_the_first_authentic_update(script: list[list[list[Item]]]) -> None:
    chain = start()
    expected: dict[int, str] = {}
    for content in script:
        outcome = chain.block(*(build_tx(tx) for tx in content))
        for tx, result in zip(content, outcome.results, strict=True):
            flags = [bool(result.data[i >> 3] >> (i & 7) & 1) for i in range(len(tx))]
            for item, taken in zip(tx, flags, strict=True):
                if item.kind in AUTHENTIC:
                    expected.setdefault(item.participant, item.kind)
                winner = expected.get(item.participant)
                same = winner == STATEMENT_OF.get(item.kind, item.kind)
                assert taken == (same and winner in {"good", "other"})
    uses = {}
    for participant, kind in expected.items():
        record = get_record(chain.state, shared_round().round_id, shared_round().participants[participant])
        assert record is not None
        uses[participant] = record.use
        assert record.use is (SlotUse.ACCEPTED if kind in {"good", "other"} else SlotUse.SPENT)
    progress = require_progress(chain.state, shared_round().round_id)
    assert progress.accepted == sum(use is SlotUse.ACCEPTED for use in uses.values())
    assert progress.spent == sum(use is SlotUse.SPENT for use in uses.values())


@MANY
@given(st.lists(st.tuples(items, st.booleans()), min_size=1, max_size=10))
def test_the_state_does_not_depend_on_the_bundles(cut_content: list[tuple[Item, bool]]) -> None:
    content = [item for item, _ in cut_content]
    together = start()
    together.block(build_tx(content))
    apart = start()
    txs: list[list[Item]] = [[]]
    for item, starts_bundle in cut_content:
        if txs[-1] and starts_bundle:
            txs.append([])
        txs[-1].append(item)
    apart.block(*(build_tx(tx) for tx in txs))
    assert apart.state.digest() == together.state.digest()


@MANY
@given(blocks)
def test_the_state_does_not_depend_on_what_a_node_remembers(script: list[list[list[Item]]]) -> None:
    steady, forgetful = start(), start()
    for content in script:
        txs = [build_tx(tx) for tx in content]
        forgetful.forget()
        steady.rehearse(*txs)
        assert steady.block(*txs).results == forgetful.block(*txs).results
        assert steady.state.digest() == forgetful.state.digest()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=80), max_size=3))
def test_no_bytes_halt_a_block(txs: list[bytes]) -> None:
    chain = start()
    before = chain.state.digest()
    outcome = chain.block(*txs)
    assert all(result.code for result in outcome.results)
    assert chain.state.digest() == before
