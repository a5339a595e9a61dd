"""Bad updates and bad packets on the real shard app and store, over proven packets of a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from abci_app.errors import DuplicateItem, NothingNew
from ibc.errors import (
    ClientNotActive,
    ClientNotFound,
    CounterpartyMismatch,
    HeightNotNewer,
    InvalidVote,
    ProofValueMismatch,
    RelayRedundant,
    RootMismatch,
    UnneededUpdate,
    WrongChainId,
)
from ibc.packet import ERROR_ACK
from ibc.state import get_acknowledgement
from shards.app import build_shard_app
from shards.errors import (
    AlreadyAccepted,
    CommitmentMismatch,
    CountMismatch,
    NotAssigned,
    PayloadMismatch,
    PayloadOutOfRange,
    RoundClosed,
    SecondUpdate,
    UnknownRound,
    WrongBase,
    WrongCommitmentCount,
    WrongDestination,
    WrongPayloadSize,
    WrongScale,
    WrongSpec,
)
from shards.rounds.state import get_opened, require_progress
from tests.support.app_node import AppNode
from tests.support.ibc import DAY_NS
from tests.support.shard_link import RELAYER, SimulatedHub
from tests.support.shard_rounds import SHARD_CHAIN, TestRound, build_round, bundle
from tests.support.shards import HUB_CLIENT, genesis_state
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.codec import encode
from tx.envelope import body_digest
from tx.failures import (
    InvalidSignature,
    InvalidStatement,
    MalformedEncoding,
    NonCanonicalEncoding,
    UnknownField,
)
from tx.statements import statement_digest
from wire.gradchain.fl.v1 import packet_pb2, update_pb2
from wire.gradchain.tx.v1 import tx_pb2
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tx.errors import AppError
    from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2

    Spoil = Callable[[TestRound], update_pb2.Update]

NOW_S: Final = NOW_NS // SECOND_NS


def verdict(error: type[AppError]) -> tuple[str, int]:
    return error.CODESPACE, error.CODE


def opening(item: TestRound) -> packet_pb2.HubPacket:
    return packet_pb2.HubPacket(round_opened=item.opened)


@pytest.fixture
def hub() -> SimulatedHub:
    return SimulatedHub()


@pytest.fixture
def node(tmp_path: Path, hub: SimulatedHub) -> Iterator[AppNode]:
    """A shard that is linked to its hub."""
    node = AppNode(tmp_path / "app", build_shard_app(), SHARD_CHAIN, genesis_state())
    assert node.block(hub.link()) == [("", 0)]
    yield node
    node.close()


# --- updates -----------------------------------------------------------------------------------------------------


def edit(**fields: str | int | bytes) -> Spoil:
    """Sign a statement of the second participant in which fields were changed."""

    def change(statement: update_pb2.UpdateStatement) -> None:
        for name, value in fields.items():
            setattr(statement, name, value)

    return lambda item: item.changed_update(1, change)


def resigned(change: Callable[[bytes], bytes]) -> Spoil:
    """Sign other bytes than the canonical ones of a statement."""

    def build(item: TestRound) -> update_pb2.Update:
        update = item.update(1)
        update.signed.statement = change(update.signed.statement)
        update.signed.signature = item.keys[1].sign(statement_digest(update.signed.statement))
        return update

    return build


def carried(**fields: bytes) -> Spoil:
    """Change an update without its participant."""

    def build(item: TestRound) -> update_pb2.Update:
        update = item.update(1)
        for name, value in fields.items():
            setattr(update.signed if name == "signature" else update, name, value)
        return update

    return build


def leave_range(item: TestRound) -> update_pb2.Update:
    values = item.values(1)
    values[0] = -128
    return item.update(1, values)


def commit_twice(item: TestRound) -> update_pb2.Update:
    def change(statement: update_pb2.UpdateStatement) -> None:
        statement.commitments.append(statement.commitments[0])

    return item.changed_update(1, change)


def swap_payload(item: TestRound) -> update_pb2.Update:
    return carried(payload=item.values(2).tobytes())(item)


def take_another_place(item: TestRound) -> update_pb2.Update:
    update = item.update(1)
    update.assignment.CopyFrom(item.proof(2))
    return update


def come_as_a_stranger(item: TestRound) -> update_pb2.Update:
    return TestRound(item.opened, (item.keys[0], build_key(99), *item.keys[2:])).update(1)


UPDATES: Final[dict[str, tuple[Spoil, type[AppError]]]] = {
    "noise for a statement": (resigned(lambda _: b"\xff\xff"), MalformedEncoding),
    "a default spelled out": (resigned(lambda data: data + b"\x70\x00"), NonCanonicalEncoding),
    "an unknown field": (resigned(lambda data: data + b"\xf8\x07\x01"), UnknownField),
    "a root of another size": (edit(base_root=b"short"), InvalidStatement),
    "another hub": (edit(hub_chain_id="hub-2"), WrongDestination),
    "another shard": (edit(shard="shard-2"), WrongDestination),
    "another spec": (edit(spec_digest=bytes(32)), WrongSpec),
    "another base": (edit(base_root=bytes(32)), WrongBase),
    "another scale": (edit(scale=3), WrongScale),
    "an unknown round": (edit(round=7), UnknownRound),
    "another attempt": (edit(attempt=7), UnknownRound),
    "a participant who is not assigned": (come_as_a_stranger, NotAssigned),
    "the place of another": (take_another_place, NotAssigned),
    "a payload that is too short": (carried(payload=b"\x01" * 24), WrongPayloadSize),
    "no payload": (carried(payload=b""), WrongPayloadSize),
    "a commitment too many": (commit_twice, WrongCommitmentCount),
    "a forged signature": (carried(signature=bytes(64)), InvalidSignature),
    "no signature": (carried(signature=b""), InvalidSignature),
    "a payload of another root": (swap_payload, PayloadMismatch),
    "a value out of range": (leave_range, PayloadOutOfRange),
    "a count that is wrong": (lambda item: item.miscounted(1), CountMismatch),
    "a commitment to something else": (lambda item: item.miscommitted(1), CommitmentMismatch),
}


@pytest.fixture
def item(node: AppNode, hub: SimulatedHub) -> TestRound:
    """An open round of four participants."""
    item = build_round()
    assert node.block(hub.relay(hub.send(opening(item), timeout_s=NOW_S + 100))) == [("", 0)]
    return item


@pytest.mark.parametrize("name", UPDATES)
def test_a_bad_update_has_its_own_code_and_harms_no_other_in_its_bundle(
    node: AppNode, item: TestRound, name: str
) -> None:
    spoil, error = UPDATES[name]
    bad = spoil(item)
    if error is not CommitmentMismatch:
        assert node.check(bundle(bad)) == verdict(error)
    assert node.block(bundle(item.update(0), bad, item.update(3))) == [("", 0)]
    (result,) = node.results
    assert result.data == bytes([0b101])
    (refused,) = [event for event in result.events if event.type == "update_refused"]
    attributes = {attribute.key: attribute.value for attribute in refused.attributes}
    assert (attributes["index"], attributes["codespace"], int(attributes["code"])) == ("1", *verdict(error))
    assert require_progress(node.state, item.round_id).accepted == 2
    node.restart()
    assert require_progress(node.state, item.round_id).accepted == 2


@pytest.mark.parametrize("name", UPDATES)
def test_a_bad_update_alone_fails_its_transaction_with_its_code(
    node: AppNode, item: TestRound, name: str
) -> None:
    spoil, error = UPDATES[name]
    assert node.block(bundle(spoil(item))) == [verdict(error)]
    assert node.block(bundle(item.update(0))) == [("", 0)]


def test_a_bundle_with_one_bad_update_is_taken_for_the_others(node: AppNode, item: TestRound) -> None:
    tx = bundle(item.update(0), carried(signature=bytes(64))(item))
    assert node.check(tx) == ("", 0)
    assert node.propose(tx) == [tx]
    assert node.accepts(tx)


def test_a_bundle_that_nobody_may_propose_does_not_keep_its_updates_out(
    node: AppNode, item: TestRound
) -> None:
    """Anybody can put another's update into such a bundle; were it let in, the update would count as pending."""
    update = item.update(0)
    assert node.check(bundle(update, update)) == verdict(DuplicateItem)
    noise = carried(signature=bytes(64))(item)
    assert node.check(bundle(update, noise, noise)) == verdict(DuplicateItem)
    assert node.check(bundle(update)) == ("", 0)


