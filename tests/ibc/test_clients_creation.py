from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.context import Event
from abci_app.state import BULK, PROVABLE
from ibc import errors
from ibc.client_state import (
    client_state_from_wire,
    consensus_state_to_wire,
    pack_client_state,
)
from ibc.clients import (
    MAX_PREFIX_BYTES,
    MAX_PREFIX_ELEMENTS,
    ClientStatus,
    check_register_counterparty,
    handle_create_client,
    handle_register_counterparty,
)
from ibc.identifiers import Height
from ibc.keys import client_state_key, consensus_state_key
from ibc.state import get_client, get_counterparty, list_client_ids, require_client
from tests.support.ibc import DAY_NS, TRUSTING_PERIOD_NS, SimulatedChain
from tests.support.ibc_following import CLIENT, Following, create_message
from tests.support.ibc_host import AUTHORITY, RELAYER, HostChain
from tx.failures import NonCanonicalEncoding
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2


# create


def test_the_authority_creates_clients_with_numbers() -> None:
    following = Following()
    other = SimulatedChain("third-1")
    other.add_block(bytes(32))
    msg = create_message(following.host, other)
    created = handle_create_client(following.host.ctx, following.host.state, msg, signer=AUTHORITY.public_key)
    assert created == "07-tendermint-1"
    assert list(list_client_ids(following.host.state)) == [CLIENT, created]
    assert following.status() is ClientStatus.ACTIVE
    event = dict(following.host.events[0].attributes)
    assert following.host.events[0].kind == "create_client"
    assert event == {"client_id": CLIENT, "client_type": "07-tendermint", "consensus_height": "4-1"}
    assert following.host.events[1] == Event("message", (("module", "ibc_client"),))


def test_what_is_stored_is_what_ibc_go_would_store() -> None:
    following = Following()
    stored = following.host.state.get(PROVABLE, client_state_key(CLIENT))
    expected = pack_client_state(require_client(following.host.state, CLIENT))
    assert stored == expected.SerializeToString(deterministic=True)
    known = following.host.state.get(PROVABLE, consensus_state_key(CLIENT, Height(4, 1)))
    assert known is not None
    wire = consensus_state_to_wire(following.other.trusted_state(1))
    assert known.endswith(wire.SerializeToString(deterministic=True))
    assert b"/ibc.lightclients.tendermint.v1.ConsensusState" in known


def test_nobody_else_creates_clients() -> None:
    following = Following()
    msg = create_message(following.host, following.other)
    with pytest.raises(errors.NotAuthority):
        handle_create_client(following.host.ctx, following.host.state, msg, signer=RELAYER.public_key)


def test_without_an_authority_nobody_creates_clients() -> None:
    following = Following()
    following.host.state.delete(BULK, b"ibc/authority")
    msg = create_message(following.host, following.other)
    expected = "expected the authority, no account at all, to sign, got "
    with pytest.raises(errors.NotAuthority, match=expected):
        handle_create_client(following.host.ctx, following.host.state, msg, signer=b"")


def test_who_must_sign_is_named() -> None:
    following = Following()
    msg = create_message(following.host, following.other)
    with pytest.raises(errors.NotAuthority) as refused:
        handle_create_client(following.host.ctx, following.host.state, msg, signer=b"\x01")
    assert refused.value.message == f"expected the authority, {AUTHORITY.public_key.hex()}, to sign, got 01"


def _edit_client(
    edit: Callable[[tendermint_pb2.ClientState], object],
) -> Callable[[client_tx_pb2.MsgCreateClient], None]:
    def mutate(msg: client_tx_pb2.MsgCreateClient) -> None:
        client = tendermint_pb2.ClientState.FromString(msg.client_state.value)
        edit(client)
        msg.client_state.value = client.SerializeToString(deterministic=True)

    return mutate


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(
            lambda m: setattr(m.client_state, "type_url", "/x"),
            errors.UnsupportedClientMessage,
            id="client type",
        ),
        pytest.param(
            lambda m: m.ClearField("consensus_state"),
            errors.UnsupportedClientMessage,
            id="no consensus state",
        ),
        pytest.param(
            lambda m: setattr(m.client_state, "value", m.client_state.value + b"\x50\x00"),
            NonCanonicalEncoding,
            id="encoding",
        ),
        pytest.param(
            _edit_client(lambda c: setattr(c.frozen_height, "revision_height", 1)),
            errors.InvalidClientState,
            id="frozen",
        ),
        pytest.param(
            _edit_client(lambda c: c.ClearField("proof_specs")), errors.InvalidClientState, id="no specs"
        ),
    ],
)
def test_a_client_starts_from_sound_states(
    mutate: Callable[[client_tx_pb2.MsgCreateClient], None], expected: type[Exception]
) -> None:
    following = Following()
    msg = create_message(following.host, following.other)
    mutate(msg)
    with pytest.raises(expected):
        handle_create_client(following.host.ctx, following.host.state, msg, signer=AUTHORITY.public_key)
    assert list(list_client_ids(following.host.state)) == [CLIENT]


