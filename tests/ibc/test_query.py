from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibc import errors
from ibc.client_state import pack_client_state, pack_consensus_state
from ibc.host import BULK
from ibc.identifiers import Height, height_to_wire
from ibc.keys import next_sequence_key, pending_packet_key
from ibc.query import (
    MAX_PENDING,
    get_client,
    get_consensus,
    get_packet_status,
    list_clients,
    list_packet_statuses,
    list_pending_packets,
)
from ibc.state import delete_consensus_state, last_sequence, put_client, require_client, require_counterparty
from tests.support.ibc import TRUSTING_PERIOD_NS, SimulatedChain
from tests.support.ibc_host import HostChain
from tests.support.ibc_link import Link, pending_sequences
from wire.gradchain.ibc.v1 import query_pb2
from wire.ibc.core.channel.v2 import packet_pb2


def pending(link: Link, start: int = 0, limit: int = 0) -> query_pb2.ListPendingPacketsResponse:
    request = query_pb2.ListPendingPacketsRequest(client_id=link.hub_client, start=start, limit=limit)
    return list_pending_packets(link.hub.state, request)


def packet_status(link: Link, *, on_hub: bool, sequence: int = 1) -> query_pb2.GetPacketStatusResponse:
    chain, client_id = (link.hub, link.hub_client) if on_hub else (link.shard, link.shard_client)
    request = query_pb2.GetPacketStatusRequest(client_id=client_id, sequence=sequence)
    return get_packet_status(chain.state, request)


def test_packets_are_pending_until_they_are_answered() -> None:
    link = Link()
    packets = [link.send(value) for value in (b"one", b"two", b"three")]
    assert pending_sequences(pending(link)) == [1, 2, 3]
    assert pending(link).packets[1].packet == packets[1]
    assert pending(link).packets[1].height == link.hub.ctx.height
    link.recv(link.recv_message(packets[1]))
    assert pending_sequences(pending(link)) == [1, 2, 3]
    link.acknowledge(link.ack_message(packets[1]))
    assert pending_sequences(pending(link)) == [1, 3]


def test_packets_that_were_taken_back_are_not_pending() -> None:
    link = Link()
    packet = link.send(after_s=30)
    link.pass_time(40)
    link.time_out(link.timeout_message(packet))
    assert pending_sequences(pending(link)) == []


def test_pending_packets_are_listed_in_pages() -> None:
    link = Link()
    for _ in range(5):
        link.send()
    assert pending_sequences(pending(link, limit=2)) == [1, 2]
    assert pending_sequences(pending(link, start=3, limit=2)) == [3, 4]
    assert pending_sequences(pending(link, start=5, limit=MAX_PENDING + 5)) == [5]
    assert pending_sequences(pending(link, start=6)) == []


@given(
    sequences=st.sets(st.integers(min_value=1, max_value=200_000) | st.integers(1, 2**63), max_size=30),
    start=st.integers(min_value=0, max_value=200_000) | st.integers(0, 2**64 - 1),
    limit=st.integers(min_value=0, max_value=9),
)
def test_a_page_holds_the_first_open_packets_from_its_start_on(
    sequences: set[int], start: int, limit: int
) -> None:
    link = Link()
    state = link.hub.state
    last = max(sequences, default=0)
    if last > 200_000:
        sequences, start = {last}, max(start, last - 70_000)
    state.set(BULK, next_sequence_key(link.hub_client), (last + 1).to_bytes(8, "big"))
    for sequence in sequences:
        packet = packet_pb2.Packet(sequence=sequence)
        state.set(
            BULK,
            pending_packet_key(link.hub_client, sequence),
            query_pb2.PendingPacket(packet=packet).SerializeToString(),
        )
    expected = sorted(sequence for sequence in sequences if sequence >= start)[: limit or MAX_PENDING]
    assert pending_sequences(pending(link, start, limit)) == expected


def test_the_statuses_of_several_packets_come_in_the_order_asked_for() -> None:
    link = Link()
    packets = [link.send(), link.send()]
    link.recv(link.recv_message(packets[1]))
    request = query_pb2.ListPacketStatusesRequest(client_id=link.shard_client, sequences=[2, 1, 9])
    statuses = list_packet_statuses(link.shard.state, request).statuses
    assert [status.received for status in statuses] == [True, False, False]
    assert statuses[0] == packet_status(link, on_hub=False, sequence=2)


def test_the_status_of_a_packet_follows_its_life() -> None:
    link = Link()
    packet = link.send()
    assert packet_status(link, on_hub=True).committed
    assert not packet_status(link, on_hub=False).received
    link.recv(link.recv_message(packet))
    status = packet_status(link, on_hub=False)
    assert status.received
    written = packet_pb2.Acknowledgement.FromString(status.acknowledgement)
    assert list(written.app_acknowledgements) == [b"ack of hello"]
    link.acknowledge(link.ack_message(packet))
    assert not packet_status(link, on_hub=True).committed


def test_nothing_is_known_of_a_packet_that_never_was() -> None:
    empty = query_pb2.GetPacketStatusResponse()
    assert packet_status(Link(), on_hub=True, sequence=9) == empty
    link = Link()
    request = query_pb2.GetPacketStatusRequest(client_id="", sequence=(1 << 64) - 1)
    assert get_packet_status(link.hub.state, request) == empty


