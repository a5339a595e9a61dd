"""Messages of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.definition import MessageHandler
from hub.accounts.events import emit_transfer
from hub.accounts.state import MAX_AMOUNT, transfer
from hub.checks import check_address, check_positive
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.context import TxContext
    from abci_app.state import StateWriter


def _sender_of(message: tx_pb2.MsgTransfer) -> bytes:
    # The field's name is a keyword of Python.
    sender: bytes = getattr(message, "from")
    return sender


def list_transfer_signers(message: tx_pb2.MsgTransfer) -> tuple[bytes, ...]:
    """Return the sender."""
    return (_sender_of(message),)


def check_transfer(message: tx_pb2.MsgTransfer) -> None:
    """Check the fields of a transfer.

    Raises:
      InvalidField: an address or the amount is no valid one.

    """
    check_address("from", _sender_of(message))
    check_address("to", message.to)
    check_positive("amount", message.amount, MAX_AMOUNT)


def handle_transfer(ctx: TxContext, state: StateWriter, message: tx_pb2.MsgTransfer) -> None:
    """Move tokens.

    Raises:
      InsufficientBalance: the sender holds less.

    """
    sender = _sender_of(message)
    transfer(state, sender, message.to, message.amount)
    emit_transfer(ctx, sender, message.to, message.amount)


TRANSFER = MessageHandler(tx_pb2.MsgTransfer, list_transfer_signers, check_transfer, handle_transfer)
