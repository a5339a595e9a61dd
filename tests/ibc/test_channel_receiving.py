from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from abci_app.state import BULK, PROVABLE, Overlay
from ibc import clients, errors
from ibc.channel import handle_recv_packet, send_packet
from ibc.commitment import verify_chained_membership
from ibc.events import PacketEventKind, packets_from_events
from ibc.identifiers import Height, height_to_wire
from ibc.keys import packet_commitment_key
from ibc.packet import ERROR_ACK, MAX_TIMEOUT_S, commit_packet
from ibc.proof_spec import DEFAULT_SPECS
from ibc.results import RelayResult
from ibc.state import get_acknowledgement, get_commitment, has_receipt, put_client, require_client
from tests.support.ibc import SECOND_NS, SimulatedChain, make_members
from tests.support.ibc_host import HostChain
from tests.support.ibc_link import Link, make_payload
from tests.support.txs import build_key
from tx.keys import format_address
from wire.ibc.core.channel.v2 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ibc.proof_spec import ProofSpec
    from wire.ibc.core.channel.v2 import packet_pb2


def kinds(chain: HostChain) -> list[PacketEventKind]:
    return [event.kind for event in packets_from_events(chain.events)]


# send


def test_a_packet_is_committed_to_and_counted() -> None:
    link = Link()
    first, second = link.send(b"one"), link.send(b"two")
    assert (first.sequence, second.sequence) == (1, 2)
    assert get_commitment(link.hub.state, link.hub_client, 1) == commit_packet(first)
    assert [event.packet for event in packets_from_events(link.hub.events)] == [first, second]


@pytest.mark.parametrize(("after_s", "expected"), [(0, errors.TimeoutElapsed), (-5, errors.TimeoutElapsed)])
def test_a_timeout_that_has_passed_is_refused(after_s: int, expected: type[errors.IbcError]) -> None:
    with pytest.raises(expected):
        Link().send(after_s=after_s)


def test_a_timeout_is_at_most_a_day_ahead() -> None:
    link = Link()
    link.hub.sim.time_ns = link.hub.sim.time_ns // SECOND_NS * SECOND_NS
    link.send(after_s=MAX_TIMEOUT_S)
    with pytest.raises(errors.TimeoutTooFar):
        link.send(after_s=MAX_TIMEOUT_S + 1)


def test_a_timeout_that_the_receiver_has_passed_is_refused() -> None:
    link = Link()
    link.shard.sim.time_ns += 100 * SECOND_NS
    link.hub.sim.time_ns += 95 * SECOND_NS
    link.teach_hub()
    with pytest.raises(errors.TimeoutElapsed):
        link.send(after_s=4)


def test_nothing_is_proven_above_the_newest_height_that_is_known() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    newest = require_client(link.shard.state, link.shard_client).latest_height
    msg.proof_height.revision_height += 1
    expected = f"expected a proof height up to {newest}, got {Height(newest.revision, newest.height + 1)} "
    with pytest.raises(errors.ConsensusStateNotFound, match=expected):
        link.recv(msg)


def test_a_timeout_is_after_the_present_second() -> None:
    link = Link()
    link.hub.sim.time_ns = link.hub.sim.time_ns // SECOND_NS * SECOND_NS
    with pytest.raises(errors.TimeoutElapsed):
        link.send(after_s=0)
    link.hub.sim.time_ns -= 1
    link.send_payloads([make_payload(b"x")], link.timeout_s(after_s=1))


@pytest.mark.parametrize(("early_ns", "is_open"), [(1, True), (0, False)])
def test_a_timeout_is_after_the_newest_second_that_is_known_of_the_receiver(
    *, early_ns: int, is_open: bool
) -> None:
    link = Link()
    timeout_s = link.timeout_s(after_s=5)
    link.shard.sim.time_ns = (timeout_s - 1) * SECOND_NS - early_ns
    height = link.teach_hub()
    assert link.shard.sim.trusted_state(height.height).time_ns == timeout_s * SECOND_NS - early_ns
    if is_open:
        link.send_payloads([make_payload(b"x")], timeout_s)
    else:
        with pytest.raises(errors.TimeoutElapsed):
            link.send_payloads([make_payload(b"x")], timeout_s)


