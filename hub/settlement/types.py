"""Records of settlements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """What a participant has contributed to a round."""

    account: bytes
    weight: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What a relayer has delivered for a round before anybody else."""

    account: bytes
    packets: int
    """Headers of checkpoints, and parts of their bodies."""


@dataclass(frozen=True, slots=True)
class PendingSettlement:
    """An aggregated round that is not settled yet."""

    attempt: int
    budget: int
    """What the round pays out in all, in base units."""

    claims: tuple[Claim, ...]
    """Sorted by account."""

    carried: tuple[Carried, ...]
    """Sorted by account."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What a participant got for a round; a leaf of its settlement tree."""

    account: bytes
    weight: int
    amount: int


@dataclass(frozen=True, slots=True)
class RelayPayment:
    """What a relayer got for a round; a leaf of its settlement tree."""

    account: bytes
    packets: int
    amount: int


@dataclass(frozen=True, slots=True)
class PaidSettlement:
    """A settled round.  What neither participants nor relayers got of its budget went to the treasury."""

    payments: tuple[Payment, ...]
    """Sorted by account."""

    relay_payments: tuple[RelayPayment, ...]
    """Sorted by account."""

    paid: int
    """Sum of the payments."""

    relay_paid: int
    """Sum of the relay payments."""


@dataclass(frozen=True, slots=True)
class RelayEarning:
    """What a relayer got, for one round or for all of them."""

    packets: int
    amount: int
