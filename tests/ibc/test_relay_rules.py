from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ibc import errors
from ibc.identifiers import Height, height_to_wire
from ibc.relay_rules import (
    _check_needed_by_itself,
    check_not_redundant,
    check_updates_needed,
    is_redundant,
)
from ibc.state import require_client, require_consensus_state
from ibc.times import time_to_wire
from tests.support.ibc import SECOND_NS, TRUSTING_PERIOD_NS, make_members, sign_header
from tests.support.ibc_evidence import fork_block
from tests.support.ibc_host import make_evidence, make_update
from tests.support.ibc_link import Link
from wire.ibc.core.channel.v2 import tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.types import types_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message


class Shard:
    """A shard whose client knows the hub up to `start`, and a hub that is three blocks further."""

    def __init__(self, hub_sleeps_ns: int = 0) -> None:
        self.link = Link()
        self.link.teach_shard()
        self.start = require_client(self.link.shard.state, self.link.shard_client).latest_height.height
        self.link.hub.sim.time_ns += hub_sleeps_ns
        self.link.shard.sim.time_ns = self.link.hub.sim.time_ns
        self.packet = self.link.send()
        for _ in range(4):
            self.link.hub.commit()

    def update(self, height: int, trusted: int | None = None) -> client_tx_pb2.MsgUpdateClient:
        header = self.link.hub.sim.update(self.start if trusted is None else trusted, height)
        return make_update(self.link.shard_client, header)

    def recv(self, height: int) -> tx_pb2.MsgRecvPacket:
        return self.link.recv_message(self.packet, Height(1, height))

    def check(self, *messages: Message) -> None:
        ctx = self.link.shard.ctx
        check_updates_needed(self.link.shard.state, ctx.time_ns, messages)


def test_an_update_with_a_packet_at_its_height_is_needed() -> None:
    shard = Shard()
    shard.check(shard.update(shard.start + 2), shard.recv(shard.start + 2))


def test_acknowledgements_and_timeouts_need_updates_too() -> None:
    shard = Shard()
    height = height_to_wire(Height(1, shard.start + 2))
    packet = shard.link.send()
    packet.source_client, packet.destination_client = packet.destination_client, packet.source_client
    for msg in (
        tx_pb2.MsgAcknowledgement(packet=packet, proof_height=height),
        tx_pb2.MsgTimeout(packet=packet, proof_height=height),
    ):
        shard.check(shard.update(shard.start + 2), msg)


@pytest.mark.parametrize("case", ["alone", "packet before", "packet at another height", "other client"])
def test_an_update_that_serves_no_later_message_is_refused(case: str) -> None:
    shard = Shard()
    update, recv = shard.update(shard.start + 2), shard.recv(shard.start + 3)
    if case == "other client":
        recv = shard.recv(shard.start + 2)
        recv.packet.destination_client = "07-tendermint-8"
    messages: dict[str, list[Message]] = {
        "alone": [update],
        "packet before": [shard.recv(shard.start + 2), update],
        "packet at another height": [update, recv],
        "other client": [update, recv],
    }
    with pytest.raises(errors.UnneededUpdate):
        shard.check(*messages[case])


def test_updates_on_the_way_to_a_needed_one_are_needed() -> None:
    shard = Shard()
    first, second = shard.start + 1, shard.start + 3
    shard.check(shard.update(first), shard.update(second, first), shard.recv(second))
    with pytest.raises(errors.UnneededUpdate):
        shard.check(shard.update(first), shard.update(second), shard.recv(second))