def test_a_client_does_not_start_expired() -> None:
    following = Following()
    following.host.sim.time_ns += TRUSTING_PERIOD_NS
    msg = create_message(following.host, following.other)
    with pytest.raises(errors.ClientNotActive):
        handle_create_client(following.host.ctx, following.host.state, msg, signer=AUTHORITY.public_key)


# counterparty


def register(
    host: HostChain,
    signer: bytes = AUTHORITY.public_key,
    client_id: str = CLIENT,
    prefix: tuple[bytes, ...] = (),
) -> None:
    msg = client_v2_tx_pb2.MsgRegisterCounterparty(
        client_id=client_id,
        counterparty_merkle_prefix=prefix or (b"provable", b""),
        counterparty_client_id="07-tendermint-9",
    )
    handle_register_counterparty(host.ctx, host.state, msg, signer=signer)


def test_a_client_is_tied_to_its_counterparty_once_and_for_good() -> None:
    host = Following().host
    register(host)
    counterparty = get_counterparty(host.state, CLIENT)
    assert counterparty is not None
    assert counterparty.client_id == "07-tendermint-9"
    assert list(counterparty.merkle_prefix) == [b"provable", b""]
    names = (("client_id", CLIENT), ("counterparty_client_id", counterparty.client_id))
    assert host.events[-2:] == [
        Event("register_counterparty", names),
        Event("message", (("module", "ibc_client"),)),
    ]
    with pytest.raises(errors.CounterpartyExists):
        register(host)


def test_only_the_authority_ties_clients() -> None:
    with pytest.raises(errors.NotAuthority):
        register(Following().host, signer=RELAYER.public_key)


def test_only_clients_that_exist_are_tied() -> None:
    with pytest.raises(errors.ClientNotFound):
        register(Following().host, client_id="07-tendermint-1")


@pytest.mark.parametrize("prefix", [(b"",), (b"a", b"b", b"c")])
def test_a_prefix_fits_the_clients_trees(prefix: tuple[bytes, ...]) -> None:
    with pytest.raises(errors.InvalidCounterparty):
        register(Following().host, prefix=prefix)


def test_there_is_no_client_of_an_unknown_id() -> None:
    following = Following()
    assert get_client(following.host.state, "07-tendermint-3") is None
    with pytest.raises(errors.ClientNotFound):
        require_client(following.host.state, "07-tendermint-3")


def test_a_stored_client_keeps_all_it_was_created_with() -> None:
    following = Following()
    client = require_client(following.host.state, CLIENT)
    assert client.unbonding_period_ns == 21 * DAY_NS
    assert client.trust == following.other.options()
    again = client_state_from_wire(tendermint_pb2.ClientState.FromString(pack_client_state(client).value))
    assert replace(again, upgrade_path=()) == client


@pytest.mark.parametrize("prefix", [[b"x"], [b""] * MAX_PREFIX_ELEMENTS, [b"x" * MAX_PREFIX_BYTES]])
def test_a_prefix_may_reach_its_bounds(prefix: list[bytes]) -> None:
    check_register_counterparty(
        client_v2_tx_pb2.MsgRegisterCounterparty(
            client_id="07-tendermint-0",
            counterparty_client_id="07-tendermint-1",
            counterparty_merkle_prefix=prefix,
        )
    )


@pytest.mark.parametrize("prefix", [[], [b""] * (MAX_PREFIX_ELEMENTS + 1), [b"x" * (MAX_PREFIX_BYTES + 1)]])
def test_a_prefix_out_of_bounds_is_refused(prefix: list[bytes]) -> None:
    with pytest.raises(
        errors.InvalidCounterparty, match="expected 1 to 32 prefix elements of at most 128 bytes, got"
    ):
        check_register_counterparty(
            client_v2_tx_pb2.MsgRegisterCounterparty(
                client_id="07-tendermint-0",
                counterparty_client_id="07-tendermint-1",
                counterparty_merkle_prefix=prefix,
            )
        )
