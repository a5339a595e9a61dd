"""The hub's packets as a relayer brings them: with headers and proofs, through the app's own handlers."""

from __future__ import annotations

from ibc.errors import NotAuthority
from ibc.packet import ERROR_ACK
from ibc.state import get_acknowledgement
from shards.checkpoints.state import get_delivery
from shards.checkpoints.types import DeliveryStatus
from shards.rounds.state import get_opened, require_progress
from shards.rounds.types import RoundStatus
from tests.support.shard_link import SimulatedHub
from tests.support.shard_rounds import TestRound, build_round, bundle
from tests.support.shards import HUB_CLIENT, SHARD_CLIENT, ShardChain, codes, genesis_state, sent_checkpoints
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.keys import format_address
from wire.gradchain.fl.v1 import packet_pb2

NOW_S = NOW_NS // SECOND_NS
OTHER_CLIENT = "07-tendermint-1"


def start() -> tuple[ShardChain, SimulatedHub]:
    chain, hub = ShardChain().start(linked=False), SimulatedHub()
    assert codes(chain.block(hub.link())) == [("", 0)]
    return chain, hub


def opening(item: TestRound) -> packet_pb2.HubPacket:
    return packet_pb2.HubPacket(round_opened=item.opened)


def read_ack(chain: ShardChain, client_id: str, sequence: int) -> list[bytes]:
    ack = get_acknowledgement(chain.state, client_id, sequence)
    assert ack is not None
    return list(ack.app_acknowledgements)


def test_a_proven_packet_opens_a_round() -> None:
    chain, hub = start()
    item = build_round()
    packet = hub.send(opening(item), timeout_s=NOW_S + 100)
    assert codes(chain.block(hub.relay(packet))) == [("", 0)]
    assert get_opened(chain.state, item.round_id) == item.opened
    assert read_ack(chain, HUB_CLIENT, 1) == [b"\x01"]


def test_an_update_in_the_block_of_the_opening_is_taken() -> None:
    chain, hub = start()
    item = build_round()
    packet = hub.send(opening(item), timeout_s=NOW_S + 100)
    outcome = chain.block(hub.relay(packet), bundle(item.update(0)))
    assert codes(outcome) == [("", 0), ("", 0)]


def test_a_round_that_cannot_be_opened_is_answered_with_an_error() -> None:
    chain, hub = start()
    item = build_round(unit=65_535)
    packet = hub.send(opening(item), timeout_s=NOW_S + 100)
    assert codes(chain.block(hub.relay(packet))) == [("", 0)]
    assert read_ack(chain, HUB_CLIENT, 1) == [ERROR_ACK]
    assert get_opened(chain.state, item.round_id) is None


def test_another_chain_with_a_proven_packet_cannot_open_a_round() -> None:
    chain, _ = start()
    impostor = SimulatedHub()
    assert codes(chain.block(impostor.link(client_id=OTHER_CLIENT))) == [("", 0)]
    item = build_round()
    packet = impostor.send(opening(item), timeout_s=NOW_S + 100, client_id=OTHER_CLIENT)
    assert codes(chain.block(impostor.relay(packet))) == [("", 0)]
    assert read_ack(chain, OTHER_CLIENT, 1) == [ERROR_ACK]
    assert get_opened(chain.state, item.round_id) is None


def test_an_unproven_packet_changes_nothing() -> None:
    chain, hub = start()
    item = build_round()
    packet = hub.send(opening(item), timeout_s=NOW_S + 100)
    packet.payloads[0].value = opening(build_round(5)).SerializeToString()
    outcome = chain.block(hub.relay(packet))
    assert outcome.results[0].codespace == "ibc"
    assert get_opened(chain.state, item.round_id) is None


def test_a_packet_that_comes_twice_opens_one_round() -> None:
    chain, hub = start()
    item = build_round()
    packet = hub.send(opening(item), timeout_s=NOW_S + 100)
    outcome = chain.block(hub.relay(packet), hub.relay(packet))
    assert codes(outcome) == [("", 0), ("", 0)]
    assert read_ack(chain, HUB_CLIENT, 1) == [b"\x01"]


def test_a_proven_acknowledgement_of_a_checkpoint_is_noted() -> None:
    chain, hub = start()
    item = build_round(1)
    packet = hub.send(opening(item), timeout_s=NOW_S + 100)
    chain.block(hub.relay(packet))
    ((checkpoint, _),) = sent_checkpoints(chain.submit(item.update(0)))
    assert checkpoint.destination_client == SHARD_CLIENT
    assert codes(chain.block(hub.answer(checkpoint, b"\x01"))) == [("", 0)]
    delivery = get_delivery(chain.state, item.round_id)
    assert delivery is not None
    assert delivery.status is DeliveryStatus.ACKNOWLEDGED


def test_a_proven_error_of_the_hub_is_noted() -> None:
    chain, hub = start()
    item = build_round(1)
    chain.block(hub.relay(hub.send(opening(item), timeout_s=NOW_S + 100)))
    ((checkpoint, _),) = sent_checkpoints(chain.submit(item.update(0)))
    assert codes(chain.block(hub.answer(checkpoint, ERROR_ACK))) == [("", 0)]
    delivery = get_delivery(chain.state, item.round_id)
    assert delivery is not None
    assert delivery.status is DeliveryStatus.REFUSED


def test_a_proven_settlement_prunes_the_round() -> None:
    chain, hub = start()
    item = build_round(1)
    chain.block(hub.relay(hub.send(opening(item), timeout_s=NOW_S + 100)))
    chain.submit(item.update(0))
    settled = packet_pb2.RoundSettled(task=1, round=1, attempt=1)
    packet = hub.send(packet_pb2.HubPacket(round_settled=settled), timeout_s=NOW_S + 100)
    assert codes(chain.block(hub.relay(packet))) == [("", 0)]
    assert require_progress(chain.state, item.round_id).status is RoundStatus.PRUNED
    assert chain.state.blobs == {}


def test_only_the_authority_of_the_genesis_creates_clients() -> None:
    chain = ShardChain().start(
        {**genesis_state(), "authority": format_address(build_key(1).public_key)}, linked=False
    )
    assert codes(chain.block(SimulatedHub().link())) == [("ibc", NotAuthority.CODE)]
