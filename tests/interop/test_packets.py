"""Packets and acknowledgements: what we store of them, and under which keys, is what ibc-go stores."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ibc.errors import IbcError
from ibc.keys import packet_ack_key, packet_commitment_key, packet_receipt_key
from ibc.packet import (
    ERROR_ACK,
    MAX_PAYLOAD_BYTES,
    check_acknowledgement,
    check_packet,
    commit_acknowledgement,
    commit_packet,
)
from tests.support.judge_go import VERIFIED, Judge
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from tests.interop.conftest import ReportCases

CASES = 1_000

labels = st.sampled_from(["fl.hub", "fl.shard", "ics20-1", "application/json"])
texts = st.one_of(labels, labels, labels, labels, st.text(max_size=12))
clients = st.one_of(
    st.sampled_from(["07-tendermint-0", "07-tendermint-12", "channel-0"]), st.text(max_size=70)
)
numbers = st.one_of(st.integers(1, 3), st.integers(0, 2**64 - 1))
payloads = st.builds(
    packet_pb2.Payload,
    source_port=labels,
    destination_port=texts,
    version=texts,
    encoding=labels,
    value=st.binary(max_size=80),
)
packets = st.builds(
    packet_pb2.Packet,
    sequence=numbers,
    source_client=clients,
    destination_client=clients,
    timeout_timestamp=numbers,
    payloads=st.lists(payloads, min_size=1, max_size=1) | st.lists(payloads, max_size=3),
)
acknowledgements = st.builds(
    packet_pb2.Acknowledgement,
    app_acknowledgements=st.lists(st.binary(max_size=40) | st.just(ERROR_ACK), max_size=3),
)


def is_well_formed(packet: packet_pb2.Packet) -> bool:
    try:
        check_packet(packet)
    except IbcError:
        return False
    return True


def with_payload(size: int, payload_count: int = 1) -> packet_pb2.Packet:
    payload = packet_pb2.Payload(
        source_port="fl.hub", destination_port="fl.shard", version="1", encoding="proto", value=bytes(size)
    )
    return packet_pb2.Packet(
        sequence=1,
        source_client="07-tendermint-0",
        destination_client="07-tendermint-1",
        timeout_timestamp=1,
        payloads=[payload] * payload_count,
    )


def test_packets_have_the_same_commitment_and_keys(judge: Judge, report_cases: ReportCases) -> None:
    tally: Counter[str] = Counter()

    @settings(max_examples=CASES)
    @given(packets)
    @example(with_payload(1))
    @example(with_payload(MAX_PAYLOAD_BYTES))
    @example(with_payload(MAX_PAYLOAD_BYTES + 1))
    @example(with_payload(1, 2))
    def check(packet: packet_pb2.Packet) -> None:
        facts = judge.commit_packet(packet)
        assert commit_packet(packet) == facts.commitment
        assert packet_commitment_key(packet.source_client, packet.sequence) == facts.commitment_key
        assert packet_receipt_key(packet.destination_client, packet.sequence) == facts.receipt_key
        assert packet_ack_key(packet.destination_client, packet.sequence) == facts.acknowledgement_key
        if is_well_formed(packet) and len(packet.payloads) == 1:
            assert facts.form.verdict == VERIFIED, facts.form
        tally[facts.form.verdict] += 1

    check()
    assert tally.total() >= CASES
    assert tally[VERIFIED] >= 20
    report_cases("packets", tally)


def test_a_packet_of_several_payloads_is_well_formed_for_us_alone(judge: Judge) -> None:
    """IBC v2 has lists of payloads; ibc-go v11 allows one until its applications can undo one of several."""
    packet = with_payload(1, 2)
    check_packet(packet)
    assert "payload length is 2, must be 1" in judge.commit_packet(packet).form.reason


def test_acknowledgements_have_the_same_commitment(judge: Judge, report_cases: ReportCases) -> None:
    tally: Counter[str] = Counter()

    @settings(max_examples=CASES)
    @given(acknowledgements)
    def check(acknowledgement: packet_pb2.Acknowledgement) -> None:
        commitment, form = judge.commit_acknowledgement(acknowledgement)
        assert commit_acknowledgement(acknowledgement) == commitment
        if len(acknowledgement.app_acknowledgements) == 1:
            assert is_acknowledgement(acknowledgement, 1) == (form.verdict == VERIFIED)
        tally[form.verdict] += 1

    check()
    assert tally.total() >= CASES
    report_cases("acknowledgements", tally)


def is_acknowledgement(acknowledgement: packet_pb2.Acknowledgement, payload_count: int) -> bool:
    try:
        check_acknowledgement(acknowledgement, payload_count)
    except IbcError:
        return False
    return True
