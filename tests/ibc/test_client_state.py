from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration

from ibc import errors
from ibc.client_state import (
    FROZEN,
    check_new_client,
    client_state_from_wire,
    client_state_to_wire,
    consensus_state_from_wire,
    consensus_state_to_wire,
    make_client_state,
    pack_client_state,
)
from ibc.identifiers import Height
from ibc.proof_spec import DEFAULT_SPECS
from ibc.tendermint import TrustedState
from tests.support.ibc import DAY_NS, SimulatedChain

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

CLIENT = make_client_state(SimulatedChain().options(), 21 * DAY_NS, 7, DEFAULT_SPECS)
STATE = TrustedState(7, 5_000_000_123, b"\x01" * 32, b"\x02" * 32)


def test_a_client_survives_the_wire() -> None:
    assert client_state_from_wire(client_state_to_wire(CLIENT)) == CLIENT
    frozen = replace(CLIENT, upgrade_path=("upgrade", "upgraded")).freeze()
    assert client_state_from_wire(client_state_to_wire(frozen)) == frozen


def test_a_consensus_state_survives_the_wire() -> None:
    assert consensus_state_from_wire(consensus_state_to_wire(STATE), 7) == STATE


def test_a_client_is_written_as_ibc_go_writes_it() -> None:
    """A frozen height of zero is there as an empty message, because the Go type holds it by value."""
    encoded = client_state_to_wire(CLIENT).SerializeToString(deterministic=True)
    assert encoded.startswith(bytes.fromhex("0a0573696d2d331204080110031a040880ea4922040880df6e"))
    assert bytes.fromhex("2a02080a32003a0408031007") in encoded


def test_a_client_travels_under_its_type() -> None:
    assert pack_client_state(CLIENT).type_url == "/ibc.lightclients.tendermint.v1.ClientState"


def _duration(name: str, seconds: int, nanos: int = 0) -> Callable[[tendermint_pb2.ClientState], None]:
    return lambda message: getattr(message, name).CopyFrom(Duration(seconds=seconds, nanos=nanos))


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda m: m.ClearField("chain_id"), errors.InvalidTrustOptions, id="no chain id"),
        pytest.param(
            lambda m: setattr(m, "chain_id", "x" * 51), errors.InvalidTrustOptions, id="long chain id"
        ),
        pytest.param(lambda m: setattr(m, "chain_id", "sim-4"), errors.InvalidClientState, id="revision"),
        pytest.param(lambda m: m.ClearField("trust_level"), errors.InvalidTrustOptions, id="no trust level"),
        pytest.param(
            lambda m: setattr(m.trust_level, "denominator", 4),
            errors.InvalidTrustOptions,
            id="low trust level",
        ),
        pytest.param(
            lambda m: m.ClearField("trusting_period"), errors.MalformedTime, id="no trusting period"
        ),
        pytest.param(_duration("trusting_period", -1), errors.MalformedTime, id="negative trusting period"),
        pytest.param(_duration("trusting_period", 1, -1), errors.MalformedTime, id="mixed signs"),
        pytest.param(_duration("trusting_period", 1, 10**9), errors.MalformedTime, id="nanoseconds"),
        pytest.param(_duration("trusting_period", 1 << 34), errors.MalformedTime, id="over 64 bits"),
        pytest.param(_duration("unbonding_period", 0), errors.MalformedTime, id="no unbonding period"),
        pytest.param(
            _duration("unbonding_period", 14 * 86_400), errors.InvalidClientState, id="equal periods"
        ),
        pytest.param(lambda m: m.ClearField("max_clock_drift"), errors.MalformedTime, id="no clock drift"),
        pytest.param(lambda m: m.ClearField("latest_height"), errors.InvalidClientState, id="no height"),
        pytest.param(
            lambda m: setattr(m.latest_height, "revision_height", 0),
            errors.InvalidClientState,
            id="height zero",
        ),
        pytest.param(lambda m: m.ClearField("proof_specs"), errors.InvalidClientState, id="no specs"),
        pytest.param(
            lambda m: m.proof_specs.extend([m.proof_specs[0]] * 9), errors.InvalidClientState, id="many specs"
        ),
        pytest.param(
            lambda m: m.proof_specs[0].ClearField("leaf_spec"), errors.UnsupportedProofSpec, id="unsound spec"
        ),
        pytest.param(lambda m: m.upgrade_path.append(""), errors.InvalidClientState, id="empty upgrade key"),
    ],
)
def test_a_malformed_client_is_refused(
    mutate: Callable[[tendermint_pb2.ClientState], None], expected: type[errors.IbcError]
) -> None:
    message = client_state_to_wire(CLIENT)
    mutate(message)
    with pytest.raises(expected):
        client_state_from_wire(message)


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda m: m.ClearField("timestamp"), errors.InvalidConsensusState, id="no time"),
        pytest.param(
            lambda m: setattr(m.timestamp, "seconds", -1), errors.InvalidConsensusState, id="before 1970"
        ),
        pytest.param(lambda m: setattr(m.timestamp, "nanos", -1), errors.MalformedTime, id="nanoseconds"),
        pytest.param(
            lambda m: setattr(m, "next_validators_hash", b"x"), errors.InvalidConsensusState, id="validators"
        ),
    ],
)
def test_a_malformed_consensus_state_is_refused(
    mutate: Callable[[tendermint_pb2.ConsensusState], None], expected: type[errors.IbcError]
) -> None:
    message = consensus_state_to_wire(STATE)
    mutate(message)
    with pytest.raises(expected):
        consensus_state_from_wire(message, 7)


def test_a_new_client_starts_unfrozen_and_with_a_root() -> None:
    check_new_client(CLIENT, STATE)
    with pytest.raises(errors.InvalidClientState):
        check_new_client(CLIENT.freeze(), STATE)
    with pytest.raises(errors.InvalidConsensusState):
        check_new_client(CLIENT, replace(STATE, root=b""))


def test_the_latest_height_never_falls() -> None:
    assert CLIENT.advance(9).latest_height == Height(3, 9)
    assert CLIENT.advance(5).latest_height == Height(3, 7)
    assert CLIENT.freeze().frozen_height == FROZEN
