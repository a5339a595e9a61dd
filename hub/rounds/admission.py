"""Which deliveries of bodies a mempool takes: those that bring something.

In a block a part that is there already changes nothing and fails nobody, so that relayers may race.  But bodies are
megabytes that anyone may send for nothing, so what is known not to be needed need not come into a block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.rounds.state import get_part, get_shard_round
from hub.rounds.types import RoundId, ShardStatus
from ibc.errors import RelayRedundant
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from abci_app.state import StateReader


def check_bodies_needed(state: StateReader, messages: Sequence[Message]) -> None:
    """Refuse a transaction that delivers parts of which the hub lacks none.  For CheckTx: in a block it is harmless.

    Raises:
      RelayRedundant: one of its deliveries would change nothing.

    """
    for message in messages:
        if isinstance(message, tx_pb2.MsgSubmitBody) and _is_redundant(state, message):
            raise RelayRedundant(
                f"expected parts of a body that the hub lacks, got {len(message.parts)} of {message.shard!r} that it "
                f"does not need"
            )


def _is_redundant(state: StateReader, message: tx_pb2.MsgSubmitBody) -> bool:
    """Whether the hub has what a message delivers; one that it must refuse is left to its handler."""
    round_id = RoundId(message.task, message.round, message.attempt)
    record = get_shard_round(state, round_id, message.shard)
    if record is None:
        return False
    if record.status is ShardStatus.CHECKPOINTED:
        return all(get_part(state, round_id, message.shard, part.index) for part in message.parts)
    return record.status in {ShardStatus.COMPLETE, ShardStatus.LATE, ShardStatus.REJECTED}
