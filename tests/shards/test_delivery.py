"""How checkpoints travel to the hub, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ibc.state import get_commitment, put_client, require_client
from shards.checkpoints.state import get_body, get_delivery, get_header
from shards.checkpoints.types import Delivery, DeliveryStatus
from shards.rounds.state import list_live, require_progress
from shards.rounds.types import RoundStatus
from tests.support.shard_rounds import TestRound, build_round
from tests.support.shards import HUB_CLIENT, ShardChain, genesis_state, sent_checkpoints
from tests.support.txs import NOW_NS, SECOND_NS

NOW_S = NOW_NS // SECOND_NS


def require_delivery(chain: ShardChain, item: TestRound) -> Delivery:
    delivery = get_delivery(chain.state, item.round_id)
    assert delivery is not None
    return delivery


def test_the_checkpoint_leaves_in_the_block_that_closes_the_round() -> None:
    chain = ShardChain().start()
    item = build_round(2)
    chain.open(item)
    outcome = chain.submit(item.update(0), item.update(1))
    ((packet, header),) = sent_checkpoints(outcome)
    assert header == get_header(chain.state, item.round_id)
    assert packet.source_client == HUB_CLIENT
    assert get_commitment(chain.state, HUB_CLIENT, packet.sequence) is not None
    assert require_delivery(chain, item) == Delivery(DeliveryStatus.SENT, chain.height, packet.sequence)


def test_a_checkpoint_is_sent_once() -> None:
    chain = ShardChain().start()
    item = build_round(1)
    chain.open(item)
    assert len(sent_checkpoints(chain.submit(item.update(0)))) == 1
    assert [sent_checkpoints(chain.block()) for _ in range(3)] == [[], [], []]


def test_a_checkpoint_times_out_when_the_hub_has_no_use_for_it_any_more() -> None:
    chain = ShardChain().start({**genesis_state(), "params": {"checkpoint_allowance_s": 77}})
    item = build_round(1, deadline_after_s=120)
    chain.open(item)
    ((packet, _),) = sent_checkpoints(chain.submit(item.update(0)))
    assert packet.timeout_timestamp == NOW_S + 120 + 77


def test_a_timeout_is_at_most_a_day_ahead() -> None:
    chain = ShardChain().start()
    item = build_round(1, deadline_after_s=90_000)
    chain.open(item)
    ((packet, _),) = sent_checkpoints(chain.submit(item.update(0)))
    assert packet.timeout_timestamp == chain.time_ns // SECOND_NS + 86_400


def test_a_checkpoint_that_cannot_be_sent_waits_and_goes_with_the_first_block_that_can() -> None:
    chain = ShardChain().start(linked=False)
    item = build_round(1)
    chain.open(item)
    outcome = chain.submit(item.update(0))
    assert sent_checkpoints(outcome) == []
    assert require_progress(chain.state, item.round_id).status is RoundStatus.CLOSED
    assert require_delivery(chain, item).status is DeliveryStatus.WAITING
    closed_at = chain.height
    before = chain.state.digest()
    chain.block()
    assert chain.state.digest() == before
    chain.link()
    assert require_progress(chain.state, item.round_id).status is RoundStatus.CHECKPOINTED
    assert require_delivery(chain, item) == Delivery(DeliveryStatus.SENT, closed_at, 1)


def test_a_round_that_waits_to_be_sent_takes_no_updates() -> None:
    chain = ShardChain().start(linked=False)
    item = build_round(2, close_after_s=10)
    chain.open(item)
    chain.block(after_s=20)
    outcome = chain.submit(item.update(0))
    assert (outcome.results[0].codespace, outcome.results[0].code) == ("shard", 20)


def test_a_frozen_client_stops_no_block() -> None:
    chain = ShardChain().start()
    overlay = chain.overlay()
    put_client(overlay, HUB_CLIENT, require_client(overlay, HUB_CLIENT).freeze())
    chain.state.apply(overlay)
    item = build_round(1)
    chain.open(item)
    outcome = chain.submit(item.update(0))
    assert sent_checkpoints(outcome) == []
    assert list_live(chain.state) == [item.round_id]


def test_an_expired_client_stops_no_block() -> None:
    chain = ShardChain().start()
    chain.block(after_s=15 * 86_400)
    item = build_round(1, close_after_s=16 * 86_400, deadline_after_s=16 * 86_400)
    chain.open(item)
    chain.submit(item.update(0))
    assert list_live(chain.state) == [item.round_id]
    chain.block()
    assert require_delivery(chain, item).status is DeliveryStatus.WAITING


@pytest.mark.parametrize(("late_s", "status"), [(719, DeliveryStatus.WAITING), (720, DeliveryStatus.UNSENT)])
def test_a_checkpoint_that_is_useless_is_given_up(late_s: int, status: DeliveryStatus) -> None:
    chain = ShardChain().start(linked=False)
    item = build_round(1, deadline_after_s=120)
    chain.open(item)
    chain.submit(item.update(0))
    chain.block(after_s=(NOW_NS - chain.time_ns) / SECOND_NS + late_s)
    assert require_delivery(chain, item).status is status
    assert (list_live(chain.state) == []) == (status is DeliveryStatus.UNSENT)


def test_a_given_up_checkpoint_is_not_sent_later() -> None:
    chain = ShardChain().start(linked=False)
    item = build_round(1)
    chain.open(item)
    chain.submit(item.update(0))
    chain.block(after_s=800)
    chain.link()
    assert sent_checkpoints(chain.block()) == []
    assert require_delivery(chain, item).status is DeliveryStatus.UNSENT


def test_one_checkpoint_that_cannot_be_sent_does_not_hold_up_another() -> None:
    chain = ShardChain().start(linked=False)
    useless = build_round(1, task=1, close_after_s=10, deadline_after_s=20)
    useful = build_round(1, task=2, close_after_s=5_000, deadline_after_s=5_000)
    chain.open(useless, useful)
    chain.submit(useless.update(0), useful.update(0))
    chain.block(after_s=2_000)
    chain.link()
    assert require_delivery(chain, useless).status is DeliveryStatus.UNSENT
    assert require_delivery(chain, useful).status is DeliveryStatus.SENT


def test_settling_a_round_that_waits_to_be_sent_ends_it() -> None:
    chain = ShardChain().start(linked=False)
    item = build_round(1)
    chain.open(item)
    chain.submit(item.update(0))
    chain.settle(item)
    chain.link()
    assert sent_checkpoints(chain.block()) == []
    assert require_delivery(chain, item).status is DeliveryStatus.WAITING
    assert list_live(chain.state) == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"\x01", DeliveryStatus.ACKNOWLEDGED),
        (b"\x02", DeliveryStatus.REFUSED),
        (None, DeliveryStatus.TIMED_OUT),
    ],
)
def test_the_hubs_answer_is_noted_and_nothing_is_sent_again(
    answer: bytes | None, status: DeliveryStatus
) -> None:
    chain = ShardChain().start()
    item = build_round(1)
    chain.open(item)
    ((packet, _),) = sent_checkpoints(chain.submit(item.update(0)))
    before = require_delivery(chain, item)
    chain.answer(packet, answer)
    assert require_delivery(chain, item) == replace(before, status=status)
    assert sent_checkpoints(chain.block()) == []
    assert get_body(chain.state, item.round_id) is not None


def test_an_answer_after_the_settlement_is_noted() -> None:
    chain = ShardChain().start()
    item = build_round(1)
    chain.open(item)
    ((packet, _),) = sent_checkpoints(chain.submit(item.update(0)))
    chain.settle(item)
    chain.answer(packet, b"\x01")
    assert require_delivery(chain, item).status is DeliveryStatus.ACKNOWLEDGED
    assert require_progress(chain.state, item.round_id).status is RoundStatus.PRUNED
