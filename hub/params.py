"""Parameters of a hub, fixed by its genesis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from abci_app.state import BULK
from hub.errors import InvalidGenesis
from hub.records import decode_record, encode_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.state import StateReader, StateWriter

PARAMS_KEY: Final = b"params"
"""Key of the encoded parameters in the bulk store."""

_DAY_NS: Final = 24 * 60 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class HubParams:
    """What the operator of a hub may choose."""

    missing_limit: int = 3
    """Rounds in a row that a shard may fail to deliver before it gets no more assignments."""

    keep_models: int = 4
    """Newest models of a task that the hub serves."""

    challenge_window_ns: int = 0
    """From the aggregation of a round to its settlement, in nanoseconds of block time."""

    packet_grace_s: int = 60
    """How long after a round's deadline the packet that opens it can still be received, in seconds."""

    settled_timeout_s: int = 600
    """How long the packet that tells of a settlement can be received, in seconds."""

    max_shards: int = 64
    """Shards that can be registered."""

    max_participants: int = 65_535
    """Participants that can register for one task."""

    max_assigned: int = 1_024
    """Participants that a shard is assigned in one round."""

    min_round_duration_ns: int = 30 * 1_000_000_000
    """Shortest round that a task may ask for, in nanoseconds.

    Who misses a deadline counts as missing for all tasks, and anyone may create a task: the fifth of this that lies
    between the close of a round on its shards and its deadline must be enough for a checkpoint to travel.
    """

    relay_fee: int = 0
    """What a relayer gets for each packet of a round that it is the first to deliver, in base units; a round pays
    less a packet when that would be more than a tenth of its share."""

    tasks_per_block: int = 16
    """Tasks of which one block can open or close a round, and as many settlements; others wait for the next one."""


_RANGES: Final = {
    "missing_limit": (1, 1_000_000),
    "keep_models": (1, 1_000),
    "challenge_window_ns": (0, _DAY_NS),
    "packet_grace_s": (1, 86_400),
    "settled_timeout_s": (1, 86_400),
    "max_shards": (1, 1_024),
    "max_participants": (1, 1_000_000),
    "max_assigned": (1, 65_535),
    "min_round_duration_ns": (1, _DAY_NS),
    "relay_fee": (0, 2**63 - 1),
    "tasks_per_block": (1, 1_000),
}


def parse_params(entries: Mapping[str, object]) -> HubParams:
    """Return the parameters of a genesis file; what it leaves out has its default.

    Raises:
      InvalidGenesis: an entry is unknown, is no whole number, or is out of range.

    """
    unknown = sorted(set(entries) - {field.name for field in fields(HubParams)})
    if unknown:
        raise InvalidGenesis(f"expected known parameters, got {unknown[0]!r}")
    chosen: dict[str, int] = {}
    for name, value in entries.items():
        low, high = _RANGES[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidGenesis(f"expected {low} to {high} as {name}, got {value!r}")
        chosen[name] = value
    return HubParams(**chosen)


def get_params(state: StateReader) -> HubParams:
    """Return the hub's parameters."""
    return decode_record(HubParams, state.get(BULK, PARAMS_KEY) or b"")


def init_params(state: StateWriter, params: HubParams) -> None:
    """Write the parameters of the genesis."""
    state.set(BULK, PARAMS_KEY, encode_record(params))
