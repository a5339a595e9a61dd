"""What can be wrong with updates, commitments, weights, sums and models.

```
AggregationError
|- SizeMismatchError        arrays or lists that must have the same size do not
|- NotFiniteError           a float that is no number, or infinite
|- ScaleRangeError          a scale exponent outside its ends
|- PayloadSizeError         an encoded payload, aggregate, Gram matrix or model of another size
|- PayloadRangeError        a coordinate of an update outside its limit
|- MerklePathError          an audit path that does not lead from the leaf to the root
|- SetupError               bytes that are not the pinned ceremony file
|- CommitmentError          bytes that are not the canonical encoding of a point of the subgroup
|- LaneRangeError           a lane outside its bits
|- WeightRangeError         a weight, unit, bound or norm outside its range
|- AggregateRangeError      a coordinate of an aggregate that no updates can add up to
|- AggregateSumError        aggregate commitments that are not the weighted sum of the updates' ones
|- AggregateOpeningError    aggregate commitments that do not commit to the aggregate
|- StalenessError           a contribution older than the task allows
|- ModelStepOverflowError   contributions whose exact sum could leave 64 bits
|- UnknownRuleError         a rule that this version does not know
```
"""

from __future__ import annotations

from typing import ClassVar

from tx.errors import AppError


class AggregationError(AppError):
    """A failure of the arithmetic package."""

    CODESPACE: ClassVar[str] = "aggregation"


class SizeMismatchError(AggregationError):
    """Arrays or lists that must have the same size do not."""

    CODE: ClassVar[int] = 1
    CURE: ClassVar[str] = "Build every array for the number of parameters in the task spec."


class NotFiniteError(AggregationError):
    """A float is not a number, or infinite."""

    CODE: ClassVar[int] = 2
    CURE: ClassVar[str] = "Lower the learning rate or clip gradients: the local training diverged."


class ScaleRangeError(AggregationError):
    """A scale exponent lies outside its ends."""

    CODE: ClassVar[int] = 3
    CURE: ClassVar[str] = "Use the scale exponent of the round as the hub announced it."


class PayloadSizeError(AggregationError):
    """Encoded bytes do not have the size that the number of parameters asks for."""

    CODE: ClassVar[int] = 4
    CURE: ClassVar[str] = "Encode exactly the number of parameters in the task spec, in state_dict order."


class PayloadRangeError(AggregationError):
    """A coordinate of an update lies outside its limit."""

    CODE: ClassVar[int] = 5
    CURE: ClassVar[str] = "Quantise with the SDK: coordinates are clipped to the limit of the format."


class MerklePathError(AggregationError):
    """An audit path does not lead from the leaf to the root."""

    CODE: ClassVar[int] = 6
    CURE: ClassVar[str] = "Fetch the part and its path again, from another node if need be."


class SetupError(AggregationError):
    """Bytes are not the pinned file of the KZG ceremony."""

    CODE: ClassVar[int] = 7
    CURE: ClassVar[str] = "Restore aggregation/data/kzg_trusted_setup.txt from the release."


class CommitmentError(AggregationError):
    """Bytes are not the canonical encoding of a point of the subgroup."""

    CODE: ClassVar[int] = 8
    CURE: ClassVar[str] = "Send commitments as the SDK computes them: 48 bytes a blob."


class LaneRangeError(AggregationError):
    """A lane does not fit its bits."""

    CODE: ClassVar[int] = 9
    CURE: ClassVar[str] = "Keep the sum of weights within the limit of the packing."


class WeightRangeError(AggregationError):
    """A weight, unit, clipping bound or squared norm lies outside its range."""

    CODE: ClassVar[int] = 10
    CURE: ClassVar[str] = "Derive weights from the unit weight of the round: their sum is limited."


class AggregateRangeError(AggregationError):
    """A coordinate of an aggregate is larger than any updates of that weight can add up to."""

    CODE: ClassVar[int] = 11
    CURE: ClassVar[str] = "Build the aggregate again from the certified updates and their weights."


class AggregateSumError(AggregationError):
    """The aggregate's commitments are not the weighted sum of the updates' commitments."""

    CODE: ClassVar[int] = 12
    CURE: ClassVar[str] = "Build the aggregate again from the certified updates and their weights."


class AggregateOpeningError(AggregationError):
    """The aggregate's commitments do not commit to the aggregate."""

    CODE: ClassVar[int] = 13
    CURE: ClassVar[str] = "Build the aggregate again from the certified updates and their weights."


class StalenessError(AggregationError):
    """A contribution is older than the task allows, or its age is negative."""

    CODE: ClassVar[int] = 14
    CURE: ClassVar[str] = "Drop contributions past the task's max_staleness before the model step."


class ModelStepOverflowError(AggregationError):
    """The exact sum of the contributions could leave 64 bits."""

    CODE: ClassVar[int] = 15
    CURE: ClassVar[str] = "Lower max_staleness or the number of shards of the task."


class UnknownRuleError(AggregationError):
    """A task names no rule, or one that this version does not know."""

    CODE: ClassVar[int] = 16
    CURE: ClassVar[str] = "Name one of the rules in the task spec's reference, or update the node."
