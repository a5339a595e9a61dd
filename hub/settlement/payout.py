"""The arithmetic of pay.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregation.merkle import merkle_root
from hub.settlement.types import Payment
from tx.codec import encode
from tx.domains import SETTLEMENT_LEAF
from wire.gradchain.fl.v1 import round_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.settlement.types import Claim


def share_of_round(budget: int, rounds: int, round_number: int) -> int:
    """Return what a round pays out of a task's budget; the last one takes what does not divide evenly."""
    share = budget // rounds
    return budget - share * (rounds - 1) if round_number == rounds else share


def divide_budget(budget: int, claims: Sequence[Claim]) -> tuple[Payment, ...]:
    """Return everybody's pay in proportion to weight, rounded down; without any weight nobody gets anything."""
    total = sum(claim.weight for claim in claims)
    return tuple(
        Payment(claim.account, claim.weight, budget * claim.weight // total if total else 0)
        for claim in claims
    )


def settlement_leaf(task: int, round_number: int, payment: Payment) -> round_pb2.SettlementLeaf:
    """Return the leaf that shows a payment."""
    return round_pb2.SettlementLeaf(
        domain=SETTLEMENT_LEAF,
        task=task,
        round=round_number,
        account=payment.account,
        weight=payment.weight,
        amount=payment.amount,
    )


def settlement_root(task: int, round_number: int, payments: Sequence[Payment]) -> bytes:
    """Return the root of the settlement tree."""
    return merkle_root([encode(settlement_leaf(task, round_number, payment)) for payment in payments])
