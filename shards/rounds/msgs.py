"""Checks of what the hub sends about rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregation.constants import MAX_TOTAL_WEIGHT
from aggregation.errors import AggregationError
from shards.errors import InvalidRound
from shards.rounds.types import Round
from tx.limits import HASH_BYTES, MAX_PARAMETERS, MAX_SCALE

if TYPE_CHECKING:
    from shards.params import ShardParams
    from wire.gradchain.fl.v1 import packet_pb2

MAX_TIME_NS: Final = 2**63 - 1


def parse_round(opened: packet_pb2.RoundOpened, params: ShardParams) -> Round:
    """Return the round that the hub opens, after checking all values that later steps rely on.

    A close time in the past is no error: such a round closes in the block that opens it, without updates.

    Raises:
      InvalidRound: names the field, what was expected and what was found.

    """
    try:
        opening = Round.from_wire(opened)
    except AggregationError:
        raise InvalidRound("expected a rule of this version, got none of them") from None
    _check_size("spec_digest", opening.spec_digest)
    _check_size("base_root", opening.base_root)
    _check_size("assignment_root", opening.assignment_root)
    _check_size("seed", opening.seed)
    _check_range("scale", opening.scale, 0, MAX_SCALE)
    _check_range("parameters", opening.parameters, 1, MAX_PARAMETERS)
    _check_range("assigned", opening.assigned, 0, params.max_assigned)
    _check_range("unit_weight", opening.unit_weight, 1, MAX_TOTAL_WEIGHT // max(1, opening.assigned))
    _check_range("deadline_ns", opening.deadline_ns, 0, MAX_TIME_NS)
    _check_range("close_time_ns", opening.close_time_ns, 0, opening.deadline_ns)
    return opening


def _check_size(field: str, value: bytes) -> None:
    if len(value) != HASH_BYTES:
        raise InvalidRound(f"expected {HASH_BYTES} bytes in {field}, got {len(value)}")


def _check_range(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidRound(f"expected {low} to {high} as {field}, got {value}")