def test_a_refresh_is_accepted_when_it_is_due() -> None:
    shard = Shard(hub_sleeps_ns=TRUSTING_PERIOD_NS // 3 + SECOND_NS)
    shard.check(shard.update(shard.start + 3))


def test_a_refresh_is_refused_before_it_is_due() -> None:
    shard = Shard(hub_sleeps_ns=TRUSTING_PERIOD_NS // 3 - 60 * SECOND_NS)
    with pytest.raises(errors.UnneededUpdate):
        shard.check(shard.update(shard.start + 3))


def test_a_refresh_must_advance_the_client() -> None:
    """The client is old, but so is the header: a row of such updates would be free."""
    shard = Shard()
    shard.link.shard.sim.time_ns += TRUSTING_PERIOD_NS // 2
    with pytest.raises(errors.UnneededUpdate):
        shard.check(shard.update(shard.start + 3))


@pytest.mark.parametrize("period_ns", [12, 13, 14, 15, 3 * ((1 << 60) + 1), 4 * ((1 << 60) + 1) - 1])
@pytest.mark.parametrize(("older_ns", "further_ns", "is_due"), [(1, 0, True), (0, 0, False), (1, -1, False)])
def test_a_refresh_is_due_after_a_third_of_the_period_and_advances_a_quarter(
    period_ns: int, older_ns: int, further_ns: int, *, is_due: bool
) -> None:
    link = Link()
    client = require_client(link.hub.state, link.hub_client)
    client = replace(client, trust=replace(client.trust, trusting_period_ns=period_ns))
    known = require_consensus_state(link.hub.state, link.hub_client, client.latest_height)
    now_ns = known.time_ns + period_ns // 3 + older_ns
    claimed = replace(known, height=known.height + 1, time_ns=known.time_ns + period_ns // 4 + further_ns)
    if is_due:
        _check_needed_by_itself(link.hub.state, now_ns, link.hub_client, client, claimed)
    else:
        with pytest.raises(errors.UnneededUpdate):
            _check_needed_by_itself(link.hub.state, now_ns, link.hub_client, client, claimed)


def test_an_update_that_freezes_the_client_is_needed() -> None:
    shard = Shard()
    header = types_pb2.Header()
    header.CopyFrom(shard.link.hub.sim.light_block(shard.start).signed_header.header)
    header.app_hash = b"\x66" * 32
    block = sign_header(header, make_members({0: 10, 1: 10, 2: 10, 3: 10}))
    shard.check(make_update(shard.link.shard_client, shard.link.hub.sim.wrap(block, 1)))


def test_a_header_whose_time_does_not_rise_is_needed() -> None:
    shard = Shard()
    header = types_pb2.Header()
    header.CopyFrom(shard.link.hub.sim.light_block(shard.start + 2).signed_header.header)
    header.time.CopyFrom(time_to_wire(shard.link.hub.sim.trusted_state(shard.start).time_ns))
    block = sign_header(header, make_members({0: 10, 1: 10, 2: 10, 3: 10}))
    shard.check(make_update(shard.link.shard_client, shard.link.hub.sim.wrap(block, 1)))


def test_an_update_that_changes_nothing_is_harmless() -> None:
    shard = Shard()
    shard.check(shard.update(shard.start, 1))


def test_an_update_of_no_client_or_without_header_is_refused() -> None:
    shard = Shard()
    msg = shard.update(shard.start + 2)
    msg.client_id = "07-tendermint-8"
    with pytest.raises(errors.ClientNotFound):
        shard.check(msg)
    msg.client_message.value = b""
    with pytest.raises(errors.MalformedHeader):
        shard.check(msg)


def test_messages_of_other_kinds_are_not_looked_at() -> None:
    shard = Shard()
    shard.check(client_tx_pb2.MsgCreateClient())
    assert not is_redundant(shard.link.shard.state, client_tx_pb2.MsgCreateClient())
    check_not_redundant(shard.link.shard.state, [client_tx_pb2.MsgCreateClient()])


def test_a_packet_is_redundant_once_it_was_received() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    assert not is_redundant(link.shard.state, msg)
    link.recv(msg)
    assert is_redundant(link.shard.state, msg)


def test_answers_and_timeouts_are_redundant_once_the_packet_has_ended() -> None:
    link = Link()
    packet = link.send()
    link.recv(link.recv_message(packet))
    msg = link.ack_message(packet)
    timeout = tx_pb2.MsgTimeout(packet=packet)
    assert not is_redundant(link.hub.state, msg)
    assert not is_redundant(link.hub.state, timeout)
    link.acknowledge(msg)
    assert is_redundant(link.hub.state, msg)
    assert is_redundant(link.hub.state, timeout)


def test_an_update_is_redundant_once_its_header_is_known() -> None:
    shard = Shard()
    assert is_redundant(shard.link.shard.state, shard.update(shard.start, 1))
    assert not is_redundant(shard.link.shard.state, shard.update(shard.start + 1))


def test_a_transaction_must_relay_one_new_packet() -> None:
    shard = Shard()
    link = shard.link
    height = link.teach_shard()
    old = link.recv_message(shard.packet, height)
    link.recv(old)
    new = link.recv_message(link.send(), link.teach_shard())
    check_not_redundant(link.shard.state, [old, new])
    with pytest.raises(errors.RelayRedundant):
        check_not_redundant(link.shard.state, [old, old])
    with pytest.raises(errors.RelayRedundant):
        check_not_redundant(link.shard.state, [shard.update(shard.start + 1), old])
    with pytest.raises(errors.RelayRedundant):
        check_not_redundant(link.shard.state, [shard.update(shard.start, 1)])
    check_not_redundant(link.shard.state, [])


def make_fork(shard: Shard, height: int, start: int) -> client_tx_pb2.MsgUpdateClient:
    """Return evidence of two blocks of a height."""
    sim = shard.link.hub.sim
    evidence = tendermint_pb2.Misbehaviour(
        header_1=sim.wrap(fork_block(sim, height), start), header_2=sim.update(start, height)
    )
    return make_evidence(shard.link.shard_client, evidence)


def test_evidence_of_misbehaviour_is_needed_and_never_redundant() -> None:
    shard = Shard()
    msg = make_fork(shard, shard.start + 2, shard.start)
    shard.check(msg)
    assert not is_redundant(shard.link.shard.state, msg)
    check_not_redundant(shard.link.shard.state, [msg])


def test_updates_from_which_evidence_starts_are_needed() -> None:
    shard = Shard()
    between = shard.start + 1
    shard.check(shard.update(between), make_fork(shard, shard.start + 3, between))
    with pytest.raises(errors.UnneededUpdate):
        shard.check(shard.update(between), make_fork(shard, shard.start + 3, shard.start))
