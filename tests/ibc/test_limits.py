"""Numbers and names that are part of the protocol: a chain that has others forks from those that have these."""

from __future__ import annotations

import pytest

from ibc import (
    client_state,
    clients,
    commit,
    events,
    header,
    host,
    ics23,
    identifiers,
    keys,
    light,
    packet,
    ports,
    proof_spec,
    query,
    relay_rules,
    results,
    times,
    validators,
    voting,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # Bounds of our own, in docs/spec/link.md.
        pytest.param(client_state.MAX_SPECS, 8, id="MAX_SPECS"),
        pytest.param(client_state.MAX_UPGRADE_PATH, 32, id="MAX_UPGRADE_PATH"),
        pytest.param(client_state.MAX_UPGRADE_KEY_BYTES, 128, id="MAX_UPGRADE_KEY_BYTES"),
        pytest.param(clients.MAX_PREFIX_ELEMENTS, 32, id="MAX_PREFIX_ELEMENTS"),
        pytest.param(clients.MAX_PREFIX_BYTES, 128, id="MAX_PREFIX_BYTES"),
        pytest.param(packet.MAX_PAYLOADS, 16, id="MAX_PAYLOADS"),
        pytest.param(packet.MAX_PAYLOAD_BYTES, 256 * 1024, id="MAX_PAYLOAD_BYTES"),
        pytest.param(packet.MAX_ACK_BYTES, 64 * 1024, id="MAX_ACK_BYTES"),
        pytest.param(relay_rules.REFRESH_AGE_DIVISOR, 3, id="REFRESH_AGE_DIVISOR"),
        pytest.param(relay_rules.REFRESH_ADVANCE_DIVISOR, 4, id="REFRESH_ADVANCE_DIVISOR"),
        pytest.param(light.MAX_FETCHES, 1_000, id="MAX_FETCHES"),
        pytest.param(query.MAX_PENDING, 1_000, id="MAX_PENDING"),
        # Bounds of CometBFT and ibc-go.
        pytest.param(packet.MAX_TIMEOUT_S, 24 * 60 * 60, id="MAX_TIMEOUT_S"),
        pytest.param(commit.MAX_SLOTS, 10_000, id="MAX_SLOTS"),
        pytest.param(commit.MAX_SIGNATURE_BYTES, 96, id="MAX_SIGNATURE_BYTES"),
        pytest.param(validators.MAX_TOTAL_POWER, (2**63 - 1) // 8, id="MAX_TOTAL_POWER"),
        pytest.param(validators.ADDRESS_BYTES, 20, id="ADDRESS_BYTES"),
        pytest.param(validators.PUBLIC_KEY_BYTES, 32, id="PUBLIC_KEY_BYTES"),
        pytest.param(header.HASH_BYTES, 32, id="HASH_BYTES"),
        pytest.param(header.BLOCK_PROTOCOL, 11, id="BLOCK_PROTOCOL"),
        pytest.param(identifiers.MAX_CHAIN_ID_BYTES, 50, id="MAX_CHAIN_ID_BYTES"),
        pytest.param(ics23.DEFAULT_MAX_DEPTH, 128, id="DEFAULT_MAX_DEPTH"),
        pytest.param(proof_spec.HASH_BYTES, 32, id="HASH_BYTES of a tree"),
        pytest.param(voting.QUORUM, voting.Fraction(2, 3), id="QUORUM"),
        pytest.param(client_state.FROZEN, identifiers.Height(0, 1), id="FROZEN"),
        pytest.param(identifiers.ZERO_HEIGHT, identifiers.Height(0, 0), id="ZERO_HEIGHT"),
        pytest.param(keys.HEIGHT_DIGITS, 16, id="HEIGHT_DIGITS"),
        pytest.param(times.NS_PER_SECOND, 10**9, id="NS_PER_SECOND"),
        pytest.param(times.GO_ZERO_SECONDS, -62_135_596_800, id="GO_ZERO_SECONDS"),
        pytest.param(times.GO_ZERO_TIME_NS, -62_135_596_800 * 10**9, id="GO_ZERO_TIME_NS"),
    ],
)
def test_a_number_of_the_protocol_stays(value: object, expected: object) -> None:
    assert value == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(identifiers.CLIENT_TYPE, "07-tendermint", id="CLIENT_TYPE"),
        pytest.param(
            client_state.CLIENT_STATE_URL,
            "/ibc.lightclients.tendermint.v1.ClientState",
            id="CLIENT_STATE_URL",
        ),
        pytest.param(
            client_state.CONSENSUS_STATE_URL,
            "/ibc.lightclients.tendermint.v1.ConsensusState",
            id="CONSENSUS_STATE_URL",
        ),
        pytest.param(client_state.HEADER_URL, "/ibc.lightclients.tendermint.v1.Header", id="HEADER_URL"),
        pytest.param(
            client_state.MISBEHAVIOUR_URL,
            "/ibc.lightclients.tendermint.v1.Misbehaviour",
            id="MISBEHAVIOUR_URL",
        ),
        pytest.param(host.PROVABLE, "provable", id="PROVABLE"),
        pytest.param(host.BULK, "bulk", id="BULK"),
        pytest.param(keys.AUTHORITY_KEY, b"ibc/authority", id="AUTHORITY_KEY"),
        pytest.param(keys.NEXT_CLIENT_KEY, b"ibc/next-client", id="NEXT_CLIENT_KEY"),
        pytest.param(packet.RECEIPT, b"\x02", id="RECEIPT"),
        pytest.param(ports.HUB_PORT, "fl.hub", id="HUB_PORT"),
        pytest.param(ports.SHARD_PORT, "fl.shard", id="SHARD_PORT"),
        pytest.param(ports.VERSION, "gradchain-1", id="VERSION"),
        pytest.param(ports.ENCODING, "application/x-protobuf", id="ENCODING"),
        pytest.param(ports.SUCCESS_ACK, b"\x01", id="SUCCESS_ACK"),
        pytest.param(events.CREATE_CLIENT, "create_client", id="CREATE_CLIENT"),
        pytest.param(events.UPDATE_CLIENT, "update_client", id="UPDATE_CLIENT"),
        pytest.param(events.CLIENT_MISBEHAVIOUR, "client_misbehaviour", id="CLIENT_MISBEHAVIOUR"),
        pytest.param(events.RECOVER_CLIENT, "recover_client", id="RECOVER_CLIENT"),
        pytest.param(events.REGISTER_COUNTERPARTY, "register_counterparty", id="REGISTER_COUNTERPARTY"),
        pytest.param(events.PAYLOAD_REFUSED, "payload_refused", id="PAYLOAD_REFUSED"),
    ],
)
def test_a_name_of_the_protocol_stays(value: object, expected: object) -> None:
    assert value == expected


