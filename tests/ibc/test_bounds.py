"""Values at their bounds are taken, and the next ones refused in words that say which value it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ibc.client_state import (
    check_new_client,
    check_type_url,
    client_state_from_wire,
    client_state_to_wire,
    consensus_state_from_wire,
    consensus_state_to_wire,
    make_client_state,
)
from ibc.proof_spec import DEFAULT_SPECS
from ibc.tendermint import TrustedState, TrustOptions, check_trust_options
from ibc.times import duration_from_wire, encode_time, time_from_wire
from ibc.voting import Fraction
from tests.support.ibc import DAY_NS, SimulatedChain
from tests.support.ibc_refusals import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

CLIENT = make_client_state(SimulatedChain().options(), 21 * DAY_NS, 7, DEFAULT_SPECS)
STATE = TrustedState(7, 5_000_000_123, b"\x01" * 32, b"\x02" * 32)

# times


@pytest.mark.parametrize(
    ("seconds", "nanos", "is_good"),
    [
        (-62_135_596_800, 0, True),
        (-62_135_596_801, 0, False),
        (253_402_300_799, 999_999_999, True),
        (253_402_300_800, 0, False),
        (0, 1_000_000_000, False),
        (0, -1, False),
    ],
)
def test_times_are_those_of_the_years_1_to_9999(seconds: int, nanos: int, *, is_good: bool) -> None:
    if is_good:
        assert time_from_wire(Timestamp(seconds=seconds, nanos=nanos)) == seconds * 10**9 + nanos
    else:
        refused(
            f"expected a time of the years 1 to 9999, got {seconds} seconds and {nanos} nanoseconds",
            lambda: time_from_wire(Timestamp(seconds=seconds, nanos=nanos)),
        )


@pytest.mark.parametrize(
    ("seconds", "nanos", "is_good"),
    [
        (0, 1, True),
        (0, 0, False),
        (0, 999_999_999, True),
        (9_223_372_036, 854_775_807, True),
        (9_223_372_036, 854_775_808, False),
        (1, -1, False),
        (1, 1_000_000_000, False),
        (-1, 0, False),
    ],
)
def test_durations_are_positive_and_have_63_bits(seconds: int, nanos: int, *, is_good: bool) -> None:
    duration = Duration(seconds=seconds, nanos=nanos)
    if is_good:
        assert duration_from_wire(duration) == seconds * 10**9 + nanos
    else:
        refused(
            f"expected a positive duration, got {seconds} seconds and {nanos} nanoseconds",
            lambda: duration_from_wire(duration),
        )


def test_a_time_is_encoded_as_protobuf_does() -> None:
    assert encode_time(3_000_000_007) == Timestamp(seconds=3, nanos=7).SerializeToString()
    assert encode_time(-1) == Timestamp(seconds=-1, nanos=999_999_999).SerializeToString()


# trust


def options(**changes: object) -> TrustOptions:
    return replace(TrustOptions("chain", Fraction(1, 3), 1, 1), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": "x"},
        {"chain_id": "x" * 50},
        {"chain_id": "\u00e9" * 25},
        {"trust_level": Fraction(1, 3)},
        {"trust_level": Fraction(1, 1)},
        {"trust_level": Fraction(7, 7)},
        {"trust_level": Fraction(2, 6)},
    ],
)
def test_options_may_reach_their_bounds(changes: dict[str, object]) -> None:
    check_trust_options(options(**changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"chain_id": ""}, "expected a chain id of 1 to 50 bytes, got 0"),
        ({"chain_id": "x" * 51}, "expected a chain id of 1 to 50 bytes, got 51"),
        ({"chain_id": "\u00e9" * 26}, "expected a chain id of 1 to 50 bytes, got 52"),
        ({"trust_level": Fraction(1, 4)}, "expected a trust level from 1/3 to 1, got 1/4"),
        ({"trust_level": Fraction(2, 7)}, "expected a trust level from 1/3 to 1, got 2/7"),
        ({"trust_level": Fraction(8, 7)}, "expected a trust level from 1/3 to 1, got 8/7"),
        ({"trust_level": Fraction(0, 0)}, "expected a trust level from 1/3 to 1, got 0/0"),
        ({"trusting_period_ns": 0}, "expected a positive trusting period and clock drift, got 0 and 1 ns"),
        ({"max_clock_drift_ns": 0}, "expected a positive trusting period and clock drift, got 1 and 0 ns"),
    ],
)
def test_options_beyond_their_bounds_are_refused(changes: dict[str, object], expected: str) -> None:
    refused(expected, lambda: check_trust_options(options(**changes)))


# clients


def client_message(mutate: Callable[[tendermint_pb2.ClientState], object]) -> tendermint_pb2.ClientState:
    message = client_state_to_wire(CLIENT)
    mutate(message)
    return message


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(lambda m: m.proof_specs.extend([m.proof_specs[0]] * 6), id="eight specs"),
        pytest.param(lambda m: m.proof_specs.__delitem__(0), id="one spec"),
        pytest.param(lambda m: m.upgrade_path.extend(["k"] * 32), id="32 upgrade keys"),
        pytest.param(lambda m: m.upgrade_path.append("k" * 128), id="upgrade key of 128 bytes"),
        pytest.param(lambda m: setattr(m.latest_height, "revision_height", 1), id="first height"),
        pytest.param(
            lambda m: m.unbonding_period.CopyFrom(Duration(seconds=14 * 86_400, nanos=1)),
            id="shortest unbonding",
        ),
    ],
)
def test_a_client_may_reach_its_bounds(mutate: Callable[[tendermint_pb2.ClientState], object]) -> None:
    message = client_message(mutate)
    assert client_state_to_wire(client_state_from_wire(message)) == message


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(
            lambda m: m.proof_specs.extend([m.proof_specs[0]] * 7),
            "expected 1 to 8 proof specs, got 9",
            id="specs",
        ),
        pytest.param(
            lambda m: m.ClearField("proof_specs"), "expected 1 to 8 proof specs, got 0", id="no spec"
        ),
        pytest.param(
            lambda m: m.upgrade_path.extend(["k"] * 33),
            "expected at most 32 upgrade keys of 1 to 128 bytes, got 33 of 1 to 1 bytes",
            id="upgrade keys",
        ),
        pytest.param(
            lambda m: m.upgrade_path.extend(["k", "k" * 129]),
            "expected at most 32 upgrade keys of 1 to 128 bytes, got 2 of 1 to 129 bytes",
            id="long upgrade key",
        ),
        pytest.param(
            lambda m: m.upgrade_path.extend(["k", ""]),
            "expected at most 32 upgrade keys of 1 to 128 bytes, got 2 of 0 to 1 bytes",
            id="empty upgrade key",
        ),
        pytest.param(
            lambda m: setattr(m.latest_height, "revision_height", 0),
            "expected a latest height from 3-1, got 3-0",
            id="height",
        ),
        pytest.param(
            lambda m: setattr(m.latest_height, "revision_number", 4),
            "expected a latest height from 3-1, got 4-7",
            id="revision",
        ),
        pytest.param(
            lambda m: m.unbonding_period.CopyFrom(Duration(seconds=14 * 86_400)),
            f"expected a trusting period below the unbonding period of {14 * DAY_NS} ns, got {14 * DAY_NS}",
            id="unbonding",
        ),
    ],
)
def test_a_client_beyond_its_bounds_is_refused(
    mutate: Callable[[tendermint_pb2.ClientState], object], expected: str
) -> None:
    refused(expected, lambda: client_state_from_wire(client_message(mutate)))


def test_a_consensus_state_is_of_a_time_after_1970() -> None:
    first = replace(STATE, time_ns=1)
    assert consensus_state_from_wire(consensus_state_to_wire(first), 7) == first
    zero = consensus_state_to_wire(replace(STATE, time_ns=0))
    refused("expected a time after 1970, got 0", lambda: consensus_state_from_wire(zero, 7))
    short = consensus_state_to_wire(replace(STATE, next_validators_hash=bytes(31)))
    expected = "expected a hash of 32 bytes of the next validators, got 31"
    refused(expected, lambda: consensus_state_from_wire(short, 7))


def test_what_a_new_client_may_not_start_from_is_named() -> None:
    expected = "expected a client that is not frozen, got one frozen at 0-1"
    refused(expected, lambda: check_new_client(CLIENT.freeze(), STATE))
    expected = "expected a root of 32 bytes, got 33"
    refused(expected, lambda: check_new_client(CLIENT, replace(STATE, root=bytes(33))))


def test_another_type_is_shown_in_part() -> None:
    packed = AnyMessage(type_url="x" * 129)
    refused(f"expected a /header, got a {'x' * 128!r}", lambda: check_type_url(packed, "/header"))
    check_type_url(AnyMessage(type_url="/header"), "/header")
