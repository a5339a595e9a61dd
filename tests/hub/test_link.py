"""The hub's link through the real handlers: transactions with headers and proofs."""

from __future__ import annotations

import pytest

from abci_app.execution import RefusedResult
from hub.registry.state import require_shard
from hub.rounds.state import get_shard_round
from hub.rounds.types import RoundId, ShardStatus
from ibc.errors import RelayRedundant
from ibc.packet import ERROR_ACK
from ibc.ports import SUCCESS_ACK
from ibc.state import get_acknowledgement, has_receipt
from tests.support.federation import make_checkpoint
from tests.support.hub import AUTHORITY, HubChain, body_message, codes, make_spec
from tests.support.hub import RELAYER as CARRIER
from tests.support.hub_link import RELAYER, SimulatedShard
from tests.support.hub_packets import make_create_client
from wire.gradchain.hub.v1 import query_pb2


@pytest.fixture
def linked() -> tuple[HubChain, SimulatedShard, int]:
    """A hub with a linked shard, in the first round of a task."""
    chain = HubChain().start()
    shard = SimulatedShard(chain)
    chain.must_send(AUTHORITY, *shard.link())
    chain.clients["shard-1"] = shard.client_id
    task = chain.create_task(make_spec())
    chain.register(task, 0, 1)
    return chain, shard, task


def status_of(chain: HubChain, task: int) -> ShardStatus:
    record = get_shard_round(chain.state, RoundId(task, 1, 0), "shard-1")
    assert record is not None
    return record.status


def test_one_transaction_links_a_shard(linked: tuple[HubChain, SimulatedShard, int]) -> None:
    chain, shard, task = linked
    assert require_shard(chain.state, "shard-1").client_id == shard.client_id
    assert chain.newest(task) == RoundId(task, 1, 0)
    assert len(chain.sent()) == 1


def test_only_the_authority_creates_clients() -> None:
    chain = HubChain().start()
    create = make_create_client("shard-1", chain.time_ns, 3_600, RELAYER.public_key)
    assert chain.send(RELAYER, create) == ("ibc", 56)


def test_a_round_runs_over_proven_packets(linked: tuple[HubChain, SimulatedShard, int]) -> None:
    chain, shard, task = linked
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    packet = shard.send(made.packet())
    outcome = chain.block(shard.relay(packet))
    assert codes(outcome) == [("", 0)]
    assert status_of(chain, task) is ShardStatus.CHECKPOINTED
    assert has_receipt(chain.state, shard.client_id, 1)
    ack = get_acknowledgement(chain.state, shard.client_id, 1)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [SUCCESS_ACK]
    chain.must_send(CARRIER, body_message(part, made.parts))
    assert chain.newest(task) == RoundId(task, 2, 0)
    assert chain.round(RoundId(task, 1, 0)).status == query_pb2.ROUND_STATUS_SETTLED


def test_a_packet_that_was_received_changes_nothing_and_is_kept_out_of_the_mempool(
    linked: tuple[HubChain, SimulatedShard, int],
) -> None:
    chain, shard, task = linked
    packet = shard.send(make_checkpoint(chain.parts(task)[0]).packet())
    chain.block(shard.relay(packet))
    again = shard.relay(packet)
    with pytest.raises(RefusedResult) as refused:
        chain.check(again)
    assert refused.value.result.code == RelayRedundant.CODE
    assert codes(chain.block(again)) == [("", 0)]
    assert status_of(chain, task) is ShardStatus.CHECKPOINTED


def test_a_refused_checkpoint_is_received_and_answered_with_the_error(
    linked: tuple[HubChain, SimulatedShard, int],
) -> None:
    chain, shard, task = linked
    made = make_checkpoint(chain.parts(task)[0])
    made.header.scale += 1
    outcome = chain.block(shard.relay(shard.send(made.packet())))
    assert codes(outcome) == [("", 0)]
    ack = get_acknowledgement(chain.state, shard.client_id, 1)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [ERROR_ACK]
    assert status_of(chain, task) is ShardStatus.WAITING
    refused = [event for event in outcome.results[0].events if event.kind == "payload_refused"]
    assert dict(refused[0].attributes)["code"] == "84"


def test_a_packet_for_another_port_is_answered_with_the_error(
    linked: tuple[HubChain, SimulatedShard, int],
) -> None:
    chain, shard, task = linked
    made = make_checkpoint(chain.parts(task)[0])
    chain.block(shard.relay(shard.send(made.packet(), port="transfer")))
    ack = get_acknowledgement(chain.state, shard.client_id, 1)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [ERROR_ACK]


def test_a_packet_that_was_not_sent_is_refused(linked: tuple[HubChain, SimulatedShard, int]) -> None:
    chain, shard, task = linked
    packet = shard.send(make_checkpoint(chain.parts(task)[0]).packet())
    packet.timeout_timestamp += 1
    ((codespace, code),) = codes(chain.block(shard.relay(packet)))
    assert (codespace, code) == ("ibc", 8)
    assert status_of(chain, task) is ShardStatus.WAITING


def test_a_shard_that_refuses_a_round_is_missing(linked: tuple[HubChain, SimulatedShard, int]) -> None:
    chain, shard, task = linked
    ((packet, _),) = chain.sent()
    assert codes(chain.block(shard.answer(packet, ERROR_ACK))) == [("", 0)]
    assert status_of(chain, task) is ShardStatus.MISSING


def test_a_shard_that_takes_a_round_is_waited_for(linked: tuple[HubChain, SimulatedShard, int]) -> None:
    chain, shard, task = linked
    ((packet, _),) = chain.sent()
    assert codes(chain.block(shard.answer(packet, SUCCESS_ACK))) == [("", 0)]
    assert status_of(chain, task) is ShardStatus.WAITING


def test_a_shard_that_was_not_told_in_time_is_missing(
    linked: tuple[HubChain, SimulatedShard, int],
) -> None:
    """The packet outlives the deadline, so the round is void before; a timeout then changes nothing more."""
    chain, shard, task = linked
    ((packet, _),) = chain.sent()
    early = shard.time_out(packet)
    assert codes(chain.block(early)) == [("ibc", 75)]
    chain.block(after_s=170)
    assert chain.newest(task) == RoundId(task, 1, 1)
    outcome = chain.block(shard.time_out(packet))
    assert codes(outcome) == [("", 0)]
    assert status_of(chain, task) is ShardStatus.MISSING
