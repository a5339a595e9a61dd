"""The arithmetic of pay.  Pure.

Relayers are paid first, out of at most a tenth of a round's share, and participants out of what is left: whatever
relayers do, nine tenths remain for training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregation.merkle import merkle_root
from hub.settlement.types import PaidSettlement, Payment, RelayPayment
from tx.codec import encode
from tx.domains import SETTLEMENT_LEAF
from wire.gradchain.fl.v1 import round_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.settlement.types import Carried, Claim, PendingSettlement

RELAY_PART: Final = 10
"""Relayers get at most one part in so many of a round's share."""


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


def pay_relayers(fee: int, budget: int, carried: Sequence[Carried]) -> tuple[RelayPayment, ...]:
    """Return what relayers get of a round's budget: the fee for each delivery, or as much as the budget has room for.

    Every delivery is paid the same.  Nobody is listed when that is nothing.
    """
    packets = sum(entry.packets for entry in carried)
    each = min(fee, budget // RELAY_PART // packets) if packets else 0
    if not each:
        return ()
    return tuple(RelayPayment(entry.account, entry.packets, each * entry.packets) for entry in carried)


def divide_share(fee: int, pending: PendingSettlement) -> PaidSettlement:
    """Return who gets what of a round's budget: relayers their fees, participants what is left by their weights."""
    relay_payments = pay_relayers(fee, pending.budget, pending.carried)
    relay_paid = sum(payment.amount for payment in relay_payments)
    payments = divide_budget(pending.budget - relay_paid, pending.claims)
    return PaidSettlement(payments, relay_payments, sum(payment.amount for payment in payments), relay_paid)


def settlement_leaves(
    task: int, round_number: int, payments: Sequence[Payment], relay_payments: Sequence[RelayPayment] = ()
) -> list[round_pb2.SettlementLeaf]:
    """Return the leaves that show the payments of a round, those of participants first."""
    return [
        *(
            _leaf(task, round_number, payment.account, payment.amount, weight=payment.weight)
            for payment in payments
        ),
        *(
            _leaf(task, round_number, payment.account, payment.amount, packets=payment.packets)
            for payment in relay_payments
        ),
    ]


def settlement_root(
    task: int, round_number: int, payments: Sequence[Payment], relay_payments: Sequence[RelayPayment] = ()
) -> bytes:
    """Return the root of the settlement tree."""
    leaves = settlement_leaves(task, round_number, payments, relay_payments)
    return merkle_root([encode(leaf) for leaf in leaves])


def _leaf(
    task: int, round_number: int, account: bytes, amount: int, *, weight: int = 0, packets: int = 0
) -> round_pb2.SettlementLeaf:
    return round_pb2.SettlementLeaf(
        domain=SETTLEMENT_LEAF,
        task=task,
        round=round_number,
        account=account,
        weight=weight,
        amount=amount,
        packets=packets,
    )
