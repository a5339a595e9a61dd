"""Weights of the updates of a batch: public integers that follow from the batch's Gram matrix.

The **unit** is what a full update weighs.  It is one number for a whole round, from the largest assignment of
any shard, so that a unit means the same in every shard and cancels exactly when the shards' aggregates are
divided by their total weight.  No rule gives an update more than the unit: that is every rule's weight cap,
and it bounds the sum of weights by the limit of the packing.

A rule is data that a task names; `compute_weights` is the function that everybody repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, TypeAlias, assert_never

from aggregation.checks import check_weights
from aggregation.constants import MAX_TOTAL_WEIGHT
from aggregation.errors import UnknownRuleError, WeightRangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wire.gradchain.fl.v1 import task_pb2


@dataclass(frozen=True, slots=True)
class RuleMean:
    """Every update weighs one unit."""


@dataclass(frozen=True, slots=True)
class RuleNormClip:
    """An update longer than a bound weighs as much less as it is longer (norm clipping)."""

    tau: int | None = None
    """The bound of the Euclidean norm, in quantisation steps; None: the lower median of the norms of the batch that
    are not zero.  (An update of zeros does not tell how long an honest update is.)"""

    def __post_init__(self) -> None:
        """Refuse a negative bound.

        Raises:
          WeightRangeError: the bound is negative.

        """
        if self.tau is not None and self.tau < 0:
            raise WeightRangeError(f"expected a bound of at least 0, got {self.tau}")


WeightRule: TypeAlias = RuleMean | RuleNormClip


def parse_rule(rule: task_pb2.Rule) -> WeightRule:
    """Return the rule that a task spec names.

    Raises:
      UnknownRuleError: it names none that this version knows.

    """
    match rule.WhichOneof("kind"):
        case "mean":
            return RuleMean()
        case "norm_clip":
            # On the wire, no bound is written as zero.
            return RuleNormClip(rule.norm_clip.tau or None)
        case _:
            raise UnknownRuleError("expected the rule mean or norm_clip, got none of them")


def unit_weight(largest_assignment: int) -> int:
    """Return what a full update weighs in a round whose fullest shard has that many participants.

    Raises:
      WeightRangeError: the number is negative, or so large that nothing is left for one update.

    """
    if not 0 <= largest_assignment <= MAX_TOTAL_WEIGHT:
        raise WeightRangeError(f"expected an assignment in 0..{MAX_TOTAL_WEIGHT}, got {largest_assignment}")
    return MAX_TOTAL_WEIGHT // max(1, largest_assignment)


def compute_weights(rule: WeightRule, gram_diagonal: Sequence[int], unit: int) -> list[int]:
    """Return the weights of a batch, in its order, from its squared norms (diagonal of the Gram matrix).

    Raises:
      WeightRangeError: the unit or a squared norm is outside its range, or the weights would add up to more
      than
        the packing holds.

    """
    if not 0 <= unit <= MAX_TOTAL_WEIGHT:
        raise WeightRangeError(f"expected a unit in 0..{MAX_TOTAL_WEIGHT}, got {unit}")
    if any(squared_norm < 0 for squared_norm in gram_diagonal):
        raise WeightRangeError(f"expected squared norms of at least 0, got {min(gram_diagonal)}")
    match rule:
        case RuleMean():
            weights = [unit] * len(gram_diagonal)
        case RuleNormClip(tau):
            weights = _clip_weights(gram_diagonal, unit, tau)
        case _:
            assert_never(rule)
    check_weights(weights)
    return weights


def _clip_weights(squared_norms: Sequence[int], unit: int, tau: int | None) -> list[int]:
    """Return floor(unit * min(1, bound / norm)) for every norm, without rounding in between."""
    if tau is None:
        lengths = sorted(norm for norm in squared_norms if norm)
        squared_bound = lengths[(len(lengths) - 1) // 2] if lengths else 0
    else:
        squared_bound = tau * tau
    # floor(sqrt(floor(x))) = floor(sqrt(x)): the quotient under the root may be floored.
    return [
        unit if norm <= squared_bound else isqrt(unit * unit * squared_bound // norm)
        for norm in squared_norms
    ]