def test_the_kinds_of_packet_events_are_those_of_ibc_go() -> None:
    assert [kind.value for kind in events.PacketEventKind] == [
        "send_packet",
        "recv_packet",
        "write_acknowledgement",
        "acknowledge_packet",
        "timeout_packet",
    ]


def test_a_spec_bounds_nothing_that_it_does_not_name() -> None:
    spec = proof_spec.IAVL_SPEC
    assert (spec.empty_child, spec.max_depth, spec.min_depth) == (b"", 0, 0)
    assert not spec.prehash_key_before_comparison
    assert proof_spec.DEFAULT_SPECS == (proof_spec.IAVL_SPEC, proof_spec.TENDERMINT_SPEC)


def test_the_sparse_merkle_spec_is_the_one_of_ics23() -> None:
    expected = proof_spec.ProofSpec(
        leaf_prefix=b"\x00",
        prehash_key=True,
        prehash_value=True,
        length_prefix=False,
        child_size=32,
        min_prefix=1,
        max_prefix=1,
        empty_child=bytes(32),
        max_depth=256,
        min_depth=0,
        prehash_key_before_comparison=True,
    )
    assert expected == proof_spec.SMT_SPEC


def test_statuses_and_results_have_names_and_numbers() -> None:
    assert [status.value for status in clients.ClientStatus] == ["active", "expired", "frozen"]
    assert {result.name: result.value for result in results.RelayResult} == {
        "SUCCESS": 2,
        "NOOP": 1,
        "FAILURE": 3,
    }
