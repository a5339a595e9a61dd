from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ibc import errors
from ibc.client_state import CLIENT_STATE_URL, CONSENSUS_STATE_URL
from ibc.handlers import IbcMessage, check_stateless, signer_of, signers_of
from tests.support.ibc_host import RELAYER, make_update
from tests.support.ibc_link import SIGNER, Link
from tx.failures import InvalidAddress
from wire.ibc.core.channel.v2 import tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable


def make_messages() -> dict[str, IbcMessage]:
    link = Link()
    packet, late = link.send(), link.send(after_s=5)
    recv = link.recv_message(packet)
    link.recv(recv)
    acknowledgement = link.ack_message(packet)
    link.pass_time(20)
    create = client_tx_pb2.MsgCreateClient(signer=SIGNER)
    create.client_state.type_url = CLIENT_STATE_URL
    create.consensus_state.type_url = CONSENSUS_STATE_URL
    return {
        "create": create,
        "update": make_update(link.hub_client, link.shard.sim.update(1, 2)),
        "register": client_v2_tx_pb2.MsgRegisterCounterparty(
            client_id="07-tendermint-0",
            counterparty_client_id="07-tendermint-1",
            counterparty_merkle_prefix=[b"provable", b""],
            signer=SIGNER,
        ),
        "recv": recv,
        "ack": acknowledgement,
        "timeout": link.timeout_message(late),
    }


@pytest.mark.parametrize("name", ["create", "update", "register", "recv", "ack", "timeout"])
def test_good_messages_pass_and_are_signed_by_their_signer(name: str) -> None:
    msg = make_messages()[name]
    check_stateless(msg)
    assert signer_of(msg) == RELAYER.public_key
    assert signers_of(msg) == (RELAYER.public_key,)


def test_a_signer_that_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidAddress):
        signers_of(tx_pb2.MsgRecvPacket(signer="grad1x"))


def _prefix(*elements: bytes) -> Callable[[client_v2_tx_pb2.MsgRegisterCounterparty], None]:
    def mutate(msg: client_v2_tx_pb2.MsgRegisterCounterparty) -> None:
        msg.counterparty_merkle_prefix[:] = elements

    return mutate


@pytest.mark.parametrize(
    ("name", "mutate", "expected"),
    [
        ("create", lambda m: m.ClearField("client_state"), errors.UnsupportedClientMessage),
        ("create", lambda m: m.ClearField("consensus_state"), errors.UnsupportedClientMessage),
        ("update", lambda m: m.ClearField("client_message"), errors.UnsupportedClientMessage),
        ("update", lambda m: setattr(m, "client_id", "no id"), errors.InvalidIdentifier),
        ("register", lambda m: setattr(m, "client_id", "noid"), errors.InvalidIdentifier),
        ("register", lambda m: setattr(m, "counterparty_client_id", ""), errors.InvalidIdentifier),
        ("register", _prefix(), errors.InvalidCounterparty),
        ("register", _prefix(*[b"x"] * 33), errors.InvalidCounterparty),
        ("register", _prefix(bytes(129)), errors.InvalidCounterparty),
        ("recv", lambda m: m.ClearField("proof_commitment"), errors.MalformedProof),
        ("recv", lambda m: m.ClearField("packet"), errors.InvalidPacket),
        ("ack", lambda m: m.ClearField("proof_acked"), errors.MalformedProof),
        ("ack", lambda m: m.ClearField("packet"), errors.InvalidPacket),
        ("ack", lambda m: m.ClearField("acknowledgement"), errors.InvalidAcknowledgement),
        ("timeout", lambda m: m.ClearField("proof_unreceived"), errors.MalformedProof),
        ("timeout", lambda m: m.ClearField("packet"), errors.InvalidPacket),
    ],
    ids=[
        "create without client",
        "create without consensus state",
        "update without header",
        "update of no id",
        "register of no id",
        "register to no id",
        "register without prefix",
        "register of many elements",
        "register of a long element",
        "recv without proof",
        "recv without packet",
        "ack without proof",
        "ack without packet",
        "ack without answer",
        "timeout without proof",
        "timeout without packet",
    ],
)
def test_a_malformed_message_is_refused_without_state(
    name: str, mutate: Callable[[IbcMessage], None], expected: type[errors.IbcError]
) -> None:
    msg = make_messages()[name]
    mutate(msg)
    with pytest.raises(expected):
        check_stateless(msg)