def test_a_client_is_described() -> None:
    link = Link()
    now_ns = link.hub.ctx.time_ns
    request = query_pb2.GetClientRequest(client_id=link.hub_client)
    described = get_client(link.hub.state, request, now_ns).client
    client = require_client(link.hub.state, link.hub_client)
    assert described.client_state == pack_client_state(client)
    assert described.counterparty_client_id == link.shard_client
    assert described.status == query_pb2.CLIENT_STATUS_ACTIVE
    assert described.latest_time_ns == link.shard.sim.trusted_state(1).time_ns

    expired = get_client(link.hub.state, request, now_ns + TRUSTING_PERIOD_NS).client
    assert expired.status == query_pb2.CLIENT_STATUS_EXPIRED
    put_client(link.hub.state, link.hub_client, client.freeze())
    frozen = get_client(link.hub.state, request, now_ns + TRUSTING_PERIOD_NS).client
    assert frozen.status == query_pb2.CLIENT_STATUS_FROZEN


def test_all_clients_are_listed_in_order() -> None:
    link = Link()
    for _ in range(11):
        link.hub.create_client(link.shard)
    listed = list_clients(link.hub.state, link.hub.ctx.time_ns).clients
    assert [client.client_id for client in listed] == [f"07-tendermint-{number}" for number in range(12)]
    assert listed[-1].counterparty_client_id == ""


def test_a_chain_without_clients_lists_none() -> None:
    host = HostChain(SimulatedChain("hub-1"))
    assert list_clients(host.state, host.ctx.time_ns) == query_pb2.ListClientsResponse()


def test_a_client_that_knows_nothing_is_described_without_time() -> None:
    link = Link()
    latest = require_client(link.hub.state, link.hub_client).latest_height
    delete_consensus_state(link.hub.state, link.hub_client, latest)
    request = query_pb2.GetClientRequest(client_id=link.hub_client)
    described = get_client(link.hub.state, request, link.hub.ctx.time_ns).client
    assert (described.latest_time_ns, described.status) == (0, query_pb2.CLIENT_STATUS_EXPIRED)


def test_a_client_that_has_sent_nothing_has_no_last_sequence() -> None:
    link = Link()
    assert last_sequence(link.hub.state, link.hub_client) == 0
    link.send()
    assert last_sequence(link.hub.state, link.hub_client) == 1


def test_an_unknown_client_is_reported() -> None:
    link = Link()
    with pytest.raises(errors.ClientNotFound):
        get_client(link.hub.state, query_pb2.GetClientRequest(client_id="x"), 0)
    with pytest.raises(errors.ClientNotFound):
        get_consensus(link.hub.state, query_pb2.GetConsensusStateRequest(client_id="x"))


def test_what_is_asked_for_is_shown_in_part() -> None:
    state = Link().hub.state
    with pytest.raises(errors.ClientNotFound) as unknown:
        require_client(state, "x" * 129)
    assert unknown.value.message == f"expected the id of a client, got {'x' * 128!r}"
    with pytest.raises(errors.CounterpartyNotFound) as untied:
        require_counterparty(state, "x" * 129)
    assert untied.value.message == f"expected a client with a counterparty, got {'x' * 128!r}"


def test_a_consensus_state_is_that_of_the_height_or_the_newest() -> None:
    link = Link()
    newest = link.teach_hub()
    request = query_pb2.GetConsensusStateRequest(client_id=link.hub_client)
    answer = get_consensus(link.hub.state, request)
    assert answer.height == height_to_wire(newest)
    assert answer.consensus_state == pack_consensus_state(link.shard.sim.trusted_state(newest.height))
    request.height.CopyFrom(height_to_wire(Height(2, 1)))
    answer = get_consensus(link.hub.state, request)
    assert answer.consensus_state == pack_consensus_state(link.shard.sim.trusted_state(1))
    request.height.CopyFrom(height_to_wire(Height(2, 99)))
    with pytest.raises(errors.ConsensusStateNotFound):
        get_consensus(link.hub.state, request)


def test_the_highest_known_height_below_another_is_found() -> None:
    link = Link()
    first = require_client(link.hub.state, link.hub_client).latest_height
    second = link.teach_hub()

    def below(height: Height) -> tuple[int, bytes]:
        request = query_pb2.GetConsensusStateRequest(
            client_id=link.hub_client, height=height_to_wire(height), below=True
        )
        answer = get_consensus(link.hub.state, request)
        return answer.height.revision_height, answer.consensus_state.value

    states = {
        height.height: pack_consensus_state(link.shard.sim.trusted_state(height.height)).value
        for height in (first, second)
    }
    assert below(Height(2, second.height + 5)) == (second.height, states[second.height])
    assert below(second) == (first.height, states[first.height])
    assert below(Height(0, 0)) == (first.height, states[first.height])
    with pytest.raises(errors.ConsensusStateNotFound, match=f"to know a height below {first}, got none"):
        below(first)
    with pytest.raises(errors.ConsensusStateNotFound):
        below(Height(3, second.height + 5))
