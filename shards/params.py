"""Limits of a shard that its genesis may set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from aggregation.constants import MAX_TOTAL_WEIGHT
from shards.errors import InvalidGenesis

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class ShardParams:
    """What may differ between shards without their formats differing."""

    max_assigned: int = 1_024
    """Most participants that the hub may assign to this shard in a round."""

    checkpoint_allowance_s: int = 600
    """How long after the hub's deadline a checkpoint may still be delivered, in seconds: late ones are useful to
    tasks that fold them into a later round."""

    retention_s: int = 7 * DAY_S
    """How long after the hub's deadline payloads and bodies are kept when no settlement tells to drop them."""


LIMITS: Final = {
    "max_assigned": (1, MAX_TOTAL_WEIGHT),
    "checkpoint_allowance_s": (0, DAY_S),
    "retention_s": (0, 365 * DAY_S),
}
"""Least and greatest value of each parameter."""


def parse_params(values: Mapping[str, object]) -> ShardParams:
    """Return the parameters of a genesis; those it leaves out have their defaults.

    Raises:
      InvalidGenesis: a parameter is unknown, no integer, or out of range, or a body would be dropped while its
        header may still be on its way.

    """
    unknown = sorted(set(values) - {field.name for field in fields(ShardParams)})
    if unknown:
        raise InvalidGenesis(f"expected only known params, got {unknown[0]!r}")
    numbers: dict[str, int] = {}
    for name, value in values.items():
        low, high = LIMITS[name]
        # JSON's true is an int to Python.
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidGenesis(f"expected an integer in {low}..{high} as params.{name}, got {value!r}")
        numbers[name] = value
    params = ShardParams(**numbers)
    if params.retention_s < params.checkpoint_allowance_s:
        raise InvalidGenesis(
            f"expected params.retention_s of at least checkpoint_allowance_s {params.checkpoint_allowance_s}, "
            f"got {params.retention_s}"
        )
    return params
