"""Packets and acknowledgements: what we store of them, and under which keys, is what ibc-go stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import pytest
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
from tests.interop import comparisons
from tests.interop.packet_differences import LABEL, SEVERAL_PAYLOADS, explain_form
from tests.support.differential import Tally
from tests.support.judge_go import INVALID, VERIFIED, Judge, Judgement
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.interop.conftest import ReportCases

CASES = 1_000
T = TypeVar("T")


def mostly(usual: SearchStrategy[T], odd: SearchStrategy[T]) -> SearchStrategy[T]:
    """Return the usual in nine of ten cases."""
    return st.sampled_from([usual] * 9 + [odd]).flatmap(lambda chosen: chosen)


labels = st.sampled_from(["fl.hub", "fl.shard", "ics20-1", "application/json"])
texts = mostly(labels, st.text(max_size=12))
known_clients = st.sampled_from(["07-tendermint-0", "07-tendermint-12", "channel-0"])
clients = mostly(known_clients, st.text(max_size=70))
numbers = mostly(st.integers(1, 2**64 - 1), st.just(0))
payloads = st.builds(
    packet_pb2.Payload,
    source_port=labels,
    destination_port=texts,
    version=texts,
    encoding=labels,
    value=mostly(st.binary(min_size=1, max_size=80), st.just(b"")),
)
packets = st.builds(
    packet_pb2.Packet,
    sequence=numbers,
    source_client=clients,
    destination_client=clients,
    timeout_timestamp=numbers,
    payloads=mostly(st.lists(payloads, min_size=1, max_size=1), st.lists(payloads, max_size=3)),
)
acknowledgements = st.builds(
    packet_pb2.Acknowledgement,
    app_acknowledgements=st.lists(st.binary(max_size=40) | st.just(ERROR_ACK), max_size=3),
)


def form_error(packet: packet_pb2.Packet) -> IbcError | None:
    """Return why a packet is not well-formed for us, or None."""
    try:
        check_packet(packet)
    except IbcError as error:
        return error
    return None


def compare_form(packet: packet_pb2.Packet, theirs: Judgement) -> str:
    """Assert that the verdicts are the same or different on purpose, and return the kind of the case."""
    ours = form_error(packet)
    if (ours is None) != (theirs.verdict == VERIFIED):
        return explain_form(ours, theirs.reason).name
    return theirs.verdict


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
    tally = Tally()

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
        tally.count(compare_form(packet, facts.form))

    check()
    assert tally.cases >= CASES
    assert min(tally[VERIFIED], tally[INVALID]) >= 20, tally
    report_cases(comparisons.PACKETS, tally)


def test_a_packet_of_several_payloads_is_well_formed_for_us_alone(judge: Judge) -> None:
    """IBC v2 has lists of payloads; ibc-go v11 allows one until its applications can undo one of several."""
    packet = with_payload(1, 2)
    assert compare_form(packet, judge.commit_packet(packet).form) == SEVERAL_PAYLOADS.name


@pytest.mark.parametrize("label", ["é", "1\n", "v" * 129, "v" * 128 + " "])
@pytest.mark.parametrize("name", ["version", "encoding"])
def test_a_label_that_is_long_or_not_printable_is_refused_by_us_alone(
    judge: Judge, name: Literal["version", "encoding"], label: str
) -> None:
    packet = with_payload(1)
    setattr(packet.payloads[0], name, label)
    assert compare_form(packet, judge.commit_packet(packet).form) == LABEL.name


def test_acknowledgements_have_the_same_commitment(judge: Judge, report_cases: ReportCases) -> None:
    tally = Tally()

    @settings(max_examples=CASES)
    @given(acknowledgements)
    def check(acknowledgement: packet_pb2.Acknowledgement) -> None:
        commitment, form = judge.commit_acknowledgement(acknowledgement)
        assert commit_acknowledgement(acknowledgement) == commitment
        if len(acknowledgement.app_acknowledgements) == 1:
            assert is_acknowledgement(acknowledgement, 1) == (form.verdict == VERIFIED)
        tally.count(form.verdict)

    check()
    assert tally.cases >= CASES
    report_cases(comparisons.ACKNOWLEDGEMENTS, tally)


def is_acknowledgement(acknowledgement: packet_pb2.Acknowledgement, payload_count: int) -> bool:
    try:
        check_acknowledgement(acknowledgement, payload_count)
    except IbcError:
        return False
    return True