def test_a_pending_update_is_not_taken_twice(node: AppNode, item: TestRound) -> None:
    assert node.check(bundle(item.update(0))) == ("", 0)
    assert node.check(bundle(item.update(0))) == verdict(NothingNew)


def test_a_second_update_is_refused_and_the_first_one_again_is_a_success(
    node: AppNode, item: TestRound
) -> None:
    other = item.update(0, item.values(3))
    assert node.block(bundle(item.update(0))) == [("", 0)]
    before = require_progress(node.state, item.round_id)
    assert node.block(bundle(item.update(0)), bundle(other)) == [("", 0), verdict(SecondUpdate)]
    assert node.check(bundle(item.update(0))) == verdict(AlreadyAccepted)
    assert node.check(bundle(other)) == verdict(SecondUpdate)
    assert require_progress(node.state, item.round_id) == before


def test_a_closed_round_takes_no_update(node: AppNode, item: TestRound) -> None:
    assert node.block(bundle(item.update(0)), after_s=60) == [verdict(RoundClosed)]
    assert node.check(bundle(item.update(0))) == verdict(RoundClosed)


# --- packets -----------------------------------------------------------------------------------------------------


def messages_of(tx: bytes) -> tuple[client_tx_pb2.MsgUpdateClient, channel_tx_pb2.MsgRecvPacket]:
    """Return the two messages of a relayed packet."""
    body = tx_pb2.TxBody.FromString(tx_pb2.Envelope.FromString(tx).tx.body)
    return (
        client_tx_pb2.MsgUpdateClient.FromString(body.messages[0].value),
        channel_tx_pb2.MsgRecvPacket.FromString(body.messages[1].value),
    )


