"""Records of settlements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """What a participant has contributed to a round."""

    account: bytes
    weight: int


@dataclass(frozen=True, slots=True)
class PendingSettlement:
    """An aggregated round that is not settled yet."""

    attempt: int
    budget: int
    """What the round pays out in all, in base units."""

    claims: tuple[Claim, ...]
    """Sorted by account."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What a participant got for a round; a leaf of its settlement tree."""

    account: bytes
    weight: int
    amount: int


@dataclass(frozen=True, slots=True)
class PaidSettlement:
    """A settled round."""

    payments: tuple[Payment, ...]
    """Sorted by account."""

    paid: int
    """Sum of the payments; the rest of the round's budget went to the treasury."""