def test_nothing_is_sent_over_a_client_without_counterparty() -> None:
    link = Link()
    client_id = link.hub.create_client(link.shard)
    with pytest.raises(errors.CounterpartyNotFound):
        send_packet(link.hub.ctx, link.hub.state, client_id, link.timeout_s(), [make_payload(b"x")])


def test_nothing_is_sent_over_a_frozen_or_expired_client() -> None:
    link = Link()
    client = require_client(link.hub.state, link.hub_client)
    put_client(link.hub.state, link.hub_client, client.freeze())
    with pytest.raises(errors.ClientNotActive):
        link.send()
    put_client(link.hub.state, link.hub_client, client)
    link.pass_time(15 * 86_400)
    with pytest.raises(errors.ClientNotActive):
        link.send()


@pytest.mark.parametrize("payloads", [[], [make_payload(b"")], [make_payload(b"x", "p")]])
def test_a_malformed_payload_is_not_sent(payloads: list[packet_pb2.Payload]) -> None:
    link = Link()
    with pytest.raises(errors.IbcError):
        link.send_payloads(payloads, link.timeout_s())
    assert get_commitment(link.hub.state, link.hub_client, 1) is None


# receive


def test_a_packet_is_received_and_answered() -> None:
    link = Link()
    packet = link.send(b"one", b"two")
    assert link.recv(link.recv_message(packet)) is RelayResult.SUCCESS
    assert link.shard_app.received == [b"one", b"two"]
    assert link.shard.state.get(BULK, b"app/one") == link.shard.state.get(BULK, b"app/two") == b"received"
    assert link.shard_app.packets == [packet, packet]
    assert has_receipt(link.shard.state, link.shard_client, 1)
    ack = get_acknowledgement(link.shard.state, link.shard_client, 1)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [b"ack of one", b"ack of two"]
    assert kinds(link.shard) == [PacketEventKind.RECEIVE, PacketEventKind.WRITE_ACK]


def test_the_application_is_told_who_brought_a_packet() -> None:
    link = Link()
    msg = link.recv_message(link.send(b"one", b"two"))
    msg.signer = format_address(build_key(31).public_key)
    link.recv(msg)
    assert link.shard_app.relayers == [build_key(31).public_key] * 2


def test_receiving_again_changes_nothing() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    link.recv(msg)
    before = dict(link.shard.state.writes[BULK])
    assert link.recv(msg) is RelayResult.NOOP
    msg.proof_commitment = b"not even looked at"
    assert link.recv(msg) is RelayResult.NOOP
    assert link.shard_app.received == [b"hello"]
    assert link.shard.state.writes[BULK] == before


def test_packets_are_received_in_any_order() -> None:
    link = Link()
    packets = [link.send(value) for value in (b"one", b"two", b"three")]
    height = link.teach_shard()
    for packet in reversed(packets):
        assert link.recv(link.recv_message(packet, height)) is RelayResult.SUCCESS
    assert link.shard_app.received == [b"three", b"two", b"one"]


def test_a_refused_payload_leaves_only_the_error_acknowledgement() -> None:
    link = Link()
    packet = link.send(b"fine", b"refuse")
    assert link.recv(link.recv_message(packet)) is RelayResult.FAILURE
    assert link.shard.state.get(BULK, b"app/fine") is None
    assert link.shard.state.get(BULK, b"app/refuse") is None
    ack = get_acknowledgement(link.shard.state, link.shard_client, 1)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [ERROR_ACK]
    assert has_receipt(link.shard.state, link.shard_client, 1)
    names = [event.kind for event in link.shard.events]
    assert "app_received" not in names
    assert "recv_packet" in names
    refusal = dict(next(event.attributes for event in link.shard.events if event.kind == "payload_refused"))
    assert refusal == {
        "packet_source_client": link.hub_client,
        "packet_dest_client": link.shard_client,
        "packet_sequence": "1",
        "port": "fl.shard",
        "codespace": "ibc",
        "code": "77",
    }


