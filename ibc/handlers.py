"""What an application's handler table needs of this module: signers, stateless checks, and the handlers.

The handlers of clients and packets live in `ibc.clients` and its neighbours, and in `ibc.channel`; here each message class finds its
checks.
"""

from __future__ import annotations

from typing import TypeAlias

from ibc.channel import handle_acknowledgement, handle_recv_packet, handle_timeout
from ibc.client_state import (
    CLIENT_STATE_URL,
    CONSENSUS_STATE_URL,
    HEADER_URL,
    MISBEHAVIOUR_URL,
    check_type_url,
)
from ibc.client_updates import handle_update_client
from ibc.clients import (
    check_register_counterparty,
    handle_create_client,
    handle_register_counterparty,
    init_genesis,
)
from ibc.errors import MalformedProof
from ibc.identifiers import check_client_id
from ibc.packet import check_acknowledgement, check_packet
from ibc.recovery import check_recover_client, handle_recover_client
from tx.keys import PublicKey, parse_address
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

IbcMessage: TypeAlias = (
    client_tx_pb2.MsgCreateClient
    | client_tx_pb2.MsgUpdateClient
    | client_tx_pb2.MsgRecoverClient
    | client_v2_tx_pb2.MsgRegisterCounterparty
    | channel_tx_pb2.MsgRecvPacket
    | channel_tx_pb2.MsgAcknowledgement
    | channel_tx_pb2.MsgTimeout
)
"""Every message of this module."""

__all__ = [
    "IbcMessage",
    "check_stateless",
    "handle_acknowledgement",
    "handle_create_client",
    "handle_recover_client",
    "handle_recv_packet",
    "handle_register_counterparty",
    "handle_timeout",
    "handle_update_client",
    "init_genesis",
    "signer_of",
    "signers_of",
]


def signer_of(msg: IbcMessage) -> PublicKey:
    """Return the key that must sign a message.

    Raises:
      InvalidAddress: the signer is no address.

    """
    return parse_address(msg.signer)


def signers_of(msg: IbcMessage) -> tuple[bytes, ...]:
    """Return the keys that must sign a message: always one.

    Raises:
      InvalidAddress: the signer is no address.

    """
    return (signer_of(msg),)


def check_stateless(msg: IbcMessage) -> None:
    """Check what needs no state of a message.

    Raises:
      AppError: a field is malformed or out of range.

    """
    if isinstance(msg, client_tx_pb2.MsgCreateClient):
        check_type_url(msg.client_state, CLIENT_STATE_URL)
        check_type_url(msg.consensus_state, CONSENSUS_STATE_URL)
    elif isinstance(msg, client_tx_pb2.MsgUpdateClient):
        check_client_id(msg.client_id)
        if msg.client_message.type_url != MISBEHAVIOUR_URL:
            check_type_url(msg.client_message, HEADER_URL)
    elif isinstance(msg, client_tx_pb2.MsgRecoverClient):
        check_recover_client(msg)
    elif isinstance(msg, client_v2_tx_pb2.MsgRegisterCounterparty):
        check_register_counterparty(msg)
    elif isinstance(msg, channel_tx_pb2.MsgRecvPacket):
        _check_proof(msg.proof_commitment)
        check_packet(msg.packet)
    elif isinstance(msg, channel_tx_pb2.MsgAcknowledgement):
        _check_proof(msg.proof_acked)
        check_packet(msg.packet)
        check_acknowledgement(msg.acknowledgement, len(msg.packet.payloads))
    else:
        _check_proof(msg.proof_unreceived)
        check_packet(msg.packet)


def _check_proof(proof: bytes) -> None:
    if not proof:
        raise MalformedProof("expected a proof, got no bytes")
