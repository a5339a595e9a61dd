"""The model step of a round: which shards' aggregates go into it, and what it makes of the model.

On time are the verified bodies of the round itself; late ones are those of earlier rounds that were verified since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aggregation.aggregate import decode_aggregate
from aggregation.errors import ModelStepOverflowError
from aggregation.model import Contribution, model_step
from aggregation.quantise import next_scale_exponent
from hub.rounds.state import (
    get_aggregate,
    get_header,
    get_shard_round,
    get_tally,
    list_tail,
    require_shard_round,
)
from hub.rounds.types import ShardStatus
from wire.gradchain.fl.v1 import round_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from abci_app.state import StateReader
    from hub.rounds.types import RoundId, Tally
    from wire.gradchain.fl.v1 import packet_pb2


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A verified body that no model step has taken yet."""

    round_id: RoundId
    """The attempt that it answers."""

    shard: str
    header: packet_pb2.Checkpoint
    tally: Tally
    staleness: int
    """How many rounds ago that was."""

    def to_result(self) -> round_pb2.ShardResult:
        """Return the entry of the round's result."""
        return round_pb2.ShardResult(
            shard=self.shard,
            round=self.round_id.round,
            attempt=self.round_id.attempt,
            updates=self.header.updates,
            total_weight=self.header.total_weight,
            scale=self.header.scale,
            body_root=self.header.body_root,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """What a model step has made of deliveries."""

    model: NDArray[np.int32]
    """The new model, shape (d,)."""

    deliveries: tuple[Delivery, ...]
    """Those that went in; others were so old beside the rest that an exact sum would have overflown."""


def list_deliveries(
    state: StateReader, round_id: RoundId, shards: Sequence[str], max_staleness: int
) -> list[Delivery]:
    """Return what can be folded when a round is aggregated: its own deliveries by shard, then late ones by round."""
    on_time = [
        (round_id, shard) for shard in shards if _has_status(state, round_id, shard, ShardStatus.COMPLETE)
    ]
    late = [
        (earlier, shard)
        for earlier, shard in list_tail(state, round_id.task)
        if round_id.round - earlier.round <= max_staleness
        and _has_status(state, earlier, shard, ShardStatus.LATE)
    ]
    return [
        _read_delivery(state, answered, shard, round_id.round - answered.round)
        for answered, shard in (*on_time, *late)
    ]


def _has_status(state: StateReader, round_id: RoundId, shard: str, status: ShardStatus) -> bool:
    record = get_shard_round(state, round_id, shard)
    return record is not None and record.status is status


def _read_delivery(state: StateReader, round_id: RoundId, shard: str, staleness: int) -> Delivery:
    header = get_header(require_shard_round(state, round_id, shard))
    return Delivery(round_id, shard, header, get_tally(state, round_id, shard), staleness)


def fold_deliveries(
    state: StateReader, model: NDArray[np.int32], deliveries: Sequence[Delivery], max_staleness: int
) -> Folded:
    """Return the model after a round, int32 of the shape of `model`.

    A spread of ages so wide that the exact sum could leave 64 bits is no reason to stop: the oldest deliveries,
    which weigh least, are left out until the rest fits.
    """
    kept = list(deliveries)
    contributions = [_read_contribution(state, delivery, model.size) for delivery in kept]
    while True:
        try:
            stepped = model_step(model, contributions, max_staleness)
        except ModelStepOverflowError:
            oldest = max(delivery.staleness for delivery in kept)
            kept = [delivery for delivery in kept if delivery.staleness < oldest]
            contributions = [entry for entry in contributions if entry.staleness < oldest]
        else:
            return Folded(stepped, tuple(kept))


def _read_contribution(state: StateReader, delivery: Delivery, dimension: int) -> Contribution:
    encoded = get_aggregate(state, delivery.round_id, delivery.shard)
    aggregate = decode_aggregate(encoded, dimension) if encoded else np.zeros(dimension, np.int32)
    return Contribution(aggregate, delivery.header.total_weight, delivery.header.scale, delivery.staleness)


def choose_next_scale(scale: int, deliveries: Sequence[Delivery], dimension: int) -> int:
    """Return k of the next round, from the counts in all folded certificates."""
    counts = [(entry.clipped, entry.large) for delivery in deliveries for entry in delivery.tally.entries]
    return next_scale_exponent(scale, counts, dimension)


def add_up_weights(deliveries: Sequence[Delivery]) -> dict[bytes, int]:
    """Return the weight of each participant in a model step.

    A late update counts for half as much for every round that it is older, as it does in the step itself: the
    others' weights are shifted up instead, by as much as the stalest weight would be shifted down.
    """
    stalest = max((delivery.staleness for delivery in deliveries if delivery.header.total_weight), default=0)
    weights: dict[bytes, int] = {}
    for delivery in deliveries:
        shift = max(0, stalest - delivery.staleness)
        for entry in delivery.tally.entries:
            weights[entry.participant] = weights.get(entry.participant, 0) + (entry.weight << shift)
    return weights
