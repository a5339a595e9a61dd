"""What can be asked about settlements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.checks import check_address
from hub.errors import SettlementNotFound
from hub.settlement.payout import settlement_leaves
from hub.settlement.relays import get_relay_total, list_relay_earnings
from hub.settlement.state import get_paid, get_settlement_root
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader

MAX_RELAY_ROUNDS: Final = 1_000
"""Most rounds in one answer about a relayer."""


def read_settlement(state: StateReader, task: int, round_number: int) -> query_pb2.GetSettlementResponse:
    """Return the leaves of a round's settlement tree, in order, and its root.

    Raises:
      SettlementNotFound: the round is not settled.

    """
    settled = get_paid(state, task, round_number)
    if settled is None:
        raise SettlementNotFound(f"expected a settled round, got round {round_number} of task {task}")
    return query_pb2.GetSettlementResponse(
        leaves=settlement_leaves(task, round_number, settled.payments, settled.relay_payments),
        settlement_root=get_settlement_root(state, task, round_number),
    )


def read_relay_pay(
    state: StateReader, account: bytes, start_task: int, start_round: int, limit: int
) -> query_pb2.GetRelayPayResponse:
    """Return what an account got as a relayer: of all rounds, and for each from a round on.

    A limit of zero means as many rounds as one answer holds.

    Raises:
      InvalidField: that is no address.

    """
    check_address("account", account)
    total = get_relay_total(state, account)
    listed = list_relay_earnings(
        state, account, (start_task, start_round), min(limit or MAX_RELAY_ROUNDS, MAX_RELAY_ROUNDS)
    )
    return query_pb2.GetRelayPayResponse(
        packets=total.packets,
        amount=total.amount,
        rounds=[
            query_pb2.RelayPay(task=task, round=number, packets=earned.packets, amount=earned.amount)
            for task, number, earned in listed
        ],
    )