def edit_header(
    update: client_tx_pb2.MsgUpdateClient, change: Callable[[tendermint_pb2.Header], None]
) -> client_tx_pb2.MsgUpdateClient:
    header = tendermint_pb2.Header.FromString(update.client_message.value)
    change(header)
    update.client_message.value = encode(header)
    return update


@pytest.fixture
def packet(hub: SimulatedHub) -> channel_pb2.Packet:
    return hub.send(opening(build_round()), timeout_s=NOW_S + 100)


def test_a_packet_that_was_changed_on_the_way_is_refused(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    packet.payloads[0].value = opening(build_round(5)).SerializeToString()
    assert node.block(hub.relay(packet)) == [verdict(ProofValueMismatch)]
    assert get_opened(node.state, build_round().round_id) is None


def test_a_proof_from_another_state_is_refused(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    """What the hub never committed to, in a well-formed tree of the forger's own."""
    forger = SimulatedHub()
    forger.pairs = {**hub.pairs, b"another key": b"another value"}
    _, forged = messages_of(forger.relay(packet))
    update, message = messages_of(hub.relay(packet))
    message.proof_commitment = forged.proof_commitment
    tx = hub.sign(RELAYER, update, message)
    assert node.check(tx) == verdict(RootMismatch)
    assert node.block(tx) == [verdict(RootMismatch)]
    assert get_opened(node.state, build_round().round_id) is None


def test_a_header_that_is_not_above_its_start_is_refused(node: AppNode, hub: SimulatedHub) -> None:
    """The client knows heights one and three, and is shown the second as if it followed from the third."""
    hub.sim.add_block()
    assert node.block(hub.relay(hub.send(opening(build_round()), timeout_s=NOW_S + 100))) == [("", 0)]
    later = hub.send(opening(build_round(number=2)), timeout_s=NOW_S + 100)
    update, message = messages_of(hub.relay(later))
    old = edit_header(update, lambda header: header.CopyFrom(hub.sim.update(3, 2)))
    message.proof_height.revision_height = 2
    assert node.block(hub.sign(RELAYER, old, message)) == [verdict(HeightNotNewer)]


def test_a_header_with_forged_votes_is_refused(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    def forge(header: tendermint_pb2.Header) -> None:
        header.signed_header.commit.signatures[0].signature = bytes(64)

    update, message = messages_of(hub.relay(packet))
    assert node.block(hub.sign(RELAYER, edit_header(update, forge), message)) == [verdict(InvalidVote)]


def test_a_header_of_another_chain_is_refused(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    other = SimulatedHub(pairs=dict(hub.pairs))
    other.sim.chain_id = "other-1"
    update, message = messages_of(other.relay(packet))
    assert node.block(hub.sign(RELAYER, update, message)) == [verdict(WrongChainId)]


def test_a_client_that_is_too_old_to_be_trusted_takes_nothing(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    node.block(after_s=15 * DAY_NS // SECOND_NS)
    hub.sim.time_ns = node.time_ns
    packet.timeout_timestamp = node.time_ns // SECOND_NS + 100
    assert node.block(hub.relay(packet)) == [verdict(ClientNotActive)]


def test_a_client_update_that_nobody_needs_is_refused(node: AppNode, hub: SimulatedHub) -> None:
    update, _ = messages_of(hub.relay(hub.send(opening(build_round()), timeout_s=NOW_S + 100)))
    assert node.check(hub.sign(RELAYER, update)) == verdict(UnneededUpdate)


def test_a_packet_over_an_unknown_client_is_refused(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    update, message = messages_of(hub.relay(packet))
    update.client_id = "07-tendermint-9"
    assert node.block(hub.sign(RELAYER, update, message)) == [verdict(ClientNotFound)]


def test_a_packet_from_another_counterparty_is_refused(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    update, message = messages_of(hub.relay(packet))
    message.packet.source_client = "07-tendermint-8"
    assert node.block(hub.sign(RELAYER, update, message)) == [verdict(CounterpartyMismatch)]


def test_a_packet_over_the_client_of_another_chain_is_answered_with_the_error(
    node: AppNode, hub: SimulatedHub
) -> None:
    """Its proof is good, and the chain behind it is not the shard's hub."""
    impostor = SimulatedHub()
    assert node.block(impostor.link(client_id="07-tendermint-1")) == [("", 0)]
    packet = impostor.send(opening(build_round()), timeout_s=NOW_S + 100, client_id="07-tendermint-1")
    assert node.block(impostor.relay(packet)) == [("", 0)]
    ack = get_acknowledgement(node.state, "07-tendermint-1", 1)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [ERROR_ACK]
    assert get_opened(node.state, build_round().round_id) is None


def test_a_packet_that_is_delivered_twice_changes_nothing_the_second_time(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    first, second = hub.relay(packet), hub.relay(packet)
    assert node.block(first) == [("", 0)]
    opened = get_opened(node.state, build_round().round_id)
    assert node.check(second) == verdict(RelayRedundant)
    assert node.block(second) == [("", 0)]
    assert get_opened(node.state, build_round().round_id) == opened
    ack = get_acknowledgement(node.state, HUB_CLIENT, 1)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [b"\x01"]


def test_an_account_transaction_is_replayed_on_a_shard_as_little_as_on_a_hub(
    node: AppNode, hub: SimulatedHub, packet: channel_pb2.Packet
) -> None:
    tx = hub.relay(packet)
    envelope = tx_pb2.Envelope.FromString(tx)
    envelope.tx.signatures.append(build_key(1).sign(body_digest(envelope.tx.body)))
    assert node.block(tx, encode(envelope)) == [("", 0), ("node", 84)]
