"""What can be asked about accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.accounts.state import get_balance, get_circulating, get_earned, get_escrowed, get_supply
from hub.checks import check_address
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader


def read_account(state: StateReader, account: bytes) -> query_pb2.GetAccountResponse:
    """Return balance and earnings of an account; both are zero if it was never used.

    Raises:
      InvalidField: that is no address.

    """
    check_address("account", account)
    return query_pb2.GetAccountResponse(
        balance=get_balance(state, account), earned=get_earned(state, account)
    )


def read_supply(state: StateReader) -> query_pb2.GetSupplyResponse:
    """Return where the tokens are."""
    return query_pb2.GetSupplyResponse(
        balances=get_circulating(state), escrowed=get_escrowed(state), supply=get_supply(state)
    )
