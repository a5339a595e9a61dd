"""The messages of `ibc` as an app's handler table wants them: the same for hub and shards but for their ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from abci_app.definition import MessageHandler
from abci_app.state import Overlay
from ibc.handlers import (
    check_stateless,
    handle_acknowledgement,
    handle_create_client,
    handle_recover_client,
    handle_recv_packet,
    handle_register_counterparty,
    handle_timeout,
    handle_update_client,
    signer_of,
    signers_of,
)
from ibc.state import require_client
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abci_app.context import TxContext
    from abci_app.state import StateWriter
    from ibc.host import BranchedState, HostState, PortApp


FreezeHook: TypeAlias = "Callable[[TxContext, StateWriter, str], None]"
"""What an app does when a client of that id is frozen."""


def build_ibc_handlers(
    ports: Mapping[str, PortApp], on_freeze: FreezeHook | None = None
) -> tuple[MessageHandler[Any], ...]:
    """Return the handlers of clients and packets.

    `ports` holds the app's applications by port; `on_freeze` is called after a message has frozen a client.
    """

    def update(ctx: TxContext, state: StateWriter, message: client_tx_pb2.MsgUpdateClient) -> None:
        handle_update_client(ctx, state, message)
        if on_freeze is not None and require_client(state, message.client_id).is_frozen:
            # It was active before, or the message would have been refused.
            on_freeze(ctx, state, message.client_id)

    return (
        MessageHandler(client_tx_pb2.MsgCreateClient, signers_of, check_stateless, _create_client),
        MessageHandler(client_tx_pb2.MsgUpdateClient, signers_of, check_stateless, update),
        MessageHandler(client_tx_pb2.MsgRecoverClient, signers_of, check_stateless, _recover_client),
        MessageHandler(
            client_v2_tx_pb2.MsgRegisterCounterparty, signers_of, check_stateless, _register_counterparty
        ),
        *_build_packet_handlers(ports),
    )


def _build_packet_handlers(ports: Mapping[str, PortApp]) -> tuple[MessageHandler[Any], ...]:
    def receive(ctx: TxContext, state: StateWriter, message: channel_tx_pb2.MsgRecvPacket) -> None:
        handle_recv_packet(ctx, state, message, ports=ports, branch=_branch)

    def acknowledge(ctx: TxContext, state: StateWriter, message: channel_tx_pb2.MsgAcknowledgement) -> None:
        handle_acknowledgement(ctx, state, message, ports=ports)

    def time_out(ctx: TxContext, state: StateWriter, message: channel_tx_pb2.MsgTimeout) -> None:
        handle_timeout(ctx, state, message, ports=ports)

    return (
        MessageHandler(channel_tx_pb2.MsgRecvPacket, signers_of, check_stateless, receive),
        MessageHandler(channel_tx_pb2.MsgAcknowledgement, signers_of, check_stateless, acknowledge),
        MessageHandler(channel_tx_pb2.MsgTimeout, signers_of, check_stateless, time_out),
    )


def _branch(state: HostState) -> BranchedState:
    return Overlay(state)


def _create_client(ctx: TxContext, state: StateWriter, message: client_tx_pb2.MsgCreateClient) -> None:
    handle_create_client(ctx, state, message, signer=signer_of(message))


def _recover_client(ctx: TxContext, state: StateWriter, message: client_tx_pb2.MsgRecoverClient) -> None:
    handle_recover_client(ctx, state, message, signer=signer_of(message))


def _register_counterparty(
    ctx: TxContext, state: StateWriter, message: client_v2_tx_pb2.MsgRegisterCounterparty
) -> None:
    handle_register_counterparty(ctx, state, message, signer=signer_of(message))