def test_a_payload_for_an_unknown_port_is_refused_with_the_error_acknowledgement() -> None:
    link = Link()
    packet = link.send_payloads([make_payload(b"x", "transfer")], link.timeout_s())
    assert link.recv(link.recv_message(packet)) is RelayResult.FAILURE


def test_an_application_must_answer() -> None:
    link = Link()
    with pytest.raises(errors.InvalidAcknowledgement):
        link.recv(link.recv_message(link.send(b"say nothing")))


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda p: setattr(p, "sequence", 2), errors.ProofKeyMismatch, id="sequence"),
        pytest.param(
            lambda p: setattr(p, "source_client", "07-tendermint-9"), errors.CounterpartyMismatch, id="source"
        ),
        pytest.param(
            lambda p: setattr(p, "destination_client", "07-tendermint-9"),
            errors.CounterpartyNotFound,
            id="client",
        ),
        pytest.param(
            lambda p: setattr(p, "timeout_timestamp", 1 << 63), errors.ProofValueMismatch, id="timeout"
        ),
        pytest.param(
            lambda p: setattr(p.payloads[0], "value", b"forged"), errors.ProofValueMismatch, id="value"
        ),
    ],
)
def test_a_changed_packet_is_not_received(
    mutate: Callable[[packet_pb2.Packet], None], expected: type[errors.IbcError]
) -> None:
    link = Link()
    msg = link.recv_message(link.send())
    mutate(msg.packet)
    with pytest.raises(expected):
        link.recv(msg)
    assert not has_receipt(link.shard.state, link.shard_client, 1)


def test_a_packet_that_was_never_sent_is_not_received() -> None:
    link = Link()
    packet = link.send()
    packet.sequence = 2
    with pytest.raises(errors.WrongProofKind):
        link.recv(link.recv_message(packet))


def test_a_packet_of_another_chain_is_not_received() -> None:
    """Another chain proves with its own state, under the id of the chain that was expected."""
    link, other = Link(), HostChain(SimulatedChain("hub-1", members=make_members({7: 10})))
    packet = link.send()
    key = packet_commitment_key(packet.source_client, packet.sequence)
    other.state.set(PROVABLE, key, commit_packet(packet))
    msg = link.recv_message(packet)
    msg.proof_commitment = other.prove(key, other.commit())
    with pytest.raises(errors.RootMismatch):
        link.recv(msg)


def check(link: Link, msg: tx_pb2.MsgRecvPacket) -> None:
    """Do what CheckTx does: receive a packet on a state that is thrown away."""
    handle_recv_packet(link.shard.ctx, Overlay(link.shard.state), msg, ports=link.shard_ports, branch=Overlay)


def test_a_proof_is_verified_once_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    link, roots = Link(), []

    def count(specs: Sequence[ProofSpec], root: bytes, *rest: Any) -> None:
        roots.append(root)
        verify_chained_membership(specs, root, *rest)

    monkeypatch.setattr(clients, "verify_chained_membership", count)
    msg = link.recv_message(link.send())
    check(link, msg)
    assert link.recv(msg) is RelayResult.SUCCESS
    assert len(roots) == 1
    assert link.recv(link.recv_message(link.send(b"two"))) is RelayResult.SUCCESS
    assert len(roots) == 2


def test_a_verdict_on_a_proof_serves_for_nothing_else() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    check(link, msg)
    another_packet, another_proof, another_height = (tx_pb2.MsgRecvPacket() for _ in range(3))
    for changed in (another_packet, another_proof, another_height):
        changed.CopyFrom(msg)
    another_packet.packet.timeout_timestamp += 1
    another_proof.proof_commitment += b"\x00"
    link.send(b"two")
    another_height.proof_height.CopyFrom(height_to_wire(link.teach_shard()))
    for changed in (another_packet, another_proof, another_height):
        with pytest.raises(errors.IbcError):
            link.recv(changed)
    assert link.recv(msg) is RelayResult.SUCCESS


