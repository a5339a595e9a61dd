"""What can be asked about settlements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.errors import SettlementNotFound
from hub.settlement.payout import settlement_leaf
from hub.settlement.state import get_paid, get_settlement_root
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader


def read_settlement(state: StateReader, task: int, round_number: int) -> query_pb2.GetSettlementResponse:
    """Return the leaves of a round's settlement tree, in order, and its root.

    Raises:
      SettlementNotFound: the round is not settled.

    """
    settled = get_paid(state, task, round_number)
    if settled is None:
        raise SettlementNotFound(f"expected a settled round, got round {round_number} of task {task}")
    return query_pb2.GetSettlementResponse(
        leaves=[settlement_leaf(task, round_number, payment) for payment in settled.payments],
        settlement_root=get_settlement_root(state, task, round_number),
    )