def test_a_verdict_on_a_proof_does_not_serve_for_trees_of_another_format() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    check(link, msg)
    client = require_client(link.shard.state, link.shard_client)
    stricter = replace(client.proof_specs[0], min_depth=100)
    put_client(
        link.shard.state, link.shard_client, replace(client, proof_specs=(stricter, client.proof_specs[1]))
    )
    with pytest.raises(errors.DepthOutOfRange):
        link.recv(msg)


def test_the_digest_of_a_check_depends_on_every_part_and_on_where_it_ends() -> None:
    digests = [
        clients._digest_check(DEFAULT_SPECS, b"root", b"proof", (b"a", b"b"), b"value"),
        clients._digest_check(DEFAULT_SPECS[::-1], b"root", b"proof", (b"a", b"b"), b"value"),
        clients._digest_check(DEFAULT_SPECS, b"other", b"proof", (b"a", b"b"), b"value"),
        clients._digest_check(DEFAULT_SPECS, b"root", b"other", (b"a", b"b"), b"value"),
        clients._digest_check(DEFAULT_SPECS, b"root", b"proof", (b"a", b"c"), b"value"),
        clients._digest_check(DEFAULT_SPECS, b"root", b"proof", (b"ab",), b"value"),
        clients._digest_check(DEFAULT_SPECS, b"root", b"proof", (b"a", b"b"), b"other"),
        clients._digest_check(DEFAULT_SPECS, b"roo", b"proof", (b"a", b"b"), b"tvalue"),
        clients._digest_check(DEFAULT_SPECS, b"root", b"roof", (b"a", b"b"), b"valuep"),
        clients._digest_check(DEFAULT_SPECS, b"root", b"proo", (b"fa", b"b"), b"value"),
    ]
    assert len(set(digests)) == len(digests)


def test_a_proof_that_does_not_verify_is_not_remembered_as_good() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    msg.packet.timeout_timestamp += 1
    for _ in range(2):
        with pytest.raises(errors.ProofValueMismatch):
            link.recv(msg)


def test_a_packet_is_not_received_from_its_timeout_on() -> None:
    link = Link()
    packet = link.send(after_s=30)
    msg = link.recv_message(packet)
    link.shard.sim.time_ns = packet.timeout_timestamp * SECOND_NS
    with pytest.raises(errors.TimeoutElapsed):
        link.recv(msg)
    link.shard.sim.time_ns -= 1
    assert link.recv(msg) is RelayResult.SUCCESS


@pytest.mark.parametrize("height", [Height(1, 1_000), Height(2, 3), Height(0, 0), Height(1, 3)])
def test_a_height_that_the_client_does_not_know_proves_nothing(height: Height) -> None:
    link = Link()
    msg = link.recv_message(link.send())
    msg.proof_height.CopyFrom(height_to_wire(height))
    with pytest.raises(errors.ConsensusStateNotFound):
        link.recv(msg)


def test_a_frozen_client_proves_nothing() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    client = require_client(link.shard.state, link.shard_client)
    put_client(link.shard.state, link.shard_client, client.freeze())
    with pytest.raises(errors.ClientNotActive):
        link.recv(msg)


def test_what_is_received_can_be_dropped_as_a_whole() -> None:
    link = Link()
    msg = link.recv_message(link.send())
    branch = Overlay(link.shard.state)
    handle_recv_packet(link.shard.ctx, branch, msg, ports=link.shard_ports, branch=Overlay)
    assert not has_receipt(link.shard.state, link.shard_client, 1)
    branch.merge()
    assert has_receipt(link.shard.state, link.shard_client, 1)
